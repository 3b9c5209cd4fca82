"""One layer in both libraries: the same text, the same state, the same results."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import jtoolbox as jt
from tests.reference import assert_same


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def build(text: str) -> tuple[Any, Any]:
    """The layer that `nn.<text>` makes, here and in PyTorch, with the same values in both."""
    ours, theirs = eval(f"nn.{text}", {"nn": jt.nn}), eval(f"nn.{text}", {"nn": torch.nn})
    found = {k: tuple(v.shape) for k, v in ours.state_dict().items()}
    assert found == {k: tuple(v.shape) for k, v in theirs.state_dict().items()}
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: jt.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


def same_layer(text: str, *inputs: np.ndarray, grad: bool = True, **kwargs: Any) -> None:
    """Same repr, same state, same results, and same gradients of inputs and parameters."""
    ours, theirs = build(text)
    results = []
    for lib, layer in ((jt, ours), (torch, theirs)):
        tensors = [lib.tensor(x) for x in inputs]
        if grad:
            for t in tensors:
                t.requires_grad_(t.dtype.is_floating_point)
        result = layer(*tensors, **kwargs)
        first = result[0] if isinstance(result, tuple) else result
        if grad:
            (first**2).sum().backward()
        leaves = [*tensors, *layer.parameters()]
        results.append((result, [t.grad for t in leaves if t.grad is not None]))
    (value, gradients), (expected, expected_gradients) = results
    assert_same(value, expected, rtol=1e-4, atol=1e-4)
    assert_same(gradients, expected_gradients, rtol=1e-3, atol=1e-3, what="gradient")


def same_uniform_start(text: str, name: str, bound: float) -> None:
    """The parameter starts uniform within ±bound, here and in PyTorch."""
    for lib in (jt, torch):
        layer = eval(f"nn.{text}", {"nn": lib.nn})
        values = dict(layer.named_parameters())[name].detach().numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.95 * bound
        assert abs(values.std() - bound / np.sqrt(3)) < 0.1 * bound
