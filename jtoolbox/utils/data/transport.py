"""Moving batches and datasets between processes through shared memory.

Pickle's protocol 5 hands over the big buffers of an object apart from the rest. They are copied
into a shared file and out of it again; what remains is small and goes through a pipe.

NOTE: shared memory without names. The files are anonymous (`memfd_create`; elsewhere a temporary
file that is unlinked at once), and reach the other process as descriptors. So nothing can be left
behind in /dev/shm, however a process ends, and a small /dev/shm (64 MB in a container) is no limit.
Space is reserved before it is written: without it there is an OSError here, and the batch goes
through the pipe, instead of a bus error there.

NOTE: slots. A worker has a ring of shared files, one for each batch it may be ahead, and reuses
them in turn; fresh files for every batch would cost more than the pipe. The receiver copies a batch
out of its slot before it asks for another one, so no slot is written while it is read.
"""

from __future__ import annotations

import copyreg
import errno
import io
import mmap
import os
import pickle
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from jtoolbox.tensor import Tensor, from_host
from jtoolbox.utils.data.arrays import ALIGNMENT, aligned_empty

SMALL = 4096  # Buffers up to this many bytes are cheaper through the pipe.
BYTES = np.dtype(np.uint8)


class SharedFile:
    """Memory shared with another process: reserved by one side, mapped by both.

    It travels to a child process as a descriptor, and only while that process is started.
    """

    def __init__(self, descriptor: int):
        self.descriptor = descriptor
        self.size = 0
        self.memory = np.empty(0, BYTES)

    def reserve(self, size: int) -> None:
        """Makes room for at least `size` bytes. Raises OSError when there is none."""
        if size <= self.size:
            return
        size = max(size, min(2 * self.size, size + (64 << 20)))
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.descriptor, 0, size)
        else:
            os.ftruncate(self.descriptor, size)
        self.attach(size)

    def attach(self, size: int) -> None:
        """Maps the first `size` bytes, which one of the sides has reserved."""
        if size > self.size:
            self.memory = np.frombuffer(mmap.mmap(self.descriptor, size), BYTES)
            self.size = size

    def private(self, size: int) -> np.ndarray:
        """The first `size` bytes as memory of one's own: shared until it is written to."""
        mapped = mmap.mmap(self.descriptor, size, access=mmap.ACCESS_COPY)
        return np.frombuffer(mapped, BYTES)

    def __reduce__(self) -> Any:
        return _received, (reduction.DupFd(self.descriptor),)  # type: ignore[attr-defined]

    def __del__(self, close: Any = os.close) -> None:
        close(self.descriptor)


def _received(descriptor: Any) -> SharedFile:
    return SharedFile(descriptor.detach())


def create_file() -> SharedFile | None:
    """An empty shared file, or None where the platform has no way to hand one over."""
    if not hasattr(reduction, "DupFd"):
        return None
    try:
        return SharedFile(os.memfd_create("jtoolbox"))
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as file:
            return SharedFile(os.dup(file.fileno()))


def _reduce_tensor(tensor: Tensor) -> Any:
    if tensor.requires_grad:
        return tensor.__reduce_ex__(5)
    return from_host, (np.asarray(tensor),)


class _Pickler(pickle.Pickler):
    """Pickles plain Tensors as host arrays, whose memory can go separately."""

    dispatch_table = {**copyreg.dispatch_table, Tensor: _reduce_tensor}


@dataclass
class Parcel:
    """A pickled object: its bytes, and where its buffers lie in the shared file.

    `size` is the shared file's, `note` is whatever the two sides agree on, and `trouble` says why
    there are no separate buffers although there might have been.
    """

    data: bytes
    places: list[tuple[int, int]] = field(default_factory=list)
    size: int = 0
    note: Any = None
    trouble: str | None = None


def pack(value: Any, file: SharedFile | None, note: Any = None) -> Parcel:
    """Pickles `value`, its big buffers into `file`, or all of it into bytes if that cannot be."""
    if file is None:
        return Parcel(_dumps(value), note=note)
    buffers: list[memoryview] = []
    data = _dumps(value, buffers)
    try:
        places = _places(buffers)
        if places:
            file.reserve(sum(places[-1]))
        for (start, size), buffer in zip(places, buffers, strict=True):
            file.memory[start : start + size] = np.frombuffer(buffer, BYTES)
        return Parcel(data, places, file.size, note)
    except OSError as error:
        trouble = os.strerror(error.errno or errno.ENOMEM)
        return Parcel(_dumps(value), note=note, trouble=trouble)


def unpack(parcel: Parcel, file: SharedFile | None, copy: bool = False) -> Any:
    """The object again. With `copy` its buffers are fresh, aligned memory; else the file's own,
    private to this process as soon as it writes to them."""
    if not parcel.places:
        return pickle.loads(parcel.data)
    assert file is not None
    if not copy:
        memory = file.private(sum(parcel.places[-1]))
        return pickle.loads(parcel.data, buffers=[memory[s : s + n] for s, n in parcel.places])
    file.attach(parcel.size)
    buffers = []
    for start, size in parcel.places:
        buffers.append(aligned_empty((size,), BYTES))
        buffers[-1][...] = file.memory[start : start + size]
    return pickle.loads(parcel.data, buffers=buffers)


def _dumps(value: Any, buffers: list[memoryview] | None = None) -> bytes:
    def apart(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes <= SMALL:
            return True
        buffers.append(raw)  # type: ignore[union-attr]
        return False

    file = io.BytesIO()
    _Pickler(file, 5, buffer_callback=None if buffers is None else apart).dump(value)
    return file.getvalue()


def _places(buffers: Sequence[memoryview]) -> list[tuple[int, int]]:
    places, start = [], 0
    for buffer in buffers:
        places.append((start, buffer.nbytes))
        start += -(-buffer.nbytes // ALIGNMENT) * ALIGNMENT
    return places


class Sender:
    """A worker's way of answering: each answer goes through the next slot of its ring."""

    def __init__(self, connection: Connection, slots: list[SharedFile]):
        self.connection = connection
        self.slots = slots
        self.count = 0

    def send(self, kind: str, value: Any) -> None:
        slot = self.slots[self.count % len(self.slots)] if self.slots else None
        parcel = pack(value, slot)
        self.count += 1
        self.connection.send((kind, parcel))


class Receiver:
    """The other end: takes answers in turn, and copies them out of the slots."""

    def __init__(self, connection: Connection, slots: list[SharedFile]):
        self.connection = connection
        self.slots = slots
        self.count = 0

    def receive(self) -> tuple[str, Any, str | None]:
        """(kind of the answer, its value, why shared memory was not used)"""
        kind, parcel = self.connection.recv()
        slot = self.slots[self.count % len(self.slots)] if self.slots else None
        self.count += 1
        return kind, unpack(parcel, slot, copy=True), parcel.trouble
