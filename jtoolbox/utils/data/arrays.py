"""Host arrays for batches: aligned memory, stacking samples, gathering rows.

NOTE: aligned memory. JAX takes a NumPy array on the CPU without a copy when it starts at a multiple
of 64 bytes, and copies it otherwise (38 MB: microseconds against 19 ms). So every batch is built in
a fresh aligned buffer, which nobody writes again: the device's array may be that very memory.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.tensor import from_host

ALIGNMENT = 64
WORTH_ALIGNING = 4096  # Bytes; below, a copy costs less than the alignment.

UNEQUAL = (
    "stack expects each tensor to be equal size, but got {first} at entry 0 and {other} at entry "
    "{place}. Make the samples equal in __getitem__ (crop, pad, resize), or pass a collate_fn that "
    "pads them or keeps them in a list."
)


def is_numeric(dtype: np.dtype) -> bool:
    """Whether a Tensor can hold this type: booleans and numbers, no strings, dates or objects."""
    return dtype.kind in "biufc" or dtype == dtypes.bfloat16.dtype


def aligned_empty(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """An uninitialised array; unless it is small, its memory starts at a multiple of 64 bytes."""
    size = math.prod(shape) * dtype.itemsize
    if size < WORTH_ALIGNING:
        return np.empty(shape, dtype)
    memory = np.empty(size + ALIGNMENT, np.uint8)
    start = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[start : start + size].view(dtype).reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A copy in fresh aligned memory."""
    copy = aligned_empty(array.shape, array.dtype)
    copy[...] = array
    return copy


def stack(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Samples (*) as one array (N, *), of their common type as PyTorch promotes.

    Raises RuntimeError when the shapes differ.
    """
    first = arrays[0]
    shape, kinds = first.shape, {a.dtype for a in arrays}
    dtype = first.dtype if len(kinds) == 1 else functools.reduce(dtypes.promote_types, kinds)
    batch = aligned_empty((len(arrays), *shape), dtype)
    for place, array in enumerate(arrays):
        if array.shape != shape:
            raise RuntimeError(
                UNEQUAL.format(first=list(shape), other=list(array.shape), place=place)
            )
        batch[place] = array
    return batch


def gather(array: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """`array[rows]` in fresh aligned memory, for integer rows."""
    in_range = rows.size > 0 and rows.view(np.uintp).max() < len(array)
    if not (in_range and array.flags.c_contiguous):
        return aligned_copy(array[rows])
    batch = aligned_empty((len(rows), *array.shape[1:]), array.dtype)
    # With mode="raise" NumPy would gather into a buffer of its own first; the rows are checked.
    return array.take(rows, axis=0, out=batch, mode="clip")


class Columns(Sequence):
    """A batch that is gathered already: one array (N, *) for each column of a dataset.

    A dataset's `__getitems__` may return it in place of a list of samples. The default collation
    takes the columns as they are; to everyone else it is the sequence of samples, tuples of
    Tensors. The arrays must be fresh: nobody writes to them afterwards.
    """

    def __init__(self, columns: Sequence[np.ndarray]):
        self.columns = list(columns)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return list(self)[place]
        return tuple(from_host(np.asarray(column[place])) for column in self.columns)

    def __iter__(self) -> Iterator[tuple]:
        return (self[place] for place in range(len(self)))
