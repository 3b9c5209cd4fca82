"""`map_location`: where loaded tensors go."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

from jtoolbox.devices import default_device, device
from jtoolbox.serialization import load
from tests.serialization.builders import archive, tensor

ON_GPU = archive(tensor().replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:7"))


def loaded(map_location: Any, data: bytes = ON_GPU) -> Any:
    return load(io.BytesIO(data), map_location)


@pytest.mark.parametrize(
    "map_location",
    [
        None,
        "cpu",
        "cpu:0",
        device("cpu"),
        {"cuda:7": "cpu"},
        {"cuda:7": device("cpu")},
        {"cuda:3": "cuda:1"},
        lambda storage, location: storage,
        lambda storage, location: storage.cpu(),
        lambda storage, location: "cpu",
        lambda storage, location: device("cpu"),
        lambda storage, location: None,
    ],
)
def test_a_tensor_of_an_absent_device_loads(map_location: Any) -> None:
    x = loaded(map_location)
    assert np.asarray(x).tolist() == [[0, 1, 2], [3, 4, 5]]
    wants_cpu = map_location is not None and map_location != {"cuda:3": "cuda:1"}
    assert x.device.type == "cpu" or (not wants_cpu and x.device == default_device())


@pytest.mark.parametrize(
    "map_location",
    [
        "cuda:99",
        device("cuda", 99),
        {"cuda:7": "cuda:99"},
        lambda storage, location: storage.cuda(99),
        lambda storage, location: "cuda:99",
    ],
)
def test_an_absent_device_that_is_asked_for_is_an_error(map_location: Any) -> None:
    with pytest.raises(RuntimeError, match="device 'cuda:99' is not available"):
        loaded(map_location)


def test_a_function_is_asked_once_for_each_location() -> None:
    asked = []
    data = archive(b"](" + tensor() + tensor((6,), (1,)) + b"e")
    loaded(lambda storage, location: asked.append(location), data)
    assert asked == ["cpu"]


def test_errors_of_the_users_own_function_are_told_as_such() -> None:
    with pytest.raises(RuntimeError, match="map_location raised for location 'cuda:7'") as error:
        loaded(lambda storage, location: 1 / 0)
    assert isinstance(error.value.__cause__, ZeroDivisionError)
    with pytest.raises(RuntimeError, match="a function's answer 3"):
        loaded(lambda storage, location: 3)
    with pytest.raises(TypeError, match=r"a dict from names to devices.*got list"):
        loaded(["cpu"])
    with pytest.raises(RuntimeError, match="device type at start of device string"):
        loaded("nowhere")


def test_the_same_forms_work_for_safetensors_and_the_legacy_format(tmp_path: Any) -> None:
    out = io.BytesIO()
    torch.save(torch.ones(2), out, _use_new_zipfile_serialization=False)
    for map_location in ("cpu", {"cpu": "cpu"}, lambda storage, location: storage):
        out.seek(0)
        assert load(out, map_location).device == device("cpu")
