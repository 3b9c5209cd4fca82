"""Storages, and the tensors that are views of them.

A file keeps flat runs of bytes (storages); a tensor says which one, from where, with what sizes and
strides. Here those claims are checked and the values copied out in row-major order. Tensors of the
same storage, offset, sizes and strides come back as one object, so tied weights stay tied; tensors
that overlap otherwise come back with values of their own.

NOTE [A budget for views]
A stride of 0 lets a file of a few bytes declare a tensor of terabytes. What views may take beyond
the storages themselves is bounded by a multiple of the file's length.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.serialization.machine import Internal, describe, refuse
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.source import aligned_empty
from jtoolbox.serialization.tensors import Tensor, make_tensor

__all__ = ["Storage", "Storages"]

_BUDGET = 64 << 20
_BUDGET_FACTOR = 16
_MOST_DIMENSIONS = 64
_OUTSIDE = (
    "a tensor with offset {offset}, size {size} and stride {stride} lies outside its storage of "
    "{count} elements"
)
_OVER_BUDGET = (
    "a tensor of size {size} and stride {stride} repeats a storage of {count} elements; written "
    "out, such tensors would take far more memory than the file. Save it with .contiguous()"
)


class Storage(Internal):
    """A storage as the file names it: key, number of elements, their type, and where it was."""

    def __init__(
        self, pool: Storages, key: str, dtype: dtypes.dtype | None, nbytes: int, location: str
    ):
        self.pool = pool
        self.key = key
        self.dtype = dtype or dtypes.uint8
        self.nbytes = nbytes
        self.location = location

    def __str__(self) -> str:
        return f"storage {self.key}"

    def same(self, other: Storage) -> bool:
        """Whether the file says the same of both."""
        mine = (self.dtype, self.nbytes, self.location)
        return mine == (other.dtype, other.nbytes, other.location)


class Storages:
    """The storages of one file: `read(key)` gives the bytes of one in fresh memory."""

    def __init__(
        self,
        read: Callable[[str], np.ndarray],
        size_of: Callable[[str], int | None],
        placement: Placement,
        file_size: int,
        byteorder: str = "little",
    ):
        self._read = read
        self._size_of = size_of
        self._placement = placement
        self._budget = _BUDGET + _BUDGET_FACTOR * file_size
        self._swap = byteorder != sys.byteorder
        self._declared: dict[str, Storage] = {}
        self._bytes: dict[str, np.ndarray] = {}
        self._given_away: set[str] = set()
        self._tensors: dict[tuple[Any, ...], Tensor] = {}

    def declare(self, key: Any, dtype: dtypes.dtype | None, location: Any, count: Any) -> Storage:
        """The storage that a pickle names, checked against the bytes that the file has for it."""
        if type(key) is not str or type(location) is not str or not _is_size(count):
            raise refuse(f"storage {describe(key)} is described by values of the wrong type")
        storage = Storage(self, key, dtype, count * (dtype.itemsize if dtype else 1), location)
        known = self._declared.setdefault(key, storage)
        if not known.same(storage):
            raise refuse(f"storage {key} is described in two ways")
        self._check_size(storage)
        return known

    def _check_size(self, storage: Storage) -> None:
        present = self._size_of(storage.key)
        if present is None:
            raise refuse(f"storage {storage.key} is named but is not in the file")
        if present != storage.nbytes:
            raise refuse(
                f"storage {storage.key} has {present} bytes in the file and should have "
                f"{storage.nbytes}"
            )

    def tensor(
        self,
        storage: Storage,
        dtype: dtypes.dtype,
        offset: Any,
        size: Any,
        stride: Any,
        requires_grad: Any,
        flags: tuple[str, ...] = (),
    ) -> Any:
        """The tensor of this view; the same object when the file names the same view again."""
        count = storage.nbytes // dtype.itemsize
        _check_view(offset, size, stride, count)
        if type(requires_grad) is not bool:
            raise refuse("requires_grad is not a bool")
        if requires_grad and not (dtype.is_floating_point or dtype.is_complex):
            raise refuse(f"a tensor of type {dtype} is said to require grad")
        key = (storage.key, dtype, offset, size, stride, requires_grad, flags)
        if key not in self._tensors:
            values = self._values(storage, dtype, offset, size, stride)
            if "conj" in flags:
                values = np.conjugate(values)
            if "neg" in flags:
                values = np.negative(values)
            place = self._placement(storage.location)
            self._tensors[key] = make_tensor(values, requires_grad, place)
        return self._tensors[key]

    def _values(
        self,
        storage: Storage,
        dtype: dtypes.dtype,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
    ) -> np.ndarray:
        """The view's values in row-major order, in memory that nothing else holds."""
        raw = self._raw(storage.key)
        count = raw.size // dtype.itemsize
        flat = raw[: count * dtype.itemsize].view(_carrier(dtype))
        if self._is_whole(storage.key, offset, size, stride, count, dtype):
            self._given_away.add(storage.key)
            return flat.view(dtype.dtype).reshape(size)
        nbytes = math.prod(size) * dtype.itemsize
        self._budget -= nbytes
        if self._budget < 0:
            raise refuse(_OVER_BUDGET.format(size=size, stride=stride, count=count))
        values = aligned_empty(nbytes).view(flat.dtype).reshape(size)
        if values.size:
            steps = [step * dtype.itemsize for step in stride]
            view = np.lib.stride_tricks.as_strided(flat[offset:], size, steps, writeable=False)
            np.copyto(values, view)
        return _as_native(values, dtype, self._swap)

    def _is_whole(
        self,
        key: str,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        count: int,
        dtype: dtypes.dtype,
    ) -> bool:
        """Whether a view takes its whole storage as it lies, so that the memory can be its own."""
        return (
            not self._swap
            and dtype is not dtypes.bool
            and key not in self._given_away
            and offset == 0
            and math.prod(size) == count
            and _is_row_major(size, stride)
        )

    def _raw(self, key: str) -> np.ndarray:
        if key not in self._bytes:
            self._bytes[key] = self._read(key)
        return self._bytes[key]


def _is_size(x: Any) -> bool:
    return type(x) is int and x >= 0


def _check_view(offset: Any, size: Any, stride: Any, count: int) -> None:
    if not (_is_size(offset) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise refuse("a tensor is described by values of the wrong type")
    if len(size) != len(stride) or len(size) > _MOST_DIMENSIONS:
        raise refuse(f"a tensor has {len(size)} sizes and {len(stride)} strides")
    if not all(_is_size(n) for n in (*size, *stride)):
        raise refuse(f"a tensor has size {describe(size)} and stride {describe(stride)}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= count:
        raise refuse(_OUTSIDE.format(offset=offset, size=size, stride=stride, count=count))


def _is_row_major(size: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """Whether the elements lie in order without gaps; the stride along a size of 1 is any."""
    expected = 1
    for n, step in zip(reversed(size), reversed(stride), strict=True):
        if n != 1 and step != expected:
            return False
        expected *= n
    return True


def _carrier(dtype: dtypes.dtype) -> np.dtype:
    """The type that values are moved as: raw bytes for bool, where a file may hold any."""
    return np.dtype(np.uint8) if dtype is dtypes.bool else dtype.dtype


def _as_native(values: np.ndarray, dtype: dtypes.dtype, swap: bool) -> np.ndarray:
    if dtype is dtypes.bool:
        return np.minimum(values, 1, out=values).view(np.bool_)
    if swap:
        width = dtype.itemsize // 2 if dtype.is_complex else dtype.itemsize
        values.reshape(-1).view(f"u{width}").byteswap(inplace=True)
    return values
