"""Objects to pickle's opcodes, as `torch.load(weights_only=True)` accepts them.

An object is expanded into parts: opcodes, names, and the objects inside it, which are expanded in
turn. A list of parts still to do takes the place of recursion, so nesting may be deep.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from jtoolbox import dtypes
from jtoolbox.serialization.allowed import STORAGE_DTYPES
from jtoolbox.serialization.tensors import (
    KEY_TYPES,
    Parameter,
    Size,
    device,
    is_stored_as_tensor,
    numpy_dtype,
    storage_identity,
)

__all__ = ["Pickler"]

_STORAGE_NAMES = {d.dtype: f"torch\n{name}Storage\n" for name, d in STORAGE_DTYPES.items()}
_RAW_STORAGE = "torch.storage\nUntypedStorage\n"

_DEEPEST_SHOWN = 20
_SHORT = 1 << 16

_UNKNOWN = "cannot save {where}: {kind} is not data that PyTorch's weights_only load accepts. {way}"
_HAS_STATE = "Save its state_dict(): jtoolbox.save({name}.state_dict(), path)"
_NUMPY = "Wrap the array: jtoolbox.tensor(array)"
_OTHER = (
    "Save tensors, numbers, strings, bytes, None, lists, tuples, dicts and sets of them; "
    "convert a subclass to its plain form, as in dict(x), tuple(x), float(x)"
)
_KEY = "cannot save {where}: a {kind} is not accepted as a key or an element of a set"
_NO_DTYPE = "cannot save {where}: PyTorch files have no type for {dtype}; convert it first"
_LARGE = "cannot save {where}: an integer of over 255 bytes"
_LONG = "cannot save {where}: a string of 4 GiB or more"
_LOOP = "cannot save {where}: a tuple that contains itself"


class Code(bytes):
    """Opcodes, to be written as they are."""


class Name(str):
    """A global, "module\\nname\\n"; written once, then fetched from the memo."""


class Item(NamedTuple):
    """An object, and the object and key it was found under, for messages."""

    obj: Any
    parent: Item | None
    key: Any

    def __str__(self) -> str:
        keys, item = [], self
        while item.parent is not None:
            keys.append(f"[{item.key!r:.100}]")
            item = item.parent
        return "obj" + "".join(reversed(keys[:_DEEPEST_SHOWN]))


class Remember(NamedTuple):
    """A request to put the finished object on top of the stack into the memo."""

    obj: Any


class Pickler:
    """Turns one object into a pickle; `storages` are the tensors whose bytes belong to it."""

    def __init__(self) -> None:
        self.storages: list[Any] = []
        self._keys: dict[Any, int] = {}
        self._memo: dict[Any, int] = {}
        self._unfinished: set[int] = set()

    def dump(self, obj: Any) -> bytes:
        """The pickle. TypeError or ValueError, with the place in `obj`, for what it cannot hold."""
        out = bytearray(b"\x80\x02")
        parts: list[Any] = [Item(obj, None, None)]
        while parts:
            part = parts.pop()
            if isinstance(part, Code):
                out += part
            elif isinstance(part, Name):
                out += self._name(part)
            elif isinstance(part, Remember):
                out += self._remember(id(part.obj))
                self._unfinished.discard(id(part.obj))
            elif id(part.obj) in self._memo:
                out += _get(self._memo[id(part.obj)])
            else:
                parts.extend(reversed(self._expand(part)))
        return bytes(out + b".")

    def _name(self, name: Name) -> bytes:
        if name in self._memo:
            return _get(self._memo[name])
        return b"c" + name.encode() + self._remember(name)

    def _remember(self, key: Any) -> bytes:
        index = self._memo[key] = len(self._memo)
        return b"q" + bytes([index]) if index < 256 else b"r" + struct.pack("<I", index)

    def _expand(self, item: Item) -> list[Any]:
        kind = OrderedDict if isinstance(item.obj, OrderedDict) else type(item.obj)
        expand = _EXPANSIONS.get(kind)
        if expand is not None:
            return expand(self, item)
        if is_stored_as_tensor(item.obj):
            return self._expand_tensor(item)
        if isinstance(item.obj, np.generic):
            plain = item.obj.item()
            if type(plain) in (bool, int, float, complex, str, bytes):
                return [Item(plain, item.parent, item.key)]
        raise _refusal(item)

    def _expand_tensor(self, item: Item) -> list[Any]:
        x = item.obj
        if isinstance(x, Parameter):
            head = [Name("torch._utils\n_rebuild_parameter\n"), Code(b"(")]
            tail = [Code(_atom(x.requires_grad)), *_NO_HOOKS, Code(b"tR"), Remember(x)]
            return [*head, *self._view(item, False), *tail]
        return [*self._view(item, bool(getattr(x, "requires_grad", False))), Remember(x)]

    def _view(self, item: Item, requires_grad: bool) -> list[Any]:
        """The call that rebuilds a tensor from its storage, sizes, strides and flags."""
        x, dtype = item.obj, numpy_dtype(item.obj)
        storage_name = _STORAGE_NAMES.get(dtype, _RAW_STORAGE)
        typed = storage_name is not _RAW_STORAGE
        if not typed and dtype not in _WITHOUT_STORAGE_TYPE:
            raise TypeError(_NO_DTYPE.format(where=item, dtype=dtype))
        count = int(np.prod(x.shape, dtype=object))
        size, stride = tuple(map(int, x.shape)), _strides(x.shape)
        return [
            Name(f"torch._utils\n_rebuild_tensor_{'v2' if typed else 'v3'}\n"),
            Code(b"((" + _text("storage")),
            Name(storage_name),
            Code(_text(str(self._key(x))) + _text("cpu")),
            Code(_integer(count if typed else count * dtype.itemsize) + b"tQ" + _integer(0)),
            Code(_integers(size) + _integers(stride) + _atom(requires_grad)),
            *_NO_HOOKS,
            *([] if typed else [Name(f"torch\n{dtype.name}\n")]),
            Code(b"tR"),
        ]

    def _key(self, x: Any) -> int:
        """The number of a tensor's storage."""
        identity = storage_identity(x)
        if identity not in self._keys:
            self._keys[identity] = len(self.storages)
            self.storages.append(x)
        return self._keys[identity]

    def _list(self, item: Item) -> list[Any]:
        items = _items(item, enumerate(item.obj))
        return [Code(b"]"), Remember(item.obj), *_group(items, b"e")]

    def _tuple(self, item: Item) -> list[Any]:
        items = _items(item, enumerate(item.obj))
        if not items:
            return [Code(b")")]
        if id(item.obj) in self._unfinished:
            raise ValueError(_LOOP.format(where=item))
        self._unfinished.add(id(item.obj))
        if len(items) <= 3:
            return [*items, Code(bytes([0x84 + len(items)])), Remember(item.obj)]
        return [Code(b"("), *items, Code(b"t"), Remember(item.obj)]

    def _dict(self, item: Item) -> list[Any]:
        return [Code(b"}"), Remember(item.obj), *_group(_pairs(item), b"u")]

    def _ordered_dict(self, item: Item) -> list[Any]:
        head = [Name("collections\nOrderedDict\n"), Code(b")R"), Remember(item.obj)]
        metadata = getattr(item.obj, "_metadata", None)
        if metadata is None:
            return [*head, *_group(_pairs(item), b"u")]
        state = [Code(b"}" + _text("_metadata")), Item(metadata, item, "_metadata"), Code(b"sb")]
        return [*head, *_group(_pairs(item), b"u"), *state]

    def _counter(self, item: Item) -> list[Any]:
        body = [Code(b"}"), *_group(_pairs(item), b"u")]
        return [Name("collections\nCounter\n"), *body, Code(b"\x85R"), Remember(item.obj)]

    def _set(self, item: Item) -> list[Any]:
        for element in item.obj:
            _check_key(element, item)
        items = _items(item, ((element, element) for element in item.obj))
        body = [Code(b"]"), *_group(items, b"e")]
        return [Name("__builtin__\nset\n"), *body, Code(b"\x85R"), Remember(item.obj)]

    def _size(self, item: Item) -> list[Any]:
        return [Name("torch\nSize\n"), Code(_integers(item.obj) + b"\x85R"), Remember(item.obj)]

    def _device(self, item: Item) -> list[Any]:
        index = item.obj.index
        kind = "xla" if item.obj.type == "tpu" else item.obj.type
        place = _text(kind) + (b"\x85" if index is None else _integer(index) + b"\x86")
        return [Name("torch\ndevice\n"), Code(place + b"R")]

    def _dtype(self, item: Item) -> list[Any]:
        return [Name(f"torch\n{item.obj.name}\n")]

    def _bytes(self, item: Item) -> list[Any]:
        text = Code(_text(item.obj.decode("latin-1"), item) + _text("latin1") + b"\x86R")
        return [Name("_codecs\nencode\n"), text]

    def _bytearray(self, item: Item) -> list[Any]:
        data = Item(bytes(item.obj), item.parent, item.key)
        return [Name("__builtin__\nbytearray\n"), data, Code(b"\x85R"), Remember(item.obj)]

    def _complex(self, item: Item) -> list[Any]:
        parts = _atom(item.obj.real) + _atom(item.obj.imag)
        return [Name("__builtin__\ncomplex\n"), Code(parts + b"\x86R")]

    def _number(self, item: Item) -> list[Any]:
        if type(item.obj) is int and item.obj.bit_length() >= 255 * 8:
            raise ValueError(_LARGE.format(where=item))
        return [Code(_atom(item.obj))]

    def _str(self, item: Item) -> list[Any]:
        return [Code(_text(item.obj, item))]


_EXPANSIONS: dict[type, Callable[[Pickler, Item], list[Any]]] = {
    list: Pickler._list,
    tuple: Pickler._tuple,
    dict: Pickler._dict,
    OrderedDict: Pickler._ordered_dict,
    Counter: Pickler._counter,
    set: Pickler._set,
    Size: Pickler._size,
    device: Pickler._device,
    dtypes.dtype: Pickler._dtype,
    bytes: Pickler._bytes,
    bytearray: Pickler._bytearray,
    complex: Pickler._complex,
    str: Pickler._str,
    **dict.fromkeys((type(None), bool, int, float), Pickler._number),
}
_WITHOUT_STORAGE_TYPE = {d.dtype for d in (dtypes.uint16, dtypes.uint32, dtypes.uint64)}
_NO_HOOKS = (Name("collections\nOrderedDict\n"), Code(b")R"))


def _part(obj: Any, parent: Item, key: Any) -> Item | Code:
    """An object to expand, or at once the opcodes of a short plain one, as most are."""
    kind = type(obj)
    if kind is str and len(obj) < _SHORT:
        return Code(_text(obj))
    if kind is float or kind is bool or obj is None or (kind is int and -_SHORT < obj < _SHORT):
        return Code(_atom(obj))
    return Item(obj, parent, key)


def _items(parent: Item, pairs: Iterable[tuple[Any, Any]]) -> list[Item | Code]:
    return [_part(obj, parent, key) for key, obj in pairs]


def _pairs(item: Item) -> list[Item | Code]:
    """Keys and values in turn."""
    parts = []
    for key, value in item.obj.items():
        _check_key(key, item)
        parts += [_part(key, item, key), _part(value, item, key)]
    return parts


def _group(items: list[Item | Code], opcode: bytes) -> list[Any]:
    """Items between a mark and the opcode that adds them all to what lies below the mark."""
    return [Code(b"("), *items, Code(opcode)] if items else []


def _check_key(key: Any, item: Item) -> None:
    if type(key) is tuple:
        for part in key:
            _check_key(part, item)
    elif type(key) not in KEY_TYPES and not isinstance(key, np.generic):
        raise TypeError(_KEY.format(where=item, kind=type(key).__name__))


def _refusal(item: Item) -> TypeError:
    kind = f"{type(item.obj).__module__}.{type(item.obj).__qualname__}"
    way = _OTHER
    if callable(getattr(item.obj, "state_dict", None)):
        way = _HAS_STATE.format(name="model" if item.parent is None else item)
    elif isinstance(item.obj, np.ndarray):
        way = _NUMPY
    return TypeError(_UNKNOWN.format(where=item, kind=kind, way=way))


def _get(index: int) -> bytes:
    return b"h" + bytes([index]) if index < 256 else b"j" + struct.pack("<I", index)


def _atom(x: bool | int | float | None) -> bytes:
    if x is None:
        return b"N"
    if isinstance(x, bool):
        return b"\x88" if x else b"\x89"
    return _integer(x) if isinstance(x, int) else b"G" + struct.pack(">d", x)


def _integer(n: int) -> bytes:
    if 0 <= n < 1 << 8:
        return b"K" + bytes([n])
    if 0 <= n < 1 << 16:
        return b"M" + struct.pack("<H", n)
    if -(1 << 31) <= n < 1 << 31:
        return b"J" + struct.pack("<i", n)
    size = n.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + n.to_bytes(size, "little", signed=True)


def _integers(numbers: Iterable[int]) -> bytes:
    return b"(" + b"".join(map(_integer, map(int, numbers))) + b"t"


def _text(text: str, item: Item | None = None) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    if len(data) >= 1 << 32:
        raise ValueError(_LONG.format(where=item))
    return b"X" + struct.pack("<I", len(data)) + data


def _strides(shape: Iterable[int]) -> tuple[int, ...]:
    """Row-major strides, as PyTorch counts them."""
    strides, step = [], 1
    for n in reversed(tuple(shape)):
        strides.append(step)
        step *= max(int(n), 1)
    return tuple(reversed(strides))
