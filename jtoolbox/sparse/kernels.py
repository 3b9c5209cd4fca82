"""The arithmetic of sparse matrices: gathers of values and sums over segments."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox.engine import Array, op

__all__ = ["collected", "normalized", "product", "scattered", "summed"]


@op(name="sparse_mm")
def product(values: Array, indices: Array, dense: Array, rows: int) -> Array:
    """out[i] = the sum over entries (i, j) of values * dense[j], for a matrix or vector `dense`."""
    picked = jnp.asarray(dense)[indices[1]]
    weights = jnp.reshape(values, (-1,) + (1,) * (picked.ndim - 1))
    return jax.ops.segment_sum(weights * picked, indices[0], rows)


@op(saves="none", name="to_dense")
def scattered(values: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """A dense tensor with the values at their places; those at one place add up."""
    out = jnp.zeros(shape, values.dtype)
    places = tuple(indices)
    return out.at[places].max(values) if values.dtype == bool else out.at[places].add(values)


@op(saves="none", name="coalesce")
def summed(values: Array, ids: Array, count: int) -> Array:
    """The sum of the values of each id."""
    if values.dtype == bool:
        return jax.ops.segment_max(values.astype(jnp.int32), ids, count).astype(bool)
    return jax.ops.segment_sum(values, ids, count)


@op(saves="none", name="sparse_mask")
def collected(dense: Array, indices: Array) -> Array:
    """The elements of a dense tensor at these places."""
    return jnp.asarray(dense)[tuple(indices)]


@op(saves="output", name="sparse_softmax")
def normalized(values: Array, ids: Array, count: int, log: bool) -> Array:
    """Softmax, or its logarithm, among the values of each id."""
    top = jax.lax.stop_gradient(jax.ops.segment_max(values, ids, count))[ids]
    shifted = values - top
    total: Any = jax.ops.segment_sum(jnp.exp(shifted), ids, count)[ids]
    return shifted - jnp.log(total) if log else jnp.exp(shifted) / total
