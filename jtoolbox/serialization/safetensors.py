"""The safetensors format, by the library of that name: named tensors and string metadata.

No code fits in it: it is the format to publish weights in.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from jtoolbox import dtypes
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.source import Source
from jtoolbox.serialization.tensors import (
    Tensor,
    host_array,
    is_stored_as_tensor,
    make_tensor,
    numpy_dtype,
)

__all__ = ["dump_safetensors", "load_safetensors", "read_metadata"]

_DTYPES = {d.dtype for d in dtypes.ALL if d is not dtypes.complex128}
_METADATA = "__metadata__"

_NOT_FLAT = (
    "a .safetensors file holds one flat dict from names to tensors; {where} is a {kind}. Save a "
    "model's state_dict(), or save the whole checkpoint in PyTorch's format: a path ending in .pt"
)
_NO_DTYPE = "a .safetensors file has no type for {name!r}, {dtype}: convert it, or save to .pt"
_BAD_METADATA = "the metadata of a .safetensors file is a dict from str to str, got {what}"
_DAMAGED = "{name}: not a whole safetensors file: {error}. Copy or download it again"
_UNREADABLE = "{name}: tensor {key!r} has a type or shape that jtoolbox has not: {error}"


def dump_safetensors(obj: Any, metadata: Mapping[str, str] | None) -> bytes:
    """The contents of a file for a dict of tensors. A tensor under two names is written twice."""
    if not isinstance(obj, Mapping):
        raise TypeError(_NOT_FLAT.format(where="the object", kind=type(obj).__name__))
    for name, value in obj.items():
        _check_entry(name, value)
    for key, value in (metadata or {}).items():
        if type(key) is not str or type(value) is not str:
            raise TypeError(_BAD_METADATA.format(what=f"{key!r}: {value!r}"))
    arrays = {name: host_array(value) for name, value in obj.items()}
    return safetensors.numpy.save(arrays, {"format": "pt", **(metadata or {})})


def _check_entry(name: Any, value: Any) -> None:
    if type(name) is not str or name == _METADATA:
        raise TypeError(_NOT_FLAT.format(where=f"the name {name!r}", kind=type(name).__name__))
    if not (is_stored_as_tensor(value) or isinstance(value, np.ndarray)):
        raise TypeError(_NOT_FLAT.format(where=repr(name), kind=type(value).__name__))
    if numpy_dtype(value) not in _DTYPES:
        raise TypeError(_NO_DTYPE.format(name=name, dtype=numpy_dtype(value)))


def load_safetensors(source: Source, placement: Placement) -> dict[str, Tensor]:
    """The tensors of a file by name."""
    place = placement("cpu")
    with _reader(source) as file:
        names = file.keys()
        return {name: make_tensor(_read(source, file, name), False, place) for name in names}


def read_metadata(source: Source) -> dict[str, str]:
    """The metadata in a file's header; the tensors are not read."""
    with _reader(source) as file:
        return file.metadata() or {}


@contextlib.contextmanager
def _reader(source: Source) -> Iterator[Any]:
    """The library's reader. It wants a path, so a file object's contents go to a temporary file."""
    with contextlib.ExitStack() as stack:
        path = source.path
        if path is None:
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "contents")
            with open(path, "wb") as file:
                file.write(source.read(0, source.size))
        try:
            reader = stack.enter_context(safetensors.safe_open(path, framework="np"))
        except safetensors.SafetensorError as error:
            raise RuntimeError(_DAMAGED.format(name=source.name, error=error)) from error
        yield reader


def _read(source: Source, file: Any, name: str) -> np.ndarray:
    """One tensor in memory of its own; any byte but 0 is True."""
    try:
        array = file.get_tensor(name)
    except (AttributeError, ValueError, safetensors.SafetensorError) as error:
        message = _UNREADABLE.format(name=source.name, key=name, error=error)
        raise RuntimeError(message) from error
    return array.view(np.uint8) != 0 if array.dtype == np.bool_ else array
