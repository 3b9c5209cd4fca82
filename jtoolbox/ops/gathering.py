"""Elements collected by position or by mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.host import host_value, like
from jtoolbox.ops.indexing import cast_value, check_bounds, getitem
from jtoolbox.ops.shape import broadcast_shape, broadcast_to, reshape

__all__ = [
    *("gather", "take", "take_along_dim", "index_select", "masked_select", "masked_fill"),
    *("nonzero", "argwhere"),
]


def check_index_dtype(name: str, index: Any, allowed: Sequence[Any] = (np.int32, np.int64)) -> None:
    """PyTorch's error for positions that are no int32 or int64."""
    if index.dtype not in [np.dtype(a) for a in allowed]:
        raise RuntimeError(
            f"{name}(): Expected dtype int32/int64 for index, got {index.dtype}. "
            "Convert it with .long()."
        )


def check_range(index: Any, size: int, dim: int, error: type = RuntimeError) -> None:
    """Raises `error` for a position that is negative or too large, where positions are known."""
    if isinstance(index, np.ndarray) and index.size and dtypes.kind(index.dtype) == 1:
        low, high = index.min(), index.max()
        if low < 0 or high >= size:
            bad = low if low < 0 else high
            raise error(f"index {bad} is out of bounds for dimension {dim} with size {size}")


def along(x: Any, index: Any, dim: int) -> tuple:
    """The NumPy index that walks `index` in dimension `dim` and counts in all others."""
    places = [
        jnp.reshape(jnp.arange(n, dtype=index.dtype), (-1,) + (1,) * (index.ndim - 1 - i))
        for i, n in enumerate(index.shape)
    ]
    places[dim] = index
    return tuple(places)


def check_index_shape(name: str, shape: Sequence[int], index: Any, dim: int) -> None:
    """Index and tensor have the same number of dimensions, and the index fits outside `dim`."""
    if max(1, index.ndim) != max(1, len(shape)):
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as input tensor, got "
            f"{list(index.shape)} and {list(shape)} in {name}()"
        )
    if any(n > m for i, (n, m) in enumerate(zip(index.shape, shape, strict=False)) if i != dim):
        raise RuntimeError(
            f"Size does not match at dimension {_too_large(shape, index, dim)} expected index "
            f"{list(index.shape)} to be no larger than self {list(shape)} apart from dimension "
            f"{dim}"
        )


def _too_large(shape: Sequence[int], index: Any, dim: int) -> int:
    return next(i for i, n in enumerate(shape) if i != dim and index.shape[i] > n)


def _check_gather(input: Any, dim: int, index: Any, sparse_grad: bool) -> None:
    dim = canonical_dim(dim, input.ndim if isinstance(input, np.ndarray) else len(input.shape))
    check_range(index, input.shape[dim] if input.shape else 1, dim)


# Their gradients sum what was taken more than once: halves in float32.
@op(check=_check_gather, saves="none", wide=True)
def gather(input: Array, dim: int, index: Array, *, sparse_grad: bool = False) -> Array:
    """The elements at the places that `index` names along `dim`.

    For dim 1 of three, out[i, j, k] = input[i, index[i, j, k], k]. `index` has as many dimensions
    as `input`, int32 or int64, and is no larger outside `dim`; the result has its shape. A place
    out of bounds raises RuntimeError, or gives NaN where places are not known on the host.
    `sparse_grad` is accepted and changes nothing.
    """
    if not index.size:
        return jnp.zeros(index.shape, input.dtype)
    check_index_dtype("gather", index)
    dim = canonical_dim(dim, input.ndim)
    check_index_shape("gather", input.shape, index, dim)
    if not index.ndim:
        return jnp.reshape(input, (1,)).at[index].get(mode="fill")
    x = jnp.atleast_1d(input)
    return x.at[along(x, index, dim)].get(mode="fill", wrap_negative_indices=False)


def _check_take(input: Any, index: Any) -> None:
    count = int(np.prod(input.shape, dtype=np.int64))
    if isinstance(index, np.ndarray) and index.size:
        bad = index[(index < -count) | (index >= count)]
        if bad.size:
            raise IndexError(
                f"out of range: tried to access index {bad.flat[0]} on a tensor of {count} "
                "elements."
            )


@op(check=_check_take, saves="none", wide=True)
def take(input: Array, index: Array) -> Array:
    """The elements at `index` (int64, any shape), counted over all of `input` row by row."""
    if index.dtype != dtypes.index_dtype():
        raise RuntimeError(f"take(): Expected a long tensor for index, but got {index.dtype}")
    return jnp.ravel(input).at[index].get(mode="fill")


def _check_take_along(input: Any, indices: Any, dim: int) -> None:
    check_bounds([indices], [canonical_dim(dim, len(input.shape))], input.shape)


@op(check=_check_take_along, saves="none", wide=True, name="take_along_dim")
def _take_along(input: Array, indices: Array, dim: int) -> Array:
    if indices.dtype != dtypes.index_dtype():
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {indices.dtype}"
        )
    if indices.ndim != input.ndim:
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, "
            f"but got {input.ndim} dimensions for input, and {indices.ndim} dimensions for indices"
        )
    dim = canonical_dim(dim, input.ndim)
    return jnp.take_along_axis(input, indices, axis=dim, mode="fill")


@numpy_names
def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """As `gather`, with the other dimensions of `input` and `indices` broadcast to each other.

    Without `dim`, both are read as one row of elements.
    """
    if dim is None:
        return gather(reshape(input, (-1,)), 0, reshape(indices, (-1,)))
    return _take_along(input, indices, dim)


def _check_index_select(input: Any, dim: int, index: Any) -> None:
    dim = canonical_dim(dim, len(input.shape))
    if isinstance(index, np.ndarray) and index.size and index.dtype.kind in "iu":
        size = input.shape[dim] if input.shape else 1
        low, high = index.min(), index.max()
        if low < 0 or high >= size:
            raise IndexError(
                f"index out of range in self: index {low if low < 0 else high} is out of bounds "
                f"for dimension {dim} with size {size}"
            )


@op(check=_check_index_select, saves="none", wide=True)
def index_select(input: Array, dim: int, index: Array) -> Array:
    """The slices of dimension `dim` at the positions in the vector `index`."""
    if index.ndim > 1:
        raise IndexError(
            f"index_select(): Index is supposed to be a vector, got shape {list(index.shape)}"
        )
    if index.dtype not in (np.int32, np.int64):
        raise RuntimeError(
            f"index_select(): Expected dtype int32 or int64 for index, got {index.dtype}"
        )
    dim = canonical_dim(dim, input.ndim)
    places = (slice(None),) * dim + (jnp.atleast_1d(index),)
    out = jnp.atleast_1d(input).at[places].get(mode="fill", wrap_negative_indices=False)
    return out if input.ndim else out[0]


@numpy_names
def masked_select(input: Any, mask: Any) -> Any:
    """The elements where `mask`, broadcast with `input`, is true, as a vector.

    Waits for the values of the mask, since the size of the result depends on them.
    """
    if dtypes.as_numpy(mask.dtype) != np.bool_:
        raise RuntimeError(f"masked_select: expected BoolTensor for mask, got {mask.dtype}")
    shape = broadcast_shape(mask.shape, input.shape)
    mask = np.broadcast_to(host_value(mask, "masked_select"), shape)
    if tuple(input.shape) != shape:
        input = broadcast_to(input, shape)
    return getitem(input, mask) if shape else reshape(getitem(input, bool(mask)), (-1,))


def check_fill_value(input: Any, mask: Any, value: Any) -> None:
    """RuntimeError for what the type of `input` cannot hold, as int64 and inf, float16 and 1e9."""
    kind = getattr(value, "dtype", None)
    if kind is not None and dtypes.kind(kind) == 3 and dtypes.kind(input.dtype) < 3:
        raise RuntimeError(
            f"value cannot be converted to type {input.dtype} without overflow: it is {kind}"
        )
    dtypes.check_number(value, input.dtype)


@op(saves="none", check=check_fill_value)
def masked_fill(input: Array, mask: Array, value: Array) -> Array:
    """`value`, a number or a tensor without dimensions, where `mask` is true; else `input`."""
    if mask.dtype != np.bool_:
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype "
            f"{mask.dtype}. Convert it with .bool()."
        )
    if np.ndim(value):
        raise RuntimeError(
            "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{np.ndim(value)} dimension(s)."
        )
    broadcast_shape(input.shape, mask.shape)
    return jnp.where(mask, cast_value(value, input.dtype), input)


@numpy_names
def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The positions of the elements that are not zero, int64, (count, dimensions) in row order.

    With `as_tuple`, one vector for each dimension, made for indexing: x[x.nonzero(as_tuple=True)].
    Waits for the values, since the size of the result depends on them.
    """
    value = host_value(input, "nonzero")
    if as_tuple:
        return tuple(like(input, i.astype(np.int64)) for i in np.nonzero(np.atleast_1d(value)))
    return like(input, np.argwhere(value).astype(np.int64))


def argwhere(input: Any) -> Any:
    """`nonzero` under NumPy's name."""
    return nonzero(input)
