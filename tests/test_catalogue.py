"""What holds for every layer: PyTorch's state, copies, frozen steps, pure calls, bfloat16."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import jax
import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.catalogue import ABSTRACT, CATALOGUE, WITHOUT_BFLOAT16_IN_PYTORCH, Entry
from tests.reference import assert_same, flatten, to_numpy, to_torch


def layers(entry: Entry) -> tuple[Any, Any]:
    """The layer here and in PyTorch, its lazy parameters made, with PyTorch's state in both."""
    made = []
    for lib, convert in ((jt, jt.tensor), (torch, to_torch)):
        layer = eval(f"nn.{entry.text}", {"nn": lib.nn})
        if entry.name.startswith("Lazy"):
            layer(*map(convert, entry.inputs))
        made.append(layer)
    ours, theirs = made
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict({k: jt.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def call(layer: Any, *inputs: Any) -> list[Any]:
    """The results as arrays, with random numbers from the same seed each time."""
    jt.manual_seed(5)
    with jt.no_grad():
        return [to_numpy(v) for v in flatten(layer(*inputs))]


def assert_close(found: list[Any], expected: list[Any], what: str) -> None:
    assert len(found) == len(expected), what
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype, what
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5, err_msg=what)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.filterwarnings("ignore:.?NLLLoss2d.? has been deprecated")
@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.name)
def test_a_layer_keeps_every_promise(entry):
    ours, theirs = layers(entry)
    tensors = [jt.tensor(v) for v in entry.inputs]
    assert ours.train().training
    call(ours, *tensors)
    assert not ours.eval().training
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    theirs.eval()
    value = call(ours, *tensors)
    # In evaluation, fractional pooling alone draws.
    if not entry.name.startswith("Fractional"):
        expected = theirs(*map(to_torch, entry.inputs))
        assert_same(value, expected, rtol=1e-4, atol=1e-4)
    assert_close(call(copy.deepcopy(ours), *tensors), value, "deepcopy")
    assert_close(call(pickle.loads(pickle.dumps(ours)), *tensors), value, "pickle")
    assert_close(
        call(jt.jit(lambda *v: ours(*(a.clone() for a in v))), *tensors), value, "jtoolbox.jit"
    )
    pure = jax.jit(lambda s, k, *v: jt.func.functional_call(ours, s, v, key=k))
    # Without 64 bits JAX makes int32 of class indices, which PyTorch refuses, and so the layers.
    with jax.enable_x64(True):
        found = pure(jt.func.tree(ours), jax.random.key(0), *entry.inputs)
    if not entry.name.startswith("Fractional"):
        assert_close([np.asarray(v) for v in flatten(found)], value, "functional_call")


@pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
@pytest.mark.filterwarnings("ignore:.?NLLLoss2d.? has been deprecated")
@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda e: e.name)
def test_a_layer_computes_in_bfloat16_what_pytorch_does(entry):
    ours, theirs = (
        layer.eval().to(lib.bfloat16) for layer, lib in zip(layers(entry), (jt, torch), strict=True)
    )
    inputs = [half(jt.tensor(v)) for v in entry.inputs]
    found = ours(*inputs)
    if entry.name.startswith("Fractional"):  # draws: values of the input, in its type
        assert_among(found, inputs[0])
    elif entry.name in WITHOUT_BFLOAT16_IN_PYTORCH:
        with pytest.raises(NotImplementedError, match="not implemented for 'BFloat16'"):
            theirs(*map(half, map(to_torch, entry.inputs)))
        wide = theirs.float()(*(half(to_torch(v)).to(to_torch(v).dtype) for v in entry.inputs))
        assert_same(found, wide.bfloat16(), rtol=0.1, atol=0.1)
    else:
        expected = theirs(*map(half, map(to_torch, entry.inputs)))
        assert_same(found, expected, rtol=0.1, atol=0.1)


def assert_among(found: Any, source: Any) -> None:
    assert found.dtype == source.dtype
    assert np.isin(found.float().numpy(), source.float().numpy()).all()


def half(x: Any) -> Any:
    return x.bfloat16() if x.dtype.is_floating_point else x


def test_every_public_layer_is_in_the_catalogue_once():
    names = [entry.name for entry in CATALOGUE]
    assert len(names) == len(set(names))
    public = {n for n in jt.nn.__all__ if _is_layer(getattr(jt.nn, n))}
    assert public - ABSTRACT == set(names)


def _is_layer(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, jt.nn.Module)
