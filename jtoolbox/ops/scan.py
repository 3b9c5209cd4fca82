"""Running results along one dimension: cumulative sums, products, extremes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops import return_types
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import is_integer
from jtoolbox.ops.halves import wide
from jtoolbox.ops.reduction import accumulated

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


def _along(f: Any, x: Array, dim: int) -> Array:
    """`f` along a dimension. Half precision is added up in float32, as in PyTorch."""
    axis = canonical_dim(dim, x.ndim)
    return f(wide(x), axis).astype(x.dtype) if x.ndim else x


@op(saves="none")
def cumsum(input: Array, dim: int, *, dtype: Any = None) -> Array:
    """The sum of the elements up to each one, along `dim`."""
    x = accumulated(input, dtype)
    dtypes.refuse("cumsum", x, "bool")
    return _along(jax.lax.cumsum, x, dim)


@op(saves="both")
def cumprod(input: Array, dim: int, *, dtype: Any = None) -> Array:
    """The product of the elements up to each one, along `dim`."""
    x = accumulated(input, dtype)
    dtypes.refuse("cumprod", x, "bool")
    return _along(jax.lax.cumprod, x, dim)


@op(saves="both")
def logcumsumexp(input: Array, dim: int) -> Array:
    """log(cumsum(exp(x))) along `dim`, without overflow."""
    if is_integer(input):
        raise NotImplementedError(
            f'"logcumsumexp" not implemented for {dtypes.from_numpy(input.dtype)}: use .float()'
        )
    return _along(jax.lax.cumlogsumexp, input, dim)


def _running(kind: Any, x: Array, dim: int, scan: Any) -> Any:
    """Values and indices of the extreme so far; of equal ones the last, and NaN beats all."""
    axis = canonical_dim(dim, x.ndim)
    index_dtype = dtypes.index_dtype()
    if x.ndim == 0:
        return kind(x, jnp.zeros((), index_dtype))
    fixed = jax.lax.stop_gradient(x)
    if x.dtype == bool:
        fixed = fixed.astype(jnp.uint8)
    found = fixed == scan(fixed, axis)
    if not is_integer(x):
        seen = jax.lax.cummax(jnp.isnan(fixed).astype(jnp.int32), axis) > 0
        found = jnp.where(seen, jnp.isnan(fixed), found)
    position = jax.lax.broadcasted_iota(index_dtype, x.shape, axis)
    index = jax.lax.cummax(jnp.where(found, position, 0), axis)
    return kind(jnp.take_along_axis(x, index, axis), index)


@op(saves="none", refuses=("complex",))
def cummax(input: Array, dim: int) -> tuple[Array, Array]:
    """The largest element so far and where it is, along `dim`: (values, indices)."""
    return _running(return_types.cummax, input, dim, jax.lax.cummax)


@op(saves="none", refuses=("complex",))
def cummin(input: Array, dim: int) -> tuple[Array, Array]:
    """The smallest element so far and where it is, along `dim`: (values, indices)."""
    return _running(return_types.cummin, input, dim, jax.lax.cummin)
