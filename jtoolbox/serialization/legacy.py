"""PyTorch's format before 1.6: four pickles in a row, then the storages, each after its length.

The pickles are a magic number, a version, facts on the machine, and the object; a fifth lists the
keys of the storages in the order in which they follow. The object comes before the storages, so it
is run twice: first without tensors, to learn which storages there are and where their bytes lie,
then with them. Numbers in storages are little-endian.
"""

from __future__ import annotations

import struct
from typing import Any

from jtoolbox import dtypes
from jtoolbox.serialization.allowed import (
    StorageType,
    find_global,
    find_global_without_tensors,
)
from jtoolbox.serialization.machine import Internal, Machine, Stream, describe, refuse
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.source import Source
from jtoolbox.serialization.storages import Storages

__all__ = ["MAGIC", "load_legacy"]

# The first pickle of a file: the number 0x1950a86a20f9469cfc6c.
MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_VERSION = 1001
_HEADERS = 2


class _Declared(Internal):
    """A storage in the first pass, which only its name matters of."""


def load_legacy(source: Source, placement: Placement) -> Any:
    """The object in a file of the format before the zip format."""
    stream = Stream(source, len(MAGIC))
    version, _ = (_plain(stream) for _ in range(_HEADERS))
    if version != _VERSION:
        raise RuntimeError(f"{source.name}: version {describe(version)} of PyTorch's old format")
    start = stream.position
    where = _find_storages(source, stream)
    storages = Storages(
        lambda key: source.read_array(*where[key]),
        lambda key: where[key][1] if key in where else None,
        placement,
        source.size,
    )

    def persistent_load(identity: tuple[Any, ...]) -> Any:
        key, dtype, location, count = _parse(identity)
        return storages.declare(key, dtype, location, count)

    return Machine(Stream(source, start), find_global, persistent_load).run()


def _find_storages(source: Source, stream: Stream) -> dict[str, tuple[int, int]]:
    """Where in the file each storage's bytes begin, and how many they are."""
    widths: dict[str, int] = {}

    def persistent_load(identity: tuple[Any, ...]) -> Any:
        key, dtype, _, _ = _parse(identity)
        widths.setdefault(key, dtype.itemsize if dtype else 1)
        return _Declared()

    Machine(stream, find_global_without_tensors, persistent_load).run()
    keys = _plain(stream)
    if type(keys) is not list or any(type(key) is not str for key in keys):
        raise refuse(f"{source.name}: the list of storages is no list of names")
    if set(keys) != set(widths) or len(keys) != len(widths):
        raise refuse(f"{source.name}: the list of storages does not name those that are used")
    where, position = {}, stream.position
    for key in keys:
        count = struct.unpack("<q", source.read(position, 8))[0]
        where[key] = position + 8, count * widths[key]
        position += 8 + count * widths[key]
        if count < 0 or position > source.size:
            raise RuntimeError(f"{source.name}: storage {key} is cut short")
    return where


def _parse(identity: tuple[Any, ...]) -> tuple[str, dtypes.dtype | None, Any, Any]:
    if len(identity) != 6 or identity[0] != "storage" or type(identity[1]) is not StorageType:
        raise refuse("a persistent id names something else than a storage")
    _, kind, key, location, count, view = identity
    if type(key) is not str:
        raise refuse(f"a storage is named by a {type(key).__name__}")
    if view is not None:
        raise refuse("a view of a storage, as PyTorch wrote before 0.4: load and save it there")
    return key, kind.dtype, location, count


def _plain(stream: Stream) -> Any:
    """The object of a pickle that names nothing outside itself."""

    def nothing(*_: Any) -> Any:
        raise refuse(f"{stream.name}: a header that is more than data")

    return Machine(stream, nothing, nothing).run()
