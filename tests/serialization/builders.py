"""Files of PyTorch's formats made by hand, so that tests can make wrong ones."""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any

import numpy as np

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"\x8a\x0a" + value.to_bytes(10, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def storage(key: str = "0", kind: str = "FloatStorage", count: int = 6) -> bytes:
    return (
        b"("
        + text("storage")
        + name("torch", kind)
        + text(key)
        + text("cpu")
        + (number(count) + b"tQ")
    )


def tensor(
    size: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
    offset: int = 0,
    stored: bytes | None = None,
    requires_grad: bytes = b"\x89",
) -> bytes:
    head = name("torch._utils", "_rebuild_tensor_v2") + b"(" + (stored or storage())
    place = number(offset) + numbers(*size) + numbers(*stride)
    return head + place + requires_grad + ORDERED_DICT + b"tR"


def dict_of(**values: bytes) -> bytes:
    items = b"".join(text(key) + value for key, value in values.items())
    return b"}(" + items + b"u"


def archive(
    pickled: bytes,
    data: dict[str, bytes] | None = None,
    compression: int = zipfile.ZIP_STORED,
    **entries: bytes,
) -> bytes:
    """A zip file with this pickle (less its first and last opcode) and these storages."""
    if data is None:
        data = {"0": np.arange(6, dtype=np.float32).tobytes()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        file.writestr("archive/data.pkl", b"\x80\x02" + pickled + b".")
        for key, value in data.items():
            file.writestr(f"archive/data/{key}", value)
        for key, value in entries.items():
            file.writestr(f"archive/{key}", value)
        file.writestr("archive/version", b"3\n")
    return out.getvalue()


def legacy(pickled: bytes, keys: bytes, tail: bytes) -> bytes:
    """A file of the format before 1.6."""
    version = b"\x80\x02" + number(1001) + b"."
    facts = b"\x80\x02}."
    return b"".join((LEGACY_MAGIC, version, facts, b"\x80\x02" + pickled + b".", keys, tail))


def same(ours: Any, theirs: Any) -> bool:
    """Whether two nests of containers hold equal plain values, in containers of equal types."""
    if type(ours).__name__ != type(theirs).__name__:
        return False
    if isinstance(theirs, dict):
        return list(ours) == list(theirs) and all(same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, (list, tuple)):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return ours == theirs
