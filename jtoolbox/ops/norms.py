"""Norms of vectors and matrices, and distances between points."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dim, canonical_dims, kept
from jtoolbox.ops.elementwise import is_complex, is_integer, magnitude
from jtoolbox.ops.matrices import at_least_matrix
from jtoolbox.ops.reduction import Dims

__all__ = [
    *("cdist", "dist", "norm"),
]


def safe_sqrt(x: Array) -> Array:
    """The square root with gradient 0 at 0, where the true one is infinite."""
    zero = x == 0
    return jnp.where(zero, 0, jnp.sqrt(jnp.where(zero, 1, x)))


def real_type(x: Array) -> Any:
    return x.real.dtype if is_complex(x) else x.dtype


def vector_norm_of(x: Array, p: float, dims: tuple[int, ...], keepdim: bool) -> Array:
    """(sum |x|^p)^(1/p) over dims; the largest or smallest |x| for p = inf, -inf; a count for 0."""
    if dtypes.is_half(x.dtype):
        return vector_norm_of(x.astype(jnp.float32), p, dims, keepdim).astype(x.dtype)
    if p == 2:
        squares = jnp.real(x * jnp.conj(x)) if is_complex(x) else x * x
        return safe_sqrt(jnp.sum(squares, dims, keepdims=keepdim))
    size = magnitude(x)
    if p == 0:
        return jnp.sum((size != 0).astype(size.dtype), dims, keepdims=keepdim)
    if p == 1:
        return jnp.sum(size, dims, keepdims=keepdim)
    if math.isinf(p):
        if any(x.shape[d] == 0 for d in dims):
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {p} norm on an empty tensor because the "
                f"operation does not have an identity; the shape is {tuple(x.shape)}"
            )
        return (jnp.max if p > 0 else jnp.min)(size, dims, keepdims=keepdim)
    return _root_of_powers(size, p, dims, keepdim)


def _root_of_powers(size: Array, p: float, dims: tuple[int, ...], keepdim: bool) -> Array:
    """(sum |x|^p)^(1/p) with gradient 0 where the norm is 0."""
    if p < 1:  # whose slope at an element of 0 is infinite: PyTorch's is 0
        nothing = size == 0
        powers = jnp.where(nothing, 0.0 if p > 0 else jnp.inf, jnp.where(nothing, 1, size) ** p)
    else:
        powers = size**p
    total = jnp.sum(powers, dims, keepdims=True)
    zero = total == 0
    root = jnp.where(zero, 0, jnp.where(zero, 1, total) ** (1 / p))
    return root.reshape(kept(size.shape, dims)) if keepdim else jnp.squeeze(root, dims)


def float_for_norm(name: str, x: Array, dtype: Any) -> Array:
    """x in the type asked for. Raises RuntimeError for integers."""
    if dtype is not None:
        x = x.astype(dtypes.canonical(dtypes.as_numpy(dtype)))
    if is_integer(x):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.from_numpy(x.dtype)}. Use .float() or dtype=."
        )
    return x


@op(saves="both")
def norm(
    input: Array,
    p: float | str | None = "fro",
    dim: Dims = None,
    keepdim: bool = False,
    dtype: Any = None,
) -> Array:
    """The p-norm of the elements over `dim`, seen as one vector; 'nuc' sums singular values.

    The gradient at a zero norm is 0.
    """
    x = float_for_norm("linalg.vector_norm", input, dtype)
    dims = canonical_dims(dim, x.ndim)
    if p == "nuc":
        return nuclear_norm(x, dims, keepdim)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported: give 'fro' or 'nuc'.")
    order = 2.0 if p is None or p == "fro" else float(p)
    return vector_norm_of(x, order, dims, keepdim)


def nuclear_norm(x: Array, dims: tuple[int, ...], keepdim: bool) -> Array:
    """The sum of the singular values of the matrices that two dimensions span."""
    if len(dims) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple, got {dims}")
    values = jnp.linalg.svd(jnp.moveaxis(x, dims, (-2, -1)), compute_uv=False)
    total = jnp.sum(values, -1)
    return total.reshape(kept(x.shape, dims)) if keepdim else total


@op(saves="both")
def vector_norm(
    x: Array, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """The norm of order `ord` over `dim`, seen as one vector; its gradient at 0 is 0."""
    x = float_for_norm("linalg.vector_norm", x, dtype)
    return vector_norm_of(x, float(ord), canonical_dims(dim, x.ndim), keepdim)


def _sum_norm(x: Array, ord: float, dims: tuple[int, int], keepdim: bool) -> Array:
    """The largest (or smallest) sum of |x| over columns (1) or rows (inf)."""
    rows, columns = dims
    inner, outer = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = jnp.sum(magnitude(x), inner, keepdims=True)
    extreme = (jnp.max if ord > 0 else jnp.min)(sums, outer, keepdims=True)
    return extreme if keepdim else jnp.squeeze(extreme, dims)


@op(saves="both")
def matrix_norm(
    input: Array, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """The norm of matrices: 'fro', 'nuc', or of order 1, -1, 2, -2, inf, -inf."""
    x = float_for_norm("linalg.matrix_norm", input, dtype)
    at_least_matrix("linalg.matrix_norm", x)
    dims = tuple(canonical_dim(d, x.ndim) for d in dim)
    if len(dims) != 2:
        raise RuntimeError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}")
    if ord == "fro":
        return vector_norm_of(x, 2.0, dims, keepdim)
    if ord == "nuc":
        return nuclear_norm(x, dims, keepdim)
    if isinstance(ord, str) or abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"linalg.matrix_norm: Order {ord} not supported.")
    if abs(ord) != 2:
        return _sum_norm(x, ord, dims, keepdim)
    values = jnp.linalg.svd(jnp.moveaxis(x, dims, (-2, -1)), compute_uv=False)
    extreme = values[..., 0 if ord > 0 else -1]
    return extreme.reshape(kept(x.shape, dims)) if keepdim else extreme


@numpy_names
def linalg_norm(
    input: Array, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """`matrix_norm` for two dimensions and an order, else `vector_norm` (of order 2)."""
    two = len(dim) == 2 if isinstance(dim, Sequence) else dim is None and input.ndim == 2
    if ord is None or not (two or isinstance(ord, str)):
        return vector_norm(input, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(input, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)


@op(saves="both", promote=("input", "other"), refuses=("bool", "int"))
def dist(input: Array, other: Array, p: float = 2) -> Array:
    """The p-norm of input - other."""
    gap = input - other
    return vector_norm_of(gap, float(p), tuple(range(gap.ndim)), False)


def _distances_by_product(x1: Array, x2: Array) -> Array:
    """Euclidean distances from one matrix product: |a|^2 - 2 a.b + |b|^2."""
    squares = jnp.sum(x1 * x1, -1)[..., :, None] + jnp.sum(x2 * x2, -1)[..., None, :]
    gaps = squares - 2 * (x1 @ jnp.swapaxes(x2, -1, -2))
    return safe_sqrt(jnp.where(gaps > 0, gaps, 0))


_COMPUTE_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)


@op(saves="both", refuses=("bool", "int", "complex", "half"))
def cdist(
    x1: Array,
    x2: Array,
    p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Array:
    """The p-norm distance of each row of x1 (..., P, M) to each row of x2 (..., R, M).

    Euclidean distances of more than 25 rows come from a matrix product, as in PyTorch, which is
    fast and loses digits of small distances; `compute_mode` says otherwise.
    """
    for name, x in (("X1", x1), ("X2", x2)):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {name} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError(f"cdist only supports non-negative p values, got {p}")
    compute_mode = compute_mode or _COMPUTE_MODES[0]
    if compute_mode not in _COMPUTE_MODES:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    many = max(x1.shape[-2], x2.shape[-2]) > 25 and compute_mode == _COMPUTE_MODES[0]
    if p == 2 and (many or compute_mode == _COMPUTE_MODES[1]):
        return _distances_by_product(x1, x2)
    gaps = x1[..., :, None, :] - x2[..., None, :, :]
    return vector_norm_of(gaps, float(p), (gaps.ndim - 1,), False)
