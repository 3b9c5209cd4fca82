"""Whole slices written, added or filled at positions of one dimension, and parts overwritten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, inplace, numpy_names, op
from jtoolbox.ops.basic_index import WHOLE, slice_entry, write_basic
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.gathering import check_fill_value, check_range
from jtoolbox.ops.indexing import cast_value, poisoned
from jtoolbox.ops.scattering import added, combine
from jtoolbox.ops.shape import broadcast_shape, diagonal, write_diagonal

__all__ = [
    *("index_add", "index_copy", "index_fill", "index_reduce", "masked_scatter"),
    *("diagonal_scatter", "select_scatter", "slice_scatter"),
]


def _prepared(name: str, input: Any, dim: int, index: Any, source: Any) -> tuple[Any, tuple, Any]:
    """The tensor, the NumPy index of its slices, and the source, after PyTorch's checks."""
    if index.ndim > 1:
        raise IndexError(
            f"{name}_(): Index is supposed to be a vector, but got dim: {index.ndim} with type: "
            f"{index.dtype} and size: {list(index.shape)}"
        )
    if index.dtype not in (np.int32, np.int64):
        raise RuntimeError(
            f"{name}_(): Expected dtype int32/int64 for index but got: {index.dtype}"
        )
    if source.dtype != input.dtype:
        raise RuntimeError(
            f"{name}_(): self ({input.dtype}) and source ({source.dtype}) must have the same "
            "scalar type"
        )
    dim = canonical_dim(dim, input.ndim)
    x, index, source = jnp.atleast_1d(input), jnp.atleast_1d(index), jnp.atleast_1d(source)
    if source.shape[dim : dim + 1] != index.shape:
        error = IndexError if name == "index_copy" else RuntimeError
        raise error(
            f"{name}_(): Number of indices ({index.shape[0]}) should be equal to source.size(dim): "
            f"({source.shape[dim] if dim < source.ndim else None}), for dim: {dim}"
        )
    if x.shape[:dim] + x.shape[dim + 1 :] != source.shape[:dim] + source.shape[dim + 1 :]:
        raise RuntimeError(
            "source tensor shape must match self tensor shape, excluding the specified dimension. "
            f"Got self.shape = {list(input.shape)} source.shape = {list(source.shape)}"
        )
    bounded = jnp.where(index < 0, x.shape[dim], index)  # no counting from the end here
    source = poisoned(source, bounded, x.shape[dim])
    return x, (slice(None),) * dim + (bounded,), source


def _check(input: Any, dim: int, index: Any, *_: Any, error: type = RuntimeError) -> None:
    dim = canonical_dim(dim, len(input.shape))
    check_range(index, input.shape[dim] if input.shape else 1, dim, error)


def _check_copy(input: Any, dim: int, index: Any, *_: Any) -> None:
    _check(input, dim, index, error=IndexError)


@op(check=_check, saves="none")
def index_add(input: Array, dim: int, index: Array, source: Array, *, alpha: Array = 1) -> Array:
    """`input` with `alpha` times the slices of `source` added at the positions in `index`."""
    x, places, source = _prepared("index_add", input, dim, index, source)
    scaled = (source * alpha).astype(x.dtype)
    return jnp.reshape(added(x, places, scaled), input.shape)


@op(check=_check_copy, saves="none")
def index_copy(input: Array, dim: int, index: Array, source: Array) -> Array:
    """`input` with the slices at the positions in `index` replaced by those of `source`."""
    x, places, source = _prepared("index_copy", input, dim, index, source)
    return jnp.reshape(x.at[places].set(source, mode="drop", unique_indices=True), input.shape)


@op(check=_check, saves="inputs", name="index_reduce", refuses=("complex",))
def _index_reduce(
    input: Array, dim: int, index: Array, source: Array, reduce: str, include_self: bool = True
) -> Array:
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise RuntimeError(
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got "
            f"{reduce}."
        )
    if input.dtype == np.bool_:
        raise NotImplementedError("index_reduce() is not implemented for 'Bool': use .int()")
    x, places, source = _prepared("index_reduce", input, dim, index, source)
    axis = len(places) - 1
    x, source = jnp.moveaxis(x, axis, 0), jnp.moveaxis(source, axis, 0)
    out = combine(x, places[-1:], source, reduce, include_self)
    return jnp.reshape(jnp.moveaxis(out, 0, axis), input.shape)


@numpy_names
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """`input` with the slices of `source` combined into it: "prod", "mean", "amax" or "amin"."""
    return _index_reduce(input, dim, index, source, reduce, include_self)


def _check_fill(input: Any, dim: int, index: Any, value: Any) -> None:
    check_fill_value(input, None, value)
    dim = canonical_dim(dim, len(input.shape))
    size = input.shape[dim] if input.shape else 1
    if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
        check_range(index + size * (index < 0), size, dim, IndexError)


@op(check=_check_fill, saves="none")
def index_fill(input: Array, dim: int, index: Array, value: Array) -> Array:
    """`input` with `value` in all slices of `dim` at the positions in `index`."""
    if np.ndim(value):
        raise RuntimeError(
            "index_fill_ only supports a 0-dimensional value tensor, but got tensor with "
            f"{np.ndim(value)} dimension(s)."
        )
    if index.ndim > 1:
        raise RuntimeError(f"Index has to be a vector/scalar, got shape {list(index.shape)}")
    if index.dtype not in (np.int32, np.int64):
        raise IndexError(f"index_fill_(): Expected dtype int64 for index, got {index.dtype}.")
    dim = canonical_dim(dim, input.ndim)
    x = jnp.atleast_1d(input)
    value = poisoned(cast_value(value, input.dtype), index, x.shape[dim])
    filled = jnp.zeros(x.shape[dim], bool).at[jnp.atleast_1d(index)].set(True, mode="drop")
    filled = jnp.reshape(filled, (-1,) + (1,) * (x.ndim - 1 - dim))
    return jnp.reshape(jnp.where(filled, value, x), input.shape)


def _check_masked_scatter(input: Any, mask: Any, source: Any) -> None:
    if isinstance(mask, np.ndarray) and mask.dtype == np.bool_:
        shape = broadcast_shape(input.shape, mask.shape)
        needed = int(mask.sum()) * (int(np.prod(shape)) // max(1, mask.size))
        if needed > int(np.prod(source.shape)):
            raise RuntimeError(
                "Number of elements of source < number of ones in mask: "
                f"{int(np.prod(source.shape))} < {needed}"
            )


@op(check=_check_masked_scatter, saves="none")
def masked_scatter(input: Array, mask: Array, source: Array) -> Array:
    """`input` with the elements of `source`, in order, in the places where `mask` is true.

    `mask` broadcasts with `input`. Too few elements raise RuntimeError, or give NaN where the
    mask's values are not known on the host.
    """
    if mask.dtype != np.bool_:
        raise RuntimeError(
            f"masked_scatter_ only supports boolean masks, but got mask with dtype {mask.dtype}"
        )
    if input.dtype != source.dtype:
        raise RuntimeError(
            "masked_scatter: expected self and source to have same dtypes but got "
            f"{input.dtype} and {source.dtype}"
        )
    shape = broadcast_shape(input.shape, mask.shape)
    input, mask = jnp.broadcast_to(input, shape), jnp.broadcast_to(mask, shape)
    order = jnp.reshape(jnp.cumsum(jnp.ravel(mask), dtype=np.int32) - 1, shape)
    taken = jnp.ravel(source).at[order].get(mode="fill", wrap_negative_indices=False)
    return jnp.where(mask, taken, input)


def _check_part(src: Any, part: Sequence[int]) -> None:
    if tuple(src.shape) != tuple(part):
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(part)}"
        )


@op(saves="none")
def diagonal_scatter(
    input: Array, src: Array, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> Array:
    """A copy of `input` with `src` on a diagonal; the copying form of writing to `diagonal`."""
    _check_part(src, diagonal(input, offset, dim1, dim2).shape)
    return write_diagonal(input, cast_value(src, input.dtype), offset, dim1, dim2)


@op(saves="none")
def select_scatter(input: Array, src: Array, dim: int, index: int) -> Array:
    """A copy of `input` with `src` in one slice; the copying form of writing to `select`."""
    dim = canonical_dim(dim, input.ndim)
    size = input.shape[dim]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(input.shape)} at "
            f"dimension {dim}"
        )
    _check_part(src, input.shape[:dim] + input.shape[dim + 1 :])
    return write_basic(input, src, (WHOLE,) * dim + ((index % size, None, 1),))


@op(saves="none")
def slice_scatter(
    input: Array, src: Array, dim: int = 0, start: int | None = None, end: int | None = None,
    step: int = 1,
) -> Array:  # fmt: skip
    """A copy of `input` with `src` in the slice start:end:step of dimension `dim`."""
    dim = canonical_dim(dim, input.ndim)
    size = input.shape[dim]
    entry, start = slice_entry(slice(start, end, step), size)
    first, count, stride = (0, size, 1) if entry == WHOLE else entry
    entry = (start if first is None else first, count, stride)
    _check_part(src, (*input.shape[:dim], entry[1], *input.shape[dim + 1 :]))
    return write_basic(input, cast_value(src, input.dtype), (WHOLE,) * dim + (entry,))


@op(saves="none", name="fill_diagonal")
def _fill_diagonal(input: Array, fill_value: Array, wrap: bool) -> Array:
    if input.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if input.ndim > 2 and len(set(input.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(int(np.prod(input.shape[i + 1 :])) for i in range(input.ndim))
    rows, columns = input.shape[0], input.shape[-1]
    tall = input.ndim == 2 and rows > columns and not wrap
    places = np.arange(0, columns * columns if tall else input.size, step)
    flat = jnp.ravel(input).at[places].set(cast_value(fill_value, input.dtype))
    return jnp.reshape(flat, input.shape)


def fill_diagonal(input: Any, fill_value: Any, wrap: bool = False) -> Any:
    """`Tensor.fill_diagonal_`: sets the main diagonal, in place for a Tensor.

    All dimensions of a tensor with more than two are equal. With `wrap`, the diagonal of a tall
    matrix starts again after each block of columns.
    """
    return inplace(input, _fill_diagonal(input, fill_value, wrap))
