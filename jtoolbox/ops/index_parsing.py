"""Takes an index such as x[0, 1:3, None, mask] apart, with PyTorch's rules and errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine.graph import Handle
from jtoolbox.ops.basic_index import WHOLE, integer_entry, slice_entry
from jtoolbox.ops.host import host_value

__all__ = ["Parsed", "is_mask", "parse"]

_BAD_INDEX = (
    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid "
    "indices (got {})"
)
_BAD_TENSOR = "tensors used as indices must be long, int, byte or bool tensors, got {}"
_ZERO_DIM = (
    "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ "
    "to convert a 0-dim tensor to a number"
)


class Parsed(NamedTuple):
    """An index in parts: layout and starts of the view, then (dimension of the view, index)."""

    layout: tuple
    starts: list[int]
    scalars: list[tuple[int, Any]]
    advanced: list[tuple[int, Any]]


def parse(index: Any, shape: Sequence[int]) -> Parsed:
    """Takes an index apart; every error of an index that does not fit `shape` is raised here."""
    items = index if index.__class__ is tuple else _items(index)
    parsed = Parsed((), [], [], [])
    layout: list[Any] = []
    ndim = len(shape)
    dim = place = 0  # the next dimension of the tensor, and of the view
    for item in items:
        kind = item.__class__
        if kind is slice or kind is int:
            if dim == ndim:
                raise _too_many(ndim)
            if kind is slice:
                entry, start = slice_entry(item, shape[dim])
                place += 1
            else:
                entry, start = integer_entry(item, dim, shape[dim])
            if start is not None:
                parsed.starts.append(start)
            layout.append(entry)
            dim += 1
        elif item is None:
            layout.append(None)
            place += 1
        elif item is Ellipsis:
            skipped = max(0, ndim - _consumed(items)) if dim < ndim else 0
            layout.extend([WHOLE] * skipped)
            dim += skipped
            place += skipped
        else:
            used, item = _tensor_index(item)
            if item is True or item is False:
                layout.append(None)
                item = np.zeros(int(item), np.int64)
                used, target = 1, parsed.advanced
            elif item.__class__ is int:
                if dim == ndim:
                    raise _too_many(ndim)
                entry, start = integer_entry(item, dim, shape[dim])
                if start is not None:
                    parsed.starts.append(start)
                layout.append(entry)
                dim += 1
                continue
            else:
                _check_fits(item, used, dim, place, shape)
                layout.extend([WHOLE] * used)
                dim += used
                target = parsed.advanced if item.ndim else parsed.scalars
            target.append((place, item))
            place += used
    while layout and layout[-1] == WHOLE and layout[-1] is not None:
        layout.pop()
    return parsed._replace(layout=tuple(layout))


def _too_many(ndim: int) -> IndexError:
    return IndexError(f"too many indices for tensor of dimension {ndim}" if ndim else _ZERO_DIM)


def _items(index: Any) -> tuple:
    """An index that is no tuple. A short list of sequences or slices stands for a tuple, as in
    PyTorch; any other list is a list of positions."""
    if index.__class__ is not list or len(index) >= 32:
        return (index,)
    nested = (list, tuple, range, slice, np.ndarray, jax.Array, Handle, type(None), type(...))
    return tuple(index) if any(isinstance(item, nested) for item in index) else (index,)


def _consumed(items: tuple) -> int:
    """How many dimensions of the tensor the items take."""
    count = 0
    for item in items:
        if item is None or item is Ellipsis or isinstance(item, bool):
            continue
        count += 1 if item.__class__ in (int, slice) else _tensor_index(item)[0]
    return count


def _tensor_index(item: Any) -> tuple[int, Any]:
    """How many dimensions an item takes, and the item as int, bool, or array with a dtype."""
    if isinstance(item, bool):
        return 0, item
    if isinstance(item, (list, tuple, range)):
        item = _from_sequence(item)
    if isinstance(item, np.ndarray) and not item.ndim:
        item = item[()]
        if isinstance(item, np.bool_):
            return 0, bool(item)
    if isinstance(item, (int, np.integer)):
        return 1, int(item)
    if not hasattr(item, "dtype") or not hasattr(item, "shape") or isinstance(item, np.generic):
        number = getattr(item, "__index__", None)
        if number is not None:
            return 1, number()
        raise IndexError(_BAD_INDEX.format(type(item).__name__))
    dtype = np.dtype(dtypes.as_numpy(item.dtype))
    if dtype == np.bool_ or dtype == np.uint8:
        if not item.ndim:
            return 0, bool(host_value(item, "indexing with a mask"))
        return item.ndim, item
    if dtype not in (np.int64, np.int32) and not _plain_integers(item, dtype):
        raise IndexError(_BAD_TENSOR.format(dtype))
    return 1, item


def _plain_integers(item: Any, dtype: np.dtype) -> bool:
    """NumPy and JAX arrays may hold any integers; Tensors must be int32 or int64, as PyTorch's."""
    return not isinstance(item, Handle) and np.issubdtype(dtype, np.integer)


def _from_sequence(item: Any) -> Any:
    if any(isinstance(v, Handle) for v in item):
        item = [host_value(v, "a list of tensors as an index").tolist() for v in item]
    array = np.asarray(item)
    if array.dtype.kind in "US":
        raise TypeError(f"new(): invalid data type 'str' in the index {item!r}")
    return array if array.size else array.astype(np.int64)


def _check_fits(item: Any, used: int, dim: int, place: int, shape: Sequence[int]) -> None:
    if dim + used > len(shape):
        raise _too_many(len(shape))
    if not is_mask(item):
        return
    for i, (n, size) in enumerate(zip(item.shape, shape[dim:], strict=False)):
        if n != size:
            raise IndexError(
                f"The shape of the mask {list(item.shape)} at index {i} does not match the shape "
                f"of the indexed tensor {list(shape)} at index {dim + i}"
            )


def is_mask(item: Any) -> bool:
    """Whether an index tensor selects by truth rather than by position."""
    return dtypes.as_numpy(item.dtype) in (np.dtype(np.bool_), np.dtype(np.uint8))
