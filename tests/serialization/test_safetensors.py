"""safetensors files, against the library of that name."""

from __future__ import annotations

import io
import json
import struct
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from jtoolbox import dtypes
from jtoolbox.nn.parameter import Parameter
from jtoolbox.serialization import load, safetensors_metadata, save
from jtoolbox.tensor import from_host
from tests.serialization.test_pytorch import assert_same_tensor, bits, to_torch, values_of

FITTING = [d for d in dtypes.ALL if d is not dtypes.complex128]


@pytest.mark.parametrize("d", FITTING, ids=lambda d: d.name)
def test_every_dtype_goes_to_the_safetensors_library_and_back(d: Any, tmp_path: Any) -> None:
    path = tmp_path / "a.safetensors"
    obj = {str(shape): from_host(values_of(d, shape)) for shape in [(), (0, 3), (5,), (2, 3, 4)]}
    save(obj, path)
    theirs = safetensors.torch.load_file(path)
    assert theirs.keys() == obj.keys()
    for key, tensor in obj.items():
        assert_same_tensor(tensor, theirs[key])
    safetensors.torch.save_file({k: to_torch(np.array(v)) for k, v in obj.items()}, path)
    for key, tensor in load(path).items():
        assert bits(tensor) == bits(obj[key])
        assert tensor.dtype is d
        assert tensor.shape == obj[key].shape


def test_arrays_of_any_order_kind_and_owner_are_written_by_value() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    shared = from_host(x.copy())
    obj = {
        "transposed": x.T,
        "fortran": np.asfortranarray(x),
        "steps": x[::2, ::-1],
        "jax": jnp.asarray(x, jnp.bfloat16).T,
        "parameter": Parameter(from_host(x.copy())),
        "shared": shared,
        "shared again": shared,
        "bytes": np.arange(3, dtype=np.uint8),
    }
    file = io.BytesIO()
    save(obj, file, format="safetensors")
    theirs = safetensors.torch.load(file.getvalue())
    file.seek(0)
    ours = load(file)
    for key, value in obj.items():
        want = np.array(value.detach() if hasattr(value, "detach") else value).astype(np.float32)
        assert np.array_equal(theirs[key].float().numpy(), want)
        assert np.array_equal(np.asarray(ours[key]).astype(np.float32), want)


def test_metadata_is_kept_and_says_that_the_layout_is_pytorchs(tmp_path: Any) -> None:
    path = tmp_path / "a.safetensors"
    save({"x": from_host(np.ones(2, np.float32))}, path, metadata={"epoch": "3"})
    with safetensors.safe_open(path, "np") as file:
        assert file.metadata() == {"format": "pt", "epoch": "3"}
    assert safetensors_metadata(path) == {"format": "pt", "epoch": "3"}
    with pytest.raises(TypeError, match="from str to str, got 'epoch': 3"):
        save({}, path, metadata={"epoch": 3})  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"belongs to .safetensors files"):
        save({}, tmp_path / "a.pt", metadata={})


def test_an_empty_dict_is_a_file(tmp_path: Any) -> None:
    save({}, tmp_path / "a.safetensors")
    assert safetensors.torch.load_file(tmp_path / "a.safetensors") == {}
    assert load(tmp_path / "a.safetensors") == {}


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"model": {"w": 1}, "epoch": 3}, "'model' is a dict.*a path ending in .pt"),
        ({"epoch": 3}, "'epoch' is a int"),
        ([1], "the object is a list"),
        ({1: np.ones(2)}, "the name 1 is a int"),
        ({"__metadata__": np.ones(2)}, "the name '__metadata__'"),
        ({"c": np.ones(2, np.complex128)}, "no type for 'c', complex128"),
        ({"o": np.array(["a"])}, "no type for 'o'"),
    ],
)
def test_what_a_safetensors_file_cannot_hold_is_refused(
    obj: Any, message: str, tmp_path: Any
) -> None:
    with pytest.raises(TypeError, match=message):
        save(obj, tmp_path / "a.safetensors")
    assert list(tmp_path.iterdir()) == []


def file_with(header: Any, data: bytes = b"", size: int | None = None) -> io.BytesIO:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return io.BytesIO(struct.pack("<Q", len(text) if size is None else size) + text + data)


def entry(dtype: Any = "F32", shape: Any = (2,), at: Any = (0, 8)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(at)}


HOSTILE = {
    "a huge header": file_with({"a": entry()}, bytes(8), size=2**63),
    "a header beyond the file": file_with({"a": entry()}, bytes(8), size=1000),
    "no json": file_with(b"{not json}"),
    "deep json": file_with(b'{"a":' + b"[" * 100_000),
    "no utf-8": file_with(b'{"\xff\xfe": 1}'),
    "an entry that is a list": file_with({"a": [1, 2]}),
    "an unknown type": file_with({"a": entry("F8_E4M3")}, bytes(8)),
    "a type that is a list": file_with({"a": entry(["F32"])}, bytes(8)),
    "a negative size": file_with({"a": entry(shape=(-2,))}, bytes(8)),
    "a size that is a bool": file_with({"a": entry(shape=(True, 2))}, bytes(8)),
    "a size that is a float": file_with({"a": entry(shape=(2.0,))}, bytes(8)),
    "a huge size": file_with({"a": entry(shape=(2**62, 2**62))}, bytes(8)),
    "an infinite size": file_with(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}'),
    "a place beyond the file": file_with({"a": entry(at=(8, 16))}, bytes(8)),
    "a place backwards": file_with({"a": entry(shape=(0,), at=(8, 8))}, bytes(8)),
    "too few data": file_with({"a": entry()}, bytes(7)),
    "too many data": file_with({"a": entry()}, bytes(9)),
    "an overlap": file_with({"a": entry(), "b": entry(at=(4, 12))}, bytes(12)),
    "a gap": file_with({"a": entry(), "b": entry(at=(12, 20))}, bytes(20)),
    "metadata that is no text": file_with({"__metadata__": {"a": 1}}),
    "metadata that is a list": file_with({"__metadata__": [1]}),
}
UNREADABLE = {
    "a type of 8 bits": file_with({"a": entry("F8_E4M3", at=(0, 2))}, bytes(2)),
    "many dimensions": file_with({"a": entry("U8", [1] * 1000, (0, 1))}, bytes(1)),
    "nothing of a huge size": file_with({"a": entry(shape=(2**61, 0, 8), at=(0, 0))}),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_damaged_or_hostile_file_is_a_runtime_error(case: str) -> None:
    HOSTILE[case].seek(0)
    with pytest.raises(RuntimeError, match=r"BytesIO: (not a whole safetensors file|neither)"):
        load(HOSTILE[case])


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_type_or_shape_that_arrays_have_not_is_a_runtime_error(case: str) -> None:
    UNREADABLE[case].seek(0)
    with pytest.raises(RuntimeError, match="BytesIO: tensor 'a' has a type or shape"):
        load(UNREADABLE[case])


def test_a_bool_of_any_byte_is_true_or_false() -> None:
    file = file_with({"a": entry("BOOL", (3,), (0, 3))}, b"\x00\x02\xff")
    assert bits(load(file)["a"]) == b"\x00\x01\x01"


def test_the_format_is_seen_from_the_contents_whatever_the_name(tmp_path: Any) -> None:
    save({"x": from_host(np.ones(2, np.float32))}, tmp_path / "a.pt", format="safetensors")
    assert load(tmp_path / "a.pt")["x"].shape == (2,)
    save({"x": 3}, tmp_path / "a.safetensors", format="pt")
    with open(tmp_path / "a.safetensors", "rb") as file:
        assert torch.load(file, weights_only=True) == {"x": 3}
    assert load(tmp_path / "a.safetensors") == {"x": 3}
    with pytest.raises(ValueError, match="'pt' or 'safetensors', got 'npz'"):
        save({}, tmp_path / "a.npz", format="npz")
