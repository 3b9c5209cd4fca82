"""What programs ask of a tensor's storage: how many bytes, where, shared with whom.

Arrays never change and belong to JAX, so a storage is something to look at: the elements of the
base of a tensor and its views.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine.graph import ADDRESSED, OWNED, PINNED, TRACED, leaf_node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.realize import fresh
from jtoolbox.engine.record import value_of, wrap

_warned: list[bool] = []  # once in a process, as PyTorch

__all__ = ["TypedStorage", "UntypedStorage", "address", "base_of"]

_NO_BYTES = np.zeros(0, np.uint8)
_READ_ONLY = (
    "{name} of a storage is not supported: storages are to be looked at here, arrays never change "
    "in place. Write the tensor, by x.copy_(), x.fill_() or x.data = ..."
)
_DEPRECATED = (
    "TypedStorage is deprecated, as in PyTorch: use tensor.untyped_storage(), or the tensor itself"
)


def base_of(tensor: Any) -> Any:
    """What owns the elements of a tensor: itself, or what it is a view of."""
    link = tensor._view
    if link is None:
        return tensor
    base = link.family.base()
    return link.family if base is None else base


def address(base: Any) -> int:
    """Where the elements of a base begin in memory, 0 for none.

    They stay there until the tensor is written or the optimizer takes a step, which give it a new
    array. While a step is recorded or traced there is no memory: then a number that is the base's.
    """
    node = base._node
    recording = node.value is None and mode.capture is not None
    if recording or node.flags & TRACED:
        return id(base)
    value = value_of(node)
    if not math.prod(node.aval.shape):
        return 0
    if not node.flags & ADDRESSED:
        if not node.flags & OWNED:  # another tensor may have the same array
            node.value = value = fresh(value)
        node.flags = node.flags & ~OWNED | PINNED | ADDRESSED
    if isinstance(value, np.ndarray):
        return value.__array_interface__["data"][0]
    if len(value.devices()) > 1:
        return id(base)
    return value.unsafe_buffer_pointer()


class _Storage:
    """What both kinds share; the elements are those of `base`, a tensor or what is left of one."""

    def __init__(self, base: Any):
        self._base = base

    @property
    def _dtype(self) -> np.dtype:
        return self._base._node.aval.dtype

    @property
    def device(self) -> devices.device:
        """Where the elements lie."""
        placed = self._base._node.aval.device
        return devices.default_device() if placed is None else placed

    @property
    def is_cuda(self) -> bool:
        """Whether they lie on a GPU."""
        return self.device.type == "cuda"

    def nbytes(self) -> int:
        """The number of bytes."""
        return int(np.prod(self._base._node.aval.shape, dtype=np.int64)) * self._dtype.itemsize

    def data_ptr(self) -> int:
        """Where they begin in memory; see `Tensor.data_ptr`."""
        return address(self._base)

    def is_shared(self) -> bool:
        """False: no other process reads it."""
        return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Storage) and other._base is self._base

    def __hash__(self) -> int:
        return id(self._base)

    def _values(self) -> np.ndarray:
        raise NotImplementedError

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return self._values().tolist()

    def __getitem__(self, index: Any) -> Any:
        found = self._values()[index]
        return found.tolist()

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __setitem__(self, index: Any, value: Any) -> None:
        raise RuntimeError(_READ_ONLY.format(name="__setitem__"))

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Not there: raises RuntimeError."""
        raise RuntimeError(_READ_ONLY.format(name="copy_"))

    def fill_(self, value: Any) -> Any:
        """Not there: raises RuntimeError."""
        raise RuntimeError(_READ_ONLY.format(name="fill_"))

    def resize_(self, size: int) -> Any:
        """Not there: raises RuntimeError."""
        raise RuntimeError(_READ_ONLY.format(name="resize_"))


class UntypedStorage(_Storage):
    """The bytes behind a tensor and all its views, to be looked at: `x.untyped_storage()`.

    `nbytes()` is what the base takes, `data_ptr()` is equal for tensors that share elements. An
    element is a byte. Writing raises RuntimeError.
    """

    @classmethod
    def from_file(cls, filename: Any, shared: bool = False, nbytes: int = 0) -> UntypedStorage:
        """The first bytes of a file, read when they are looked at.

        RuntimeError for a file that is not there or is shorter, and for `shared`, by which writes
        would go to the file.
        """
        if shared:
            raise RuntimeError(_READ_ONLY.format(name="from_file(shared=True)"))
        try:
            found = np.memmap(filename, np.uint8, "r", shape=nbytes) if nbytes else _NO_BYTES
        except (OSError, ValueError) as error:
            raise RuntimeError(f"unable to map {nbytes} bytes of <{filename}>: {error}") from error
        return cls(wrap(leaf_node(found)))

    def _values(self) -> np.ndarray:
        return np.ascontiguousarray(_as_array(self._base)).reshape(-1).view(np.uint8)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._values(), dtype=dtype, copy=copy)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return UntypedStorage(wrap(leaf_node(self._values()[index])))
        return super().__getitem__(index)

    def size(self) -> int:
        """The number of bytes."""
        return self.nbytes()

    __len__ = size

    def element_size(self) -> int:
        """1: an element is a byte."""
        return 1

    def untyped(self) -> UntypedStorage:
        """Itself."""
        return self


class TypedStorage(_Storage):
    """The elements behind a tensor and all its views, to be looked at: `x.storage()`.

    Deprecated in PyTorch. Writing raises RuntimeError.
    """

    @property
    def dtype(self) -> dtypes.dtype:
        """The type of the elements."""
        return dtypes.from_numpy(self._dtype)

    def _values(self) -> np.ndarray:
        return _as_array(self._base).reshape(-1)

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self._dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self._dtype.itemsize

    def untyped(self) -> UntypedStorage:
        """The same as bytes."""
        return UntypedStorage(self._base)


def _as_array(base: Any) -> np.ndarray:
    return np.asarray(base.detach() if hasattr(base, "detach") else base._node.value)


def untyped_storage(self: Any) -> UntypedStorage:
    """What this tensor shares with its views: for `nbytes()` and `data_ptr()`."""
    return UntypedStorage(base_of(self))


def storage(self: Any) -> TypedStorage:
    """The elements that this tensor shares with its views. Deprecated: warns as PyTorch does."""
    if not _warned:
        _warned.append(True)
        warnings.warn(_DEPRECATED, UserWarning, stacklevel=2)
    return TypedStorage(base_of(self))
