"""The safetensors format: a JSON header with names, types, shapes and places, then the bytes.

Nothing but named tensors fits in it, and no code: it is the format to publish weights in.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.source import Source
from jtoolbox.serialization.tensors import (
    Tensor,
    host_bytes,
    is_stored_as_tensor,
    make_tensor,
    numpy_dtype,
)

__all__ = ["load_safetensors", "plan_safetensors", "read_metadata", "write_safetensors"]

_DTYPES = {
    "F64": dtypes.float64,
    "F32": dtypes.float32,
    "F16": dtypes.float16,
    "BF16": dtypes.bfloat16,
    "I64": dtypes.int64,
    "I32": dtypes.int32,
    "I16": dtypes.int16,
    "I8": dtypes.int8,
    "U64": dtypes.uint64,
    "U32": dtypes.uint32,
    "U16": dtypes.uint16,
    "U8": dtypes.uint8,
    "BOOL": dtypes.bool,
    "C64": dtypes.complex64,
}
_NAMES = {d.dtype: name for name, d in _DTYPES.items()}
_LONGEST_HEADER = 100_000_000
_METADATA = "__metadata__"

_NOT_FLAT = (
    "a .safetensors file holds one flat dict from names to tensors; {where} is a {kind}. Save a "
    "model's state_dict(), or save the whole checkpoint in PyTorch's format: a path ending in .pt"
)
_NO_DTYPE = "a .safetensors file has no type for {name!r}, {dtype}: convert it, or save to .pt"
_BAD_METADATA = "the metadata of a .safetensors file is a dict from str to str, got {what}"
_DAMAGED = "{name}: not a whole safetensors file: {error}. Copy or download it again"


def plan_safetensors(obj: Any, metadata: Mapping[str, str] | None) -> tuple[bytes, list[Any]]:
    """The header for a dict of tensors, and the tensors in the order in which they follow it.

    Larger elements come first, so that all start at a multiple of their size.
    """
    if not isinstance(obj, Mapping):
        raise TypeError(_NOT_FLAT.format(where="the object", kind=type(obj).__name__))
    for name, value in obj.items():
        _check_entry(name, value)
    header: dict[str, Any] = {_METADATA: {"format": "pt", **_checked(metadata)}}
    names = sorted(obj, key=lambda name: (-numpy_dtype(obj[name]).itemsize, name))
    position = 0
    for name in names:
        dtype, shape = numpy_dtype(obj[name]), [int(n) for n in obj[name].shape]
        end = position + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": _NAMES[dtype],
            "shape": shape,
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text, [obj[name] for name in names]


def _check_entry(name: Any, value: Any) -> None:
    if type(name) is not str or name == _METADATA:
        raise TypeError(_NOT_FLAT.format(where=f"the name {name!r}", kind=type(name).__name__))
    if not (is_stored_as_tensor(value) or isinstance(value, np.ndarray)):
        raise TypeError(_NOT_FLAT.format(where=repr(name), kind=type(value).__name__))
    if numpy_dtype(value) not in _NAMES:
        raise TypeError(_NO_DTYPE.format(name=name, dtype=numpy_dtype(value)))


def _checked(metadata: Mapping[str, str] | None) -> dict[str, str]:
    for key, value in (metadata or {}).items():
        if type(key) is not str or type(value) is not str:
            raise TypeError(_BAD_METADATA.format(what=f"{key!r}: {value!r}"))
    return dict(metadata or {})


def write_safetensors(header: bytes, tensors: list[Any], file: IO[bytes]) -> None:
    """Writes what `plan_safetensors` planned."""
    file.write(header)
    for tensor in tensors:
        file.write(host_bytes(tensor).data)


def load_safetensors(source: Source, placement: Placement) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    header, start = _read_header(source)
    header.pop(_METADATA, None)
    entries = {name: _check_place(source, name, entry) for name, entry in header.items()}
    _check_cover(source, [place for _, _, place in entries.values()], source.size - start)
    place = placement("cpu")
    return {
        name: _read_tensor(source, dtype, shape, start + begin, end - begin, place)
        for name, (dtype, shape, (begin, end)) in entries.items()
    }


def read_metadata(source: Source) -> dict[str, str]:
    """The metadata in a file's header; the tensors are not read."""
    return _read_header(source)[0].get(_METADATA, {})


def _read_tensor(
    source: Source, dtype: dtypes.dtype, shape: tuple[int, ...], at: int, size: int, place: Any
) -> Tensor:
    raw = source.read_array(at, size)
    values = raw != 0 if dtype is dtypes.bool else raw.view(dtype.dtype)
    return make_tensor(values.reshape(shape), False, place)


def _damaged(source: Source, error: str) -> RuntimeError:
    return RuntimeError(_DAMAGED.format(name=source.name, error=error))


def _read_header(source: Source) -> tuple[dict[str, Any], int]:
    """The header, its shape checked, and where the bytes after it begin."""
    size = struct.unpack("<Q", source.read(0, 8))[0] if source.size >= 8 else _LONGEST_HEADER + 1
    if size > min(_LONGEST_HEADER, source.size - 8):
        raise _damaged(source, f"a header of {size} bytes in a file of {source.size}")
    try:
        header = json.loads(source.read(8, size), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise _damaged(source, f"its header cannot be read: {error}") from error
    if not isinstance(header, dict):
        raise _damaged(source, "its header is no object")
    metadata = header.get(_METADATA, {})
    if not isinstance(metadata, dict) or not all(type(v) is str for v in metadata.values()):
        raise _damaged(source, _BAD_METADATA.format(what=f"{metadata!r:.100}"))
    return header, 8 + size


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a name occurs twice")
    return result


def _check_place(
    source: Source, name: str, entry: Any
) -> tuple[dtypes.dtype, tuple[int, ...], tuple[int, int]]:
    """The type, shape and place of one tensor; RuntimeError where they do not agree."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _damaged(source, f"tensor {name!r} is not described by type, shape and place")
    kind, shape, place = entry["dtype"], entry["shape"], entry["data_offsets"]
    if type(kind) is not str or kind not in _DTYPES:
        raise _damaged(source, f"tensor {name!r} has type {kind!r}, which jtoolbox has not")
    if not _are_sizes(shape) or not _are_sizes(place) or len(place) != 2 or len(shape) > 64:
        raise _damaged(source, f"tensor {name!r} has shape {shape!r:.100} at {place!r:.100}")
    if place[1] - place[0] != math.prod(shape) * _DTYPES[kind].itemsize:
        raise _damaged(source, f"tensor {name!r} of shape {shape} does not fit its place {place}")
    return _DTYPES[kind], tuple(shape), (place[0], place[1])


def _are_sizes(x: Any) -> bool:
    return isinstance(x, list) and all(type(n) is int and 0 <= n < 1 << 63 for n in x)


def _check_cover(source: Source, places: list[tuple[int, int]], size: int) -> None:
    """Tensors lie one after the other, without gaps, and end with the file."""
    end = 0
    for begin, next_end in sorted(places):
        if begin != end:
            raise _damaged(source, f"no tensor, or two, at byte {end} of the data")
        end = next_end
    if end != size:
        raise _damaged(source, f"its tensors take {end} bytes and {size} follow the header")
