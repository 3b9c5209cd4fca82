"""Reading parts of a file: every read is checked against the file's length and makes fresh memory.

NOTE [Fresh, aligned memory]
On CPU, JAX takes over a 64-byte aligned NumPy array without a copy and copies any other one. So
values are read from the file straight into aligned memory, which nothing else holds: neither the
mapping of a file, which may change or go away, nor a buffer that is used again.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

__all__ = ["ALIGNMENT", "Source", "aligned_empty", "is_path", "open_source"]

ALIGNMENT = 64
_CUT_SHORT = (
    "{name}: the file is cut short or damaged: {count} bytes at {offset} were asked for, "
    "and it has {size}. Copy or download it again."
)
_NOT_A_FILE = "expected a path or a binary file object with read, seek and tell, got {kind}"
_TEXT = "the file object gives text; open it in binary mode ('rb')"
_AT_ITS_END = "{name}: nothing to read: the file object is at its end; call f.seek(0) first"


def is_path(f: Any) -> bool:
    """Whether `f` names a file, rather than being an open one."""
    return isinstance(f, (str, os.PathLike))


def aligned_empty(nbytes: int) -> np.ndarray:
    """Uninitialised bytes that start at a multiple of 64. See NOTE [Fresh, aligned memory]."""
    raw = np.empty(nbytes + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


class Source:
    """A readable file from its present position on, with positions counted from there.

    `path` is None for a file object.
    """

    def __init__(self, file: IO[bytes], name: str, path: str | None = None):
        self.file = file
        self.name = name
        self.path = path
        self._start = file.tell()
        self.size = file.seek(0, os.SEEK_END) - self._start
        if self.size <= 0 and self._start > 0:
            raise RuntimeError(_AT_ITS_END.format(name=name))
        file.seek(self._start)

    def _go_to(self, offset: int, count: int) -> None:
        if offset < 0 or count < 0 or offset + count > self.size:
            raise self._cut_short(offset, count)
        self.file.seek(self._start + offset)

    def _cut_short(self, offset: int, count: int) -> RuntimeError:
        return RuntimeError(
            _CUT_SHORT.format(name=self.name, count=count, offset=offset, size=self.size)
        )

    def read(self, offset: int, count: int) -> bytes:
        """Exactly `count` bytes; RuntimeError when the file has fewer."""
        self._go_to(offset, count)
        data = self.file.read(count)
        if len(data) != count:
            raise self._cut_short(offset, count)
        return data

    def read_array(self, offset: int, count: int) -> np.ndarray:
        """Exactly `count` bytes in fresh, aligned memory."""
        self._go_to(offset, count)
        array = aligned_empty(count)
        view, filled = array.data, 0
        while filled < count:
            got = self.file.readinto(view[filled:])  # pyright: ignore[reportAttributeAccessIssue]
            if not got:
                raise self._cut_short(offset, count)
            filled += got
        return array


@contextlib.contextmanager
def open_source(f: Any) -> Iterator[Source]:
    """A `Source` over a path or a binary file object. A file object is left open."""
    if is_path(f):
        with open(f, "rb") as file:
            yield Source(file, os.fsdecode(f), os.fsdecode(f))
        return
    if not hasattr(f, "read"):
        raise TypeError(_NOT_A_FILE.format(kind=type(f).__name__))
    name = str(getattr(f, "name", type(f).__name__))
    yield Source(_seekable(f), name)


def _seekable(f: Any) -> IO[bytes]:
    """The file object itself, or its remaining contents where it cannot be read out of order."""
    if isinstance(f, io.TextIOBase):
        raise TypeError(_TEXT)
    can_seek = getattr(f, "seekable", lambda: hasattr(f, "seek"))()
    if can_seek and hasattr(f, "tell") and hasattr(f, "readinto"):
        return f
    data = f.read()
    if not isinstance(data, (bytes, bytearray)):
        raise TypeError(_TEXT)
    return io.BytesIO(data)
