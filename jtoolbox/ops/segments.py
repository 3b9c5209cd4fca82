"""Reductions of consecutive segments, and positions counted in several dimensions."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.gathering import check_range
from jtoolbox.ops.halves import wide
from jtoolbox.ops.host import host_value
from jtoolbox.ops.indexing import cast_value, poisoned
from jtoolbox.ops.scattering import added

__all__ = ["nonzero_static", "put", "renorm", "segment_reduce", "unravel_index"]

_EMPTY = {"sum": 0.0, "mean": math.nan, "max": -math.inf, "min": math.inf, "prod": 1.0}


@op(name="segment_reduce", saves="both")
def _segment_reduce(
    data: Array, ids: Array, count: int, reduce: str, axis: int, initial: float | None
) -> Array:
    x = jnp.moveaxis(wide(data), axis, 0)
    step = "sum" if reduce == "mean" else reduce
    function = getattr(jax.ops, f"segment_{step}")
    out = function(x, ids, count)
    sizes = jax.ops.segment_sum(jnp.ones(ids.shape, x.dtype), ids, count)
    sizes = jnp.reshape(sizes, (-1,) + (1,) * (x.ndim - 1))
    start = _EMPTY[reduce] if initial is None else initial
    if initial is not None:
        join = {"max": jnp.maximum, "min": jnp.minimum, "prod": jnp.multiply}
        out = join.get(reduce, jnp.add)(out, initial)
    if reduce == "mean":
        out = out / jnp.where(sizes == 0, 1, sizes)
    out = jnp.where(sizes == 0, jnp.asarray(start, out.dtype), out)
    return jnp.moveaxis(out, 0, axis).astype(data.dtype)


def segment_reduce(
    data: Any,
    reduce: str,
    *,
    lengths: Any = None,
    indices: Any = None,
    offsets: Any = None,
    axis: int = 0,
    unsafe: bool = False,
    initial: float | None = None,
) -> Any:
    """Reduces consecutive segments of dimension `axis`: "sum", "mean", "max", "min" or "prod".

    Either `lengths` of the segments, which add up to the size of that dimension, or `offsets` with
    the start of each and the end of the last. Both are read at once, and have one dimension;
    RuntimeError otherwise. An empty segment gives `initial`, or 0, NaN, -inf, inf and 1.
    """
    if reduce not in _EMPTY:
        raise RuntimeError(f"unsupported reduction given! Expected one of {list(_EMPTY)}")
    if lengths is None and offsets is None:
        raise RuntimeError("segment_reduce(): Either lengths or offsets must be defined.")
    given = host_value(lengths if offsets is None else offsets, "segment_reduce")
    if given.ndim != 1:
        raise RuntimeError(
            "segment_reduce() takes lengths or offsets of one dimension here, got shape "
            f"{list(given.shape)}. Reduce each row in a call of its own."
        )
    counts = given if offsets is None else np.diff(given)
    axis = canonical_dim(axis, data.ndim)
    if not unsafe and (counts.sum() != data.shape[axis] or (counts < 0).any()):
        raise RuntimeError(
            "segment_reduce(): Expected all rows of lengths along axis to sum to "
            f"data.size(lengths.dim()-1) when !unsafe, got {counts.sum()} for {data.shape[axis]}"
        )
    ids = np.repeat(np.arange(len(counts)), counts)
    return _segment_reduce(data, ids, len(counts), reduce, axis, initial)


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """The coordinates in a tensor of `shape` of positions counted row by row."""
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    if any(n < 0 for n in sizes):
        raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    if dtypes.kind(np.dtype(dtypes.as_numpy(indices.dtype))) != 1:
        raise TypeError(
            f"expected 'indices' to be integer dtype, but got {dtypes.from_numpy(indices.dtype)}"
        )
    return tuple(_unravel(indices, sizes))


@op(differentiable=False, name="unravel_index")
def _unravel(indices: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    indices = indices.astype(dtypes.index_dtype())
    steps = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    return tuple((indices // step) % n for step, n in zip(steps, shape, strict=True))


def _check_put(input: Any, index: Any, source: Any, accumulate: bool) -> None:
    count = int(np.prod(input.shape, dtype=np.int64))
    if isinstance(index, np.ndarray) and index.size and index.dtype.kind in "iu":
        check_range(np.where(index < 0, index + count, index), count, 0, IndexError)


@op(saves="none", check=_check_put)
def put(input: Array, index: Array, source: Array, accumulate: bool = False) -> Array:
    """`input` with the elements of `source` at positions `index`, counted row by row.

    With `accumulate` they are added; without, one wins where positions repeat. IndexError for a
    position out of bounds, RuntimeError for other types or numbers of elements.
    """
    if index.dtype != dtypes.index_dtype():
        raise RuntimeError(f"put_(): Expected a long tensor for index, but got {index.dtype}")
    if source.dtype != input.dtype:
        raise RuntimeError(
            "put_(): self and source expected to have the same dtype, but got self.dtype = "
            f"{input.dtype} and source.dtype = {source.dtype}"
        )
    if source.size != index.size:
        raise RuntimeError(
            f"put_(): Expected source and index to have the same number of elements, got "
            f"{source.size} and {index.size}"
        )
    places = jnp.ravel(index)
    values = poisoned(jnp.ravel(cast_value(source, input.dtype)), places, input.size)
    flat = jnp.ravel(input)
    if accumulate:
        return jnp.reshape(added(flat, (places,), values), input.shape)
    return jnp.reshape(flat.at[places].set(values, mode="drop"), input.shape)


@op(saves="both", refuses=("bool", "int"))
def renorm(input: Array, p: float, dim: int, maxnorm: float) -> Array:
    """`input` with every slice along `dim` whose p-norm is above `maxnorm` scaled down to it."""
    if input.ndim < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions"
        )
    dim = canonical_dim(dim, input.ndim)
    axes = tuple(i for i in range(input.ndim) if i != dim)
    size = jnp.abs(input)
    if p == math.inf:
        norm = jnp.max(size, axes, keepdims=True)
    else:
        norm = jnp.sum(size**p, axes, keepdims=True) ** (1 / p)
    scale = jnp.where(norm > maxnorm, maxnorm / (norm + 1e-7), 1)
    return input * scale.astype(input.dtype)


@op(differentiable=False)
def nonzero_static(input: Array, *, size: int, fill_value: int = -1) -> Array:
    """The first `size` positions that are not zero, (size, dimensions), filled up at the end.

    The shape does not depend on values, so that it also works under `jit`.
    """
    if not input.size or not input.ndim:  # JAX fills with 0 where there are no elements
        return jnp.full((size, input.ndim), fill_value, dtypes.index_dtype())
    found = jnp.nonzero(input, size=size, fill_value=fill_value)
    return jnp.stack(found, -1).astype(dtypes.index_dtype())
