"""Compares an operation with PyTorch's: value, shape, dtype, gradients, on arrays and Tensors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

import jtoolbox

TOLERANCES = {
    np.dtype(np.float64): (1e-7, 1e-9),
    np.dtype(np.complex128): (1e-7, 1e-9),
    np.dtype(np.float32): (2e-5, 2e-6),
    np.dtype(np.complex64): (2e-5, 2e-6),
    np.dtype(np.float16): (2e-3, 1e-3),
    np.dtype(ml_dtypes.bfloat16): (2e-2, 1e-2),
}


def is_float(x: Any) -> bool:
    return isinstance(x, np.ndarray) and jnp.issubdtype(x.dtype, jnp.inexact)


def to_torch(x: Any, grad: bool = False) -> Any:
    """A PyTorch tensor with a copy of an array's values; lists go through, the rest stays."""
    if isinstance(x, (list, tuple)) and any(isinstance(v, np.ndarray) for v in x):
        return type(x)(to_torch(v, grad) for v in x)
    if not isinstance(x, np.ndarray):
        return x
    if x.dtype == ml_dtypes.bfloat16:
        t = torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16)
    else:
        t = torch.from_numpy(np.array(x))
    return t.requires_grad_(grad and is_float(x))


def to_numpy(x: Any) -> np.ndarray:
    """The values of a PyTorch tensor, a jtoolbox Tensor, an array or a number."""
    if isinstance(x, torch.Tensor):
        x = x.detach().resolve_conj().resolve_neg()
        if x.dtype == torch.bfloat16:
            return x.float().numpy().astype(ml_dtypes.bfloat16)
        return x.numpy(force=True)
    if hasattr(x, "detach"):
        x = x.detach()
    return np.asarray(x)


def flatten(x: Any) -> list[Any]:
    """Results as a flat list: a tuple, list or dict of results is opened, None is left out."""
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, (tuple, list)) and not isinstance(x, torch.Size):
        return [leaf for v in x for leaf in flatten(v)]
    return [] if x is None else [x]


def assert_same(
    ours: Any,
    theirs: Any,
    rtol: float | None = None,
    atol: float | None = None,
    what: str = "value",
) -> None:
    """Same number of results, each with the same shape, dtype and values (NaN equals NaN)."""
    ours, theirs = flatten(ours), flatten(theirs)
    assert len(ours) == len(theirs), f"{what}: {len(ours)} results, PyTorch has {len(theirs)}"
    for a, b in zip(ours, theirs, strict=True):
        if not isinstance(b, torch.Tensor):
            assert a == b, f"{what}: {a!r}, PyTorch has {b!r}"
            continue
        x, y = to_numpy(a), to_numpy(b)
        assert x.shape == y.shape, f"{what}: shape {x.shape}, PyTorch has {y.shape}"
        assert x.dtype == y.dtype, f"{what}: dtype {x.dtype}, PyTorch has {y.dtype}"
        default = TOLERANCES.get(y.dtype, (0.0, 0.0))
        wide = y.dtype == ml_dtypes.bfloat16
        np.testing.assert_allclose(
            x.astype(np.float32) if wide else x,
            y.astype(np.float32) if wide else y,
            rtol=default[0] if rtol is None else rtol,
            atol=default[1] if atol is None else atol,
            err_msg=what,
        )


def _leaves(inputs: Any) -> list[Any]:
    return [v for x in inputs for v in (_leaves(x) if isinstance(x, (list, tuple)) else [x])]


def _cotangents(results: list[Any]) -> list[np.ndarray | None]:
    """A fixed random cotangent for each differentiable PyTorch result."""
    rng = np.random.default_rng(7)
    out: list[np.ndarray | None] = []
    for r in results:
        if isinstance(r, torch.Tensor) and r.requires_grad:
            out.append(rng.standard_normal(tuple(r.shape)))
        else:
            out.append(None)
    return out


def compare(
    ours: Any,
    theirs: Any,
    *inputs: Any,
    grad: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    grad_rtol: float | None = None,
    grad_atol: float | None = None,
    **kwargs: Any,
) -> None:
    """Runs `ours` on arrays and on Tensors, `theirs` on PyTorch tensors, and compares all of it.

    NumPy arrays among the inputs (also inside lists) become tensors; with `grad`, the gradients of
    all float inputs under one random cotangent are compared as well.
    """
    their_inputs = [to_torch(x, grad) for x in inputs]
    expected = theirs(*their_inputs, **kwargs)
    results = flatten(expected)
    weights = _cotangents(results)
    grad = grad and any(w is not None for w in weights)
    grad_rtol = rtol if grad_rtol is None else grad_rtol
    grad_atol = atol if grad_atol is None else grad_atol
    wrt = [t for t in _leaves(their_inputs) if isinstance(t, torch.Tensor) and t.requires_grad]
    if grad:
        total = sum(
            (r * torch.as_tensor(w).to(r.dtype)).sum().real.double()
            for r, w in zip(results, weights, strict=True)
            if w is not None
        )
        gradients = torch.autograd.grad(total, wrt, allow_unused=True)
        gradients = [
            torch.zeros_like(t) if g is None else g for g, t in zip(gradients, wrt, strict=True)
        ]
    _compare_arrays(ours, inputs, kwargs, expected, weights, gradients if grad else None,
                    (rtol, atol), (grad_rtol, grad_atol))  # fmt: skip
    if hasattr(jtoolbox, "Tensor"):
        _compare_tensors(ours, inputs, kwargs, expected, weights, gradients if grad else None,
                         (rtol, atol), (grad_rtol, grad_atol))  # fmt: skip


def _map(x: Any, f: Any) -> Any:
    if isinstance(x, np.ndarray):
        return f(x)
    if isinstance(x, (list, tuple)) and any(isinstance(v, np.ndarray) for v in x):
        return type(x)(_map(v, f) for v in x)
    return x


def _compare_arrays(ours, inputs, kwargs, expected, weights, gradients, tolerance, grad_tolerance):
    with jax.enable_x64(True):
        arrays = [_map(x, jnp.array) for x in inputs]
        value = ours(*arrays, **kwargs)
        assert_same(value, expected, *tolerance, what="value on arrays")
        if gradients is None:
            return
        flat, treedef = jax.tree.flatten(arrays, is_leaf=lambda v: v is None)
        chosen = [
            i
            for i, v in enumerate(flat)
            if isinstance(v, jax.Array) and jnp.issubdtype(v.dtype, jnp.inexact)
        ]

        def total(chosen_values):
            leaves = list(flat)
            for i, v in zip(chosen, chosen_values, strict=True):
                leaves[i] = v
            results = flatten(ours(*jax.tree.unflatten(treedef, leaves), **kwargs))
            return sum(
                jnp.real(jnp.sum(r * jnp.asarray(w).astype(r.dtype))).astype(jnp.float64)
                for r, w in zip(results, weights, strict=True)
                if w is not None
            )

        found = jax.grad(total)([flat[i] for i in chosen])
        # For complex inputs jax.grad is the conjugate of PyTorch's convention.
        assert_same([jnp.conj(g) for g in found], gradients, *grad_tolerance,
                    what="gradient on arrays")  # fmt: skip


def _compare_tensors(ours, inputs, kwargs, expected, weights, gradients, tolerance, grad_tolerance):
    tensors = [
        _map(x, lambda a: jtoolbox.tensor(a).requires_grad_(gradients is not None and is_float(a)))
        for x in inputs
    ]
    value = ours(*tensors, **kwargs)
    assert_same(value, expected, *tolerance, what="value on Tensors")
    if gradients is None:
        return
    wrt = [t for t in _leaves(tensors) if isinstance(t, jtoolbox.Tensor) and t.requires_grad]
    # Once more, so that the gradient runs on a graph whose values nobody has asked for yet.
    for attempt in (value, ours(*tensors, **kwargs)):
        pairs = [(r, w) for r, w in zip(flatten(attempt), weights, strict=True) if w is not None]
        found = jtoolbox.autograd.grad(
            [r for r, _ in pairs],
            wrt,
            grad_outputs=[jtoolbox.tensor(w).to(r.dtype) for r, w in pairs],
            allow_unused=True,
        )
        found = [
            jtoolbox.zeros_like(t) if g is None else g for g, t in zip(found, wrt, strict=True)
        ]
        assert_same(found, gradients, *grad_tolerance, what="gradient on Tensors")


def same_error(ours: Any, theirs: Any, *inputs: Any, match: str, **kwargs: Any) -> None:
    """Both raise, with the same type of exception, and our message matches `match`."""
    with pytest.raises(Exception) as expected:  # noqa: PT011
        theirs(*[to_torch(x) for x in inputs], **kwargs)
    with jax.enable_x64(True), pytest.raises(type(expected.value), match=match):
        ours(*[_map(x, jnp.array) for x in inputs], **kwargs)
    if hasattr(jtoolbox, "Tensor"):
        with pytest.raises(type(expected.value), match=match):
            ours(*[_map(x, jtoolbox.tensor) for x in inputs], **kwargs)
