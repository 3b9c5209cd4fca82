"""PyTorch's zip format: `data.pkl` names the storages, `data/0`, `data/1` ... hold their bytes.

Entries are stored, never compressed, and those of storages start at multiples of 64 bytes, so that
PyTorch can map them.
"""

from __future__ import annotations

import io
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Any

import numpy as np

from jtoolbox.serialization.allowed import StorageType, find_global
from jtoolbox.serialization.machine import Machine, Stream, refuse
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.source import ALIGNMENT, Source
from jtoolbox.serialization.storages import Storages
from jtoolbox.serialization.tensors import host_bytes

__all__ = ["Archive", "load_archive", "save_archive"]

_ROOT = "archive"
_MOST_THREADS = 8
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")
_ZIP64_EXTRA = 20
_DIRECTORY_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, ValueError, KeyError, IndexError),
    *(OverflowError, EOFError, struct.error),
)
_NO_DIRECTORY = (
    "{name}: PytorchStreamReader failed reading zip archive: {error}. The file is cut short or "
    "damaged: copy or download it again"
)
_NO_PICKLE = "{name}: a zip archive without {missing}, so not a checkpoint{hint}"
_TORCHSCRIPT = (
    "{name}: a TorchScript archive, which holds a program. In PyTorch, save its weights: "
    "torch.save(torch.jit.load(path).state_dict(), new_path)"
)


class Archive:
    """The entries of a zip file, each checked to be stored, whole, and within the file."""

    def __init__(self, source: Source):
        self.source = source
        try:
            directory = zipfile.ZipFile(_Positioned(source))  # pyright: ignore[reportArgumentType]
        except (*_DIRECTORY_ERRORS, _BeforeStart) as error:
            raise RuntimeError(_NO_DIRECTORY.format(name=source.name, error=error)) from error
        self.entries = {entry.filename: entry for entry in directory.infolist()}
        sizes = [entry.file_size for entry in self.entries.values()]
        if len(sizes) != len(directory.infolist()):
            raise self._damaged("two entries have one name")
        if sum(sizes) > source.size:
            raise self._damaged("its entries overlap")
        self.root = self._find_root()
        self._executor = ThreadPoolExecutor(min(os.cpu_count() or 1, _MOST_THREADS))
        self._sums: list[tuple[zipfile.ZipInfo, Future[int]]] = []

    def _damaged(self, error: str) -> RuntimeError:
        return RuntimeError(_NO_DIRECTORY.format(name=self.source.name, error=error))

    def _find_root(self) -> str:
        """The folder that all entries of a checkpoint lie in."""
        roots = [name[: -len("/data.pkl")] for name in self.entries if name.endswith("/data.pkl")]
        if len(roots) != 1:
            arrays = any(name.endswith(".npy") for name in self.entries)
            hint = "; numpy.load reads it" if arrays else ""
            missing = "data.pkl" if not roots else "a single data.pkl"
            name = self.source.name
            raise RuntimeError(_NO_PICKLE.format(name=name, missing=missing, hint=hint))
        if f"{roots[0]}/constants.pkl" in self.entries:
            raise RuntimeError(_TORCHSCRIPT.format(name=self.source.name))
        return roots[0]

    def size_of(self, name: str) -> int | None:
        """How many bytes an entry has; None when it is absent."""
        entry = self.entries.get(f"{self.root}/{name}")
        return None if entry is None else entry.file_size

    def read(self, name: str) -> np.ndarray:
        """The bytes of an entry in fresh, aligned memory."""
        entry = self.entries[f"{self.root}/{name}"]
        data = self.source.read_array(self._find(entry), entry.file_size)
        # torch.serialization.set_crc32_options(False) leaves the sum at 0.
        if entry.CRC:
            self._sums.append((entry, self._executor.submit(zlib.crc32, data.data)))
        return data

    def check_sums(self) -> None:
        """RuntimeError unless the bytes of every entry read so far agree with their checksum.

        The sums are formed on other threads while further entries are read. PyTorch leaves them
        unchecked; without them a changed bit on the disk is a changed weight.
        """
        for entry, found in self._sums:
            if found.result() != entry.CRC:
                raise self._damaged(
                    f"the bytes of {entry.filename} do not agree with their checksum"
                )
        self._sums.clear()

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: Any) -> None:
        self._executor.shutdown(cancel_futures=True)

    def _find(self, entry: zipfile.ZipInfo) -> int:
        """Where the bytes of an entry begin."""
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise refuse(f"{self.source.name}: {entry.filename} is compressed")
        if entry.flag_bits & 1:
            raise refuse(f"{self.source.name}: {entry.filename} is encrypted")
        start = entry.header_offset
        header = _LOCAL_HEADER.unpack(self.source.read(start, _LOCAL_HEADER.size))
        start += _LOCAL_HEADER.size
        name = self.source.read(start, header[9])
        if header[0] != b"PK\x03\x04" or name != entry.orig_filename.encode():
            raise self._damaged(f"the header of {entry.filename} is not where the directory says")
        return start + header[9] + header[10]

    def byteorder(self) -> str:
        """ "little" or "big"; files from before PyTorch wrote it are little-endian."""
        size = self.size_of("byteorder")
        if size is None:
            return "little"
        order = bytes(self.read("byteorder")) if size < 8 else b""
        if order not in (b"little", b"big"):
            raise refuse(f"{self.source.name}: unknown byte order {order!r}")
        return order.decode()


class _BeforeStart(OSError):
    """What `zipfile` expects of a seek to before the start of a file."""


class _Positioned(io.RawIOBase):
    """A `Source` as the file object that `zipfile` reads the directory from."""

    def __init__(self, source: Source):
        self._source = source
        self._at = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        at = offset + (0, self._at, self._source.size)[whence]
        if at < 0:
            raise _BeforeStart("a position before the start of the file")
        self._at = at
        return at

    def read(self, size: int = -1) -> bytes:
        left = max(self._source.size - self._at, 0)
        count = left if size is None or size < 0 else min(size, left)
        data = self._source.read(self._at, count) if count else b""
        self._at += count
        return data


def load_archive(source: Source, placement: Placement) -> Any:
    """The object in a file of the zip format."""
    with Archive(source) as archive:
        storages = Storages(
            lambda key: archive.read(f"data/{key}"),
            lambda key: archive.size_of(f"data/{key}"),
            placement,
            source.size,
            archive.byteorder(),
        )
        pickled = Source(io.BytesIO(archive.read("data.pkl").data), source.name)
        archive.check_sums()
        result = Machine(Stream(pickled), find_global, _declarer(storages)).run()
        archive.check_sums()
        return result


def _declarer(storages: Storages) -> Callable[[tuple[Any, ...]], Any]:
    def persistent_load(identity: tuple[Any, ...]) -> Any:
        if len(identity) != 5 or identity[0] != "storage" or type(identity[1]) is not StorageType:
            raise refuse("a persistent id names something else than a storage")
        kind, key, location, count = identity[1:]
        return storages.declare(key, kind.dtype, location, count)

    return persistent_load


def save_archive(pickled: bytes, storages: list[Any], file: IO[bytes]) -> None:
    """Writes a pickle and the tensors whose bytes belong to it."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        _write(archive, "data.pkl", pickled)
        _write(archive, "byteorder", sys.byteorder.encode())
        for key, storage in enumerate(storages):
            _write(archive, f"data/{key}", host_bytes(storage).data)
        _write(archive, "version", b"3\n")


def _write(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """Adds an entry whose bytes start at a multiple of 64, by padding its header."""
    entry = zipfile.ZipInfo(f"{_ROOT}/{name}")
    entry.file_size = len(data)
    start = archive.start_dir + _LOCAL_HEADER.size + len(entry.filename)
    wide = len(data) * 1.05 > zipfile.ZIP64_LIMIT
    padding = -(start + 4 + (_ZIP64_EXTRA if wide else 0)) % ALIGNMENT
    entry.extra = struct.pack("<2sH", b"FB", padding) + bytes(padding)
    with archive.open(entry, "w", force_zip64=wide) as target:
        target.write(data)
