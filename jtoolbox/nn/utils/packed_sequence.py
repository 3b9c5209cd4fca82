"""The batch of sequences of different lengths that recurrent layers take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import jax
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Handle
from jtoolbox.nn.functional import packing
from jtoolbox.ops.host import like
from jtoolbox.tensor import from_host

__all__ = ["PackedSequence", "host_like", "invert_permutation"]


class _Fields(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Fields):
    """Sequences of different lengths in one tensor without padding; recurrent layers take it.

    `data` (S, *) has the rows of all sequences: first all first steps, then all second steps.
    `batch_sizes` (T) says how many sequences have each step; it lies on the host. Where sequences
    were sorted by length, `sorted_indices` (N) says how and `unsorted_indices` is the inverse.
    Made by `pack_padded_sequence` and `pack_sequence`; `PackedSequence(new_data, *packed[1:])`
    replaces the data. To JAX it is a pytree, with the batch sizes as its static part: a program is
    compiled for each pattern of lengths. Sort or bucket batches by length to have few.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Any = None,
        sorted_indices: Any = None,
        unsorted_indices: Any = None,
    ) -> Self:
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError(
                    "Expected data to be a list or tuple of length 2, (data, batch_sizes), where "
                    f"batch_sizes is not given; got {type(data).__name__}"
                )
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def _with(self, data: Any) -> Self:
        """The same sequences with other data; itself if the data is the same."""
        if data is self.data:
            return self
        device = data.device
        indices = [None if i is None else i.to(device) for i in self[2:]]
        return type(self)(data, self.batch_sizes, *indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """`data` on another device or of another dtype, as `Tensor.to`; the indices follow it."""
        return self._with(self.data.to(*args, **kwargs))

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """The same on the GPU."""
        return self._with(self.data.cuda(*args, **kwargs))

    def cpu(self) -> Self:
        """The same on the CPU."""
        return self._with(self.data.cpu())

    def double(self) -> Self:
        """`data` as float64."""
        return self.to(dtypes.float64)

    def float(self) -> Self:
        """`data` as float32."""
        return self.to(dtypes.float32)

    def half(self) -> Self:
        """`data` as float16."""
        return self.to(dtypes.float16)

    def long(self) -> Self:
        """`data` as int64."""
        return self.to(dtypes.int64)

    def int(self) -> Self:
        """`data` as int32."""
        return self.to(dtypes.int32)

    def short(self) -> Self:
        """`data` as int16."""
        return self.to(dtypes.int16)

    def char(self) -> Self:
        """`data` as int8."""
        return self.to(dtypes.int8)

    def byte(self) -> Self:
        """`data` as uint8."""
        return self.to(dtypes.uint8)

    def pin_memory(self) -> Self:
        """Itself: transfers need no pinned memory here."""
        return self

    def is_pinned(self) -> bool:
        """Whether `data` lies in pinned memory: never, here."""
        return False

    @property
    def is_cuda(self) -> bool:
        """Whether `data` lies on a GPU."""
        return self.data.is_cuda


def _flatten(packed: PackedSequence) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    sizes = packing.host_integers(packed.batch_sizes, "batch_sizes")
    return (packed.data, *packed[2:]), tuple(sizes.tolist())


def _unflatten(sizes: tuple[int, ...], children: Sequence[Any]) -> PackedSequence:
    # Not through the constructor: JAX fills its trees with things that are no arrays, too.
    data, sorted_indices, unsorted_indices = children
    host = np.array(sizes, np.int64)
    fields = data, host_like(data, host), sorted_indices, unsorted_indices
    return tuple.__new__(PackedSequence, fields)


jax.tree_util.register_pytree_node(PackedSequence, _flatten, _unflatten)


def host_like(x: Any, value: np.ndarray) -> Any:
    """A host result: a Tensor on the host where `x` is a Tensor, else a NumPy array."""
    return from_host(value) if isinstance(x, Handle) else value


def invert_permutation(permutation: Any) -> Any:
    """The permutation (N) that undoes another one; None for None.

    Raises RuntimeError where the numbers from 0 to N - 1 do not each occur.
    """
    if permutation is None:
        return None
    order = packing.known(permutation)
    if order is None:
        return permutation.argsort()
    inverse = np.argsort(order, kind="stable")
    if not np.array_equal(order[inverse], np.arange(len(order))):
        raise RuntimeError(f"expected a permutation of {len(order)} numbers, got {order.tolist()}")
    return like(permutation, inverse.astype(np.int64))
