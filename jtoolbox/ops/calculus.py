"""Sampled functions: integrals by trapezoids and gradients by differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import as_float

__all__ = ["cumulative_trapezoid", "gradient", "trapezoid", "trapz"]


def _panels(y: Array, x: Array | None, dx: Array, dim: int) -> tuple[Array, int]:
    """The areas between neighbouring samples along `dim`."""
    dim = canonical_dim(dim, y.ndim)
    n = y.shape[dim]
    left = jnp.take(y, jnp.arange(n - 1), dim)
    right = jnp.take(y, jnp.arange(1, n), dim)
    if x is None:
        return as_float(left + right) * dx / 2, dim
    if x.ndim == 1:
        if x.shape[0] != n:
            raise RuntimeError(
                f"trapezoid: There must be one `x` value for each sample point, got {x.shape[0]} "
                f"for {n}"
            )
        x = jnp.reshape(x, (-1,) + (1,) * (y.ndim - 1 - dim))
    axis = dim - y.ndim
    return as_float(jnp.diff(x, axis=axis) * (left + right)) / 2, dim


@op(name="trapezoid", refuses=("bool",))
def _trapezoid(y: Array, x: Array | None, dx: Array, dim: int) -> Array:
    areas, dim = _panels(y, x, dx, dim)
    return jnp.sum(areas, dim)


@op(name="cumulative_trapezoid", refuses=("bool",))
def _cumulative(y: Array, x: Array | None, dx: Array, dim: int) -> Array:
    areas, dim = _panels(y, x, dx, dim)
    return jnp.cumsum(areas, dim)


@numpy_names
def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral along `dim` of a function sampled at `x`, or at steps of `dx`: the sum of
    (x[i+1] - x[i]) (y[i] + y[i+1]) / 2."""
    return _trapezoid(y, x, dx, dim)


@numpy_names
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """The integral up to each sample but the first, as `trapezoid` adds it up."""
    return _cumulative(y, x, dx, dim)


@numpy_names
def trapz(y: Any, x: Any = None, *, dx: Any = 1, dim: int = -1) -> Any:
    """`trapezoid` under its old name."""
    return trapezoid(y, x, dx=dx, dim=dim)


def _slope(x: Array, spacing: Array, dim: int, edge_order: int) -> Array:
    """The derivative along `dim`, for a number as spacing or the places of the samples."""
    x = jnp.moveaxis(x, dim, -1)
    n = x.shape[-1]
    steps = jnp.broadcast_to(spacing, (n - 1,)) if spacing.ndim == 0 else jnp.diff(spacing)
    a, b = steps[:-1], steps[1:]
    secants = jnp.diff(x) / steps
    inner = (b * secants[..., :-1] + a * secants[..., 1:]) / (a + b)
    first, last = secants[..., :1], secants[..., -1:]
    if edge_order == 2:
        first = first + (first - secants[..., 1:2]) * steps[0] / (steps[0] + steps[1])
        last = last + (last - secants[..., -2:-1]) * steps[-1] / (steps[-1] + steps[-2])
    return jnp.moveaxis(jnp.concatenate([first, inner, last], -1), -1, dim)


@op(saves="none", name="gradient", refuses=("bool",))
def _gradient(
    input: Array, spacing: Sequence[Array], dims: tuple[int, ...], edge_order: int
) -> tuple[Array, ...]:
    if input.dtype == jnp.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input, whose differences wrap.")
    if not jnp.issubdtype(input.dtype, jnp.inexact):
        input = input.astype(jnp.float32)
    real = jnp.real(input).dtype
    return tuple(
        _slope(input, jnp.asarray(s).astype(real), dim, edge_order)
        for s, dim in zip(spacing, dims, strict=True)
    )


@numpy_names
def gradient(
    input: Any, *, spacing: Any = None, dim: Any = None, edge_order: int = 1
) -> tuple[Any, ...]:
    """The derivative of sampled values along each dimension in `dim`, of second order inside.

    `spacing` is the step (1, a number, or one for each dimension) or a list with the places of the
    samples of each dimension. The ends use differences of order `edge_order`, 1 or 2. RuntimeError
    for fewer than edge_order + 1 samples.
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    spacing = 1 if spacing is None else spacing
    named = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    dims = tuple(canonical_dim(d, input.ndim) for d in named)
    for d in dims:
        if dims.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims {list(dims)}")
    spacings = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(dims)
    if len(spacings) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar, or a list of length "
            f"{len(dims)} to match the dimensions, but got a list of length {len(spacings)}"
        )
    for d, s in zip(dims, spacings, strict=True):
        if input.shape[d] < edge_order + 1:
            raise RuntimeError(
                "torch.gradient expected each dimension size to be at least edge_order+1, got "
                f"{input.shape[d]} in dimension {d}"
            )
        if np.ndim(s) and len(s) != input.shape[d]:
            raise RuntimeError(
                f"torch.gradient expected {input.shape[d]} coordinates for dimension {d}, got "
                f"{len(s)}"
            )
    return tuple(_gradient(input, spacings, dims, edge_order))
