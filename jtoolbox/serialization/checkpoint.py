"""`save` and `load`: which format a file has, and what is written or read at once or not at all."""

from __future__ import annotations

import contextlib
import os
import pickle
from collections.abc import Iterator, Mapping
from typing import IO, Any

from jtoolbox.serialization.archive import load_archive, save_archive
from jtoolbox.serialization.atomic import open_atomic
from jtoolbox.serialization.legacy import MAGIC, load_legacy
from jtoolbox.serialization.pickler import Pickler
from jtoolbox.serialization.placement import Placement
from jtoolbox.serialization.safetensors import dump_safetensors, load_safetensors, read_metadata
from jtoolbox.serialization.source import Source, is_path, open_source

__all__ = [
    *("DEFAULT_PROTOCOL", "FILE_LIKE", "MAP_LOCATION", "load", "save", "safetensors_metadata"),
]
# The version of pickle in files.
DEFAULT_PROTOCOL = 2

# Types in signatures of libraries that pass files on.
FILE_LIKE = str | os.PathLike[str] | IO[bytes]
MAP_LOCATION = Any

_FORMATS = "format is None, 'pt' or 'safetensors', got {format!r}"
_NO_METADATA = "metadata belongs to .safetensors files; put it into the object: {'model': ...}"
_NOT_WRITABLE = "expected a path or a binary file object with a write method, got {kind}"
_EXECUTES = (
    "weights_only=False allows to run the code inside the file, and jtoolbox never executes code "
    "from a file: tensors, numbers, strings and containers load. For a file that holds a whole "
    "module, run once in PyTorch: "
    "torch.save(torch.load(path, weights_only=False).state_dict(), new_path)"
)
_NO_MAPPING = "mmap=True needs a path, got {kind}"
_TAR = (
    "{name}: a tar archive, as PyTorch wrote before 0.1.10. In PyTorch, load it with "
    "weights_only=False and save it again"
)
_UNKNOWN = (
    "{name}: neither a file of torch.save or jtoolbox.save nor a safetensors file: it begins with "
    "{start!r} and has {size} bytes"
)


def save(
    obj: Any,
    f: str | os.PathLike[str] | IO[bytes],
    format: str | None = None,
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes an object to a file: Tensors, and containers of them and of plain values.

    A path that ends in `.safetensors`, or `format="safetensors"`, gives a safetensors file, which
    holds one flat dict from names to Tensors or arrays, and string `metadata`. Anything else gives
    PyTorch's format, which `torch.load(path, weights_only=True)` reads. It holds Tensors,
    Parameters and JAX arrays of any dtype; dict, OrderedDict (with a state_dict's `_metadata`),
    Counter, list, tuple, set; str, bytes, bytearray, numbers, bool, None; Size, dtype, device.
    NumPy numbers become Python's, a subclass of OrderedDict an OrderedDict. An object that occurs
    twice is written once.

    A path holds the old contents until the new are complete and on the disk; see `atomic.py`.
    A file object is just written.

    Raises TypeError, with the place in `obj`, for what the format cannot hold (a whole module, a
    NumPy array, an instance of your own class), and RuntimeError when the folder does not exist.
    In every such case nothing is written.

        jtoolbox.save({"model": model.state_dict(), "epoch": 3}, "checkpoint.pt")
    """
    if _chosen_format(f, format) == "safetensors":
        contents = dump_safetensors(obj, metadata)
        with _open_target(f) as file:
            file.write(contents)
        return
    if metadata is not None:
        raise ValueError(_NO_METADATA)
    pickler = Pickler()
    pickled = pickler.dump(obj)
    with _open_target(f) as file:
        save_archive(pickled, pickler.storages, file)


def load(
    f: str | os.PathLike[str] | IO[bytes],
    map_location: Any = None,
    *,
    weights_only: bool | None = True,
    mmap: bool | None = None,
) -> Any:
    """Reads a file of `jtoolbox.save`, of `torch.save` in either of its formats, or safetensors.

    No code in the file is run. The formats are told apart by their first bytes.

    Arguments:
        map_location: where the tensors go. None puts them where new tensors are made, whatever
            device the file names (PyTorch would fail when it is absent). A device or its name, a
            dict from names in the file to devices, or a function of (storage, location).
        weights_only: False allows PyTorch to run code in the file. Here it never is run: a file of
            plain data loads all the same, and any other raises as without it.
        mmap: accepted for PyTorch's sake. Values are always copied out of the file.

    Tensors that are the same view of one storage come back as one object, so tied weights stay
    tied; tensors that overlap in another way come back each with values of its own.

    Raises `pickle.UnpicklingError` for a file that asks for more than plain data (it says the
    global) or whose description of its data is damaged, and RuntimeError for a file that is cut
    short, damaged as a whole, or of another kind.
    """
    if mmap and not is_path(f):
        raise ValueError(_NO_MAPPING.format(kind=type(f).__name__))
    placement = Placement(map_location)
    with open_source(f) as source:
        try:
            return _loader(source)(source, placement)
        except pickle.UnpicklingError as error:
            if weights_only is False:
                error.add_note(_EXECUTES)
            raise


def safetensors_metadata(f: str | os.PathLike[str] | IO[bytes]) -> dict[str, str]:
    """The metadata of a safetensors file, without reading its tensors."""
    with open_source(f) as source:
        return read_metadata(source)


def _chosen_format(f: Any, format: str | None) -> str:
    if format not in (None, "pt", "safetensors"):
        raise ValueError(_FORMATS.format(format=format))
    if format is None and is_path(f) and os.fspath(f).endswith(".safetensors"):
        return "safetensors"
    return format or "pt"


@contextlib.contextmanager
def _open_target(f: Any) -> Iterator[IO[bytes]]:
    if is_path(f):
        with open_atomic(f) as file:
            yield file
    elif hasattr(f, "write"):
        yield f
    else:
        raise TypeError(_NOT_WRITABLE.format(kind=type(f).__name__))


def _loader(source: Source) -> Any:
    """The function that reads this file, by what it begins with."""
    start = source.read(0, min(source.size, 512))
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return load_archive
    if start.startswith(MAGIC):
        return load_legacy
    if start[257:262] == b"ustar":
        raise RuntimeError(_TAR.format(name=source.name))
    if start[8:9] == b"{":
        return load_safetensors
    raise RuntimeError(_UNKNOWN.format(name=source.name, start=start[:16], size=source.size))
