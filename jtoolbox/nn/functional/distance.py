"""Distances and similarities along one dimension."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import clamp_min, is_float, require_float, type_name, wide
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import as_float
from jtoolbox.ops.halves import rounded
from jtoolbox.ops.norms import vector_norm_of

__all__ = ["cosine_similarity", "pairwise_distance", "pdist"]


def _floored(x: Array, low: float) -> Array:
    """max(x, low) through which the gradient passes as if nothing had been raised."""
    return x + jax.lax.stop_gradient(clamp_min(x, low) - x)


@op(promote=("x1", "x2"))
def cosine_similarity(x1: Array, x2: Array, dim: int = 1, eps: float = 1e-8) -> Array:
    """x1 . x2 / (|x1| |x2|) along `dim`; the other dimensions broadcast. Each norm is at least eps.

    Raises RuntimeError for integers.
    """
    if not is_float(x1):
        raise RuntimeError(
            f"expected common dtype to be floating point, yet common dtype is {type_name(x1)}"
        )
    result = x1.dtype
    x1, x2 = jnp.broadcast_arrays(wide(x1), wide(x2))
    axis = canonical_dim(dim, x1.ndim)
    if x1.ndim == 0:
        x1, x2 = x1[None], x2[None]
    norms = [_floored(vector_norm_of(x, 2, (axis,), True), eps) for x in (x1, x2)]
    return jnp.sum((x1 / norms[0]) * (x2 / norms[1]), axis).astype(result)


@op(promote=("x1", "x2"))
def pairwise_distance(
    x1: Array, x2: Array, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Array:
    """The p-norm of x1 - x2 + eps along the last dimension; the others broadcast.

    Inputs are (N, D) or (D,), the result is (N,) or (), with `keepdim` (N, 1) or (1,).
    """
    return distance(x1, x2, p, eps, keepdim)


def distance(x1: Array, x2: Array, p: float, eps: float, keepdims: bool = False) -> Array:
    """The formula of `pairwise_distance`, for losses that build on it."""
    # Integers are subtracted as such: those without sign wrap, as PyTorch's do.
    difference = as_float(wide(x1) - wide(x2)) + eps
    norm = vector_norm_of(difference, p, (difference.ndim - 1,), keepdims)
    return rounded(norm, as_float(x1), as_float(x2))


@op
def pdist(input: Array, p: float = 2.0) -> Array:
    """The p-norm distances between all pairs of the rows of (N, M): N (N - 1) / 2 of them.

    The pairs are in the order (0, 1), (0, 2), ..., (1, 2), ... Raises RuntimeError for another
    number of dimensions or p < 0.
    """
    if input.ndim != 2:
        raise RuntimeError(
            f"pdist only supports 2D tensors, got: {input.ndim}D of shape {list(input.shape)}"
        )
    if p < 0:
        raise RuntimeError(f"pdist only supports non-negative p values, got {p}")
    require_float("pdist", input)
    first, second = np.triu_indices(input.shape[0], 1)
    return vector_norm_of(input[first] - input[second], p, (1,), False)
