"""Compares a layer with PyTorch's of the same name: repr, state, results and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import jtoolbox as jt
from tests.reference import assert_same, to_torch


def layers(name: str, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
    """The two layers, with the state of PyTorch's loaded into ours; their reprs are equal."""
    ours, theirs = getattr(jt.nn, name)(*args, **kwargs), getattr(torch.nn, name)(*args, **kwargs)
    assert repr(ours) == repr(theirs)
    copy_state(ours, theirs)
    return ours, theirs


def copy_state(ours: Any, theirs: Any) -> None:
    """Fills PyTorch's parameters with random numbers, and loads its state into ours."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in theirs.parameters():
            p.copy_(torch.randn(p.shape, generator=generator, dtype=p.dtype))
    ours.load_state_dict({k: jt.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    assert_same_state(ours, theirs)


def assert_same_state(ours: Any, theirs: Any) -> None:
    """The same keys in the same order, with the same values and types; the same versions."""
    a, b = ours.state_dict(), theirs.state_dict()
    assert list(a) == list(b)
    assert_same(list(a.values()), list(b.values()))
    assert a._metadata == b._metadata


def assert_same_step(ours: Any, theirs: Any, *inputs: Any, **tolerances: Any) -> None:
    """One forward and backward pass: results, and gradients of inputs and parameters."""
    floats = [isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in inputs]
    a = [jt.tensor(x) if isinstance(x, np.ndarray) else x for x in inputs]
    a = [x.requires_grad_() if f else x for x, f in zip(a, floats, strict=True)]
    b = [to_torch(x, f) for x, f in zip(inputs, floats, strict=True)]
    x, y = ours(*a), theirs(*b)
    assert_same(x, y, **tolerances)
    (x * x).sum().backward()
    (y * y).sum().backward()
    found = [v.grad for v, f in zip(a, floats, strict=True) if f]
    expected = [v.grad for v, f in zip(b, floats, strict=True) if f]
    assert_same(found, expected, **tolerances, what="gradient of the inputs")
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(p.grad, q.grad, **tolerances, what="gradient of a parameter")
        p.grad = q.grad = None
