"""A machine for pickle's opcodes that builds data and runs nothing.

A pickle is a program for a small stack machine. PyTorch's files need a third of its opcodes. This
machine knows those alone; the opcodes that call something (REDUCE, NEWOBJ, BUILD) reach only the
constructors that `allowed.py` lists, and every other name in the file is an error that says it.

NOTE [Values and what is only passed along]
A constructor or a storage is an `Internal`: it may lie on the stack and in the arguments of a call,
never in a container or a result. A tuple that holds one is `Arguments`, an `Internal` itself.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from jtoolbox.serialization.source import Source
from jtoolbox.serialization.tensors import KEY_TYPES

__all__ = ["Arguments", "Internal", "Machine", "Stream", "check_key", "describe", "refuse"]

_CHUNK = 1 << 16
_LONGEST_NAME = 1000
_DEEPEST_KEY = 8
_BYTE, _SHORT, _INT = struct.Struct("B"), struct.Struct("<H"), struct.Struct("<i")
_UINT, _ULONG, _FLOAT = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct(">d")
_DAMAGE = (IndexError, KeyError, TypeError, ValueError, OverflowError, struct.error)
_ENDS_EARLY = "{name}: the pickle ends early: the file is cut short or damaged"
_DAMAGED = "{name}: the pickle is damaged: {kind}: {error}"
_OPCODE = "{name}: opcode {code!r} is not one that a checkpoint of tensors needs"


def refuse(message: str) -> pickle.UnpicklingError:
    """The error for a file that is damaged, or that asks for more than data."""
    return pickle.UnpicklingError(message)


def describe(x: Any) -> str:
    """A value from a file in a message: short, and never by running over a nest of containers."""
    if x is None or type(x) in (bool, int, float, str):
        return f"{x!r:.100}"
    if isinstance(x, tuple) and all(type(item) is int for item in x):
        return f"{tuple(x)!r:.100}"
    return str(x) if isinstance(x, Internal) else f"a {type(x).__name__}"


class Internal:
    """Something that is passed to constructors and is never a value of its own."""


class Arguments(tuple, Internal):
    """A tuple that holds an `Internal`."""

    def __str__(self) -> str:
        return "a tuple of arguments"


def check_key(key: Any, depth: int = 0) -> Any:
    """The key, if it is one whose hash is cheap and runs no code: an atom, or a tuple of such."""
    if isinstance(key, tuple) and not isinstance(key, Internal) and depth < _DEEPEST_KEY:
        for item in key:
            check_key(item, depth + 1)
    elif type(key) not in KEY_TYPES:
        raise refuse(f"a {type(key).__name__} is not accepted as a key or an element of a set")
    return key


class Stream:
    """Bytes of a file in order, read in chunks, none beyond its end."""

    def __init__(self, source: Source, start: int = 0):
        self.name = source.name
        self._source = source
        self._next = start
        self._data = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Where in the file the next byte lies."""
        return self._next - len(self._data) + self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        end = self._at + count
        if end > len(self._data):
            self._fill(count)
            end = self._at + count
        data = self._data[self._at : end]
        self._at = end
        return data

    def _fill(self, count: int) -> None:
        rest = self._data[self._at :]
        missing = count - len(rest)
        available = self._source.size - self._next
        if missing > available:
            raise refuse(_ENDS_EARLY.format(name=self.name))
        more = min(max(missing, _CHUNK), available)
        self._data = rest + self._source.read(self._next, more)
        self._next += more
        self._at = 0

    def number(self, layout: struct.Struct) -> Any:
        """The next number in this layout."""
        return layout.unpack(self.take(layout.size))[0]

    def line(self) -> str:
        """The text up to the next line feed."""
        text = bytearray()
        while (byte := self.take(1)) != b"\n":
            text += byte
            if len(text) > _LONGEST_NAME:
                raise refuse(f"{self.name}: the name of a global has over {_LONGEST_NAME} bytes")
        return text.decode()


class Machine:
    """Runs one pickle: `find_global(module, name)` and `persistent_load(id)` give its outside."""

    def __init__(
        self,
        stream: Stream,
        find_global: Callable[[str, str], Any],
        persistent_load: Callable[[tuple[Any, ...]], Any],
    ):
        self.stream = stream
        self.find_global = find_global
        self.persistent_load = persistent_load
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        """The object that the pickle describes; `pickle.UnpicklingError` if it is not only data."""
        take, name = self.stream.take, self.stream.name
        try:
            while (code := take(1)) != b".":
                handler = OPCODES.get(code)
                if handler is None:
                    raise refuse(_OPCODE.format(name=name, code=code))
                handler(self)
            if self.outer or len(self.stack) != 1:
                raise refuse(f"{name}: the pickle stops with its stack unfinished")
            return self.pop_value()
        except _DAMAGE as error:
            kind = type(error).__name__
            raise refuse(_DAMAGED.format(name=name, kind=kind, error=error)) from error

    def push(self, value: Any) -> None:
        """Puts a value on the stack."""
        self.stack.append(value)

    def pop_value(self) -> Any:
        """Takes a value off the stack; an `Internal` is none."""
        return _value(self.stack.pop())

    def pop_mark(self) -> list[Any]:
        """Takes everything since the last mark."""
        items = self.stack
        self.stack = self.outer.pop()
        return items


def _value(item: Any) -> Any:
    if isinstance(item, Internal):
        raise refuse(f"{item} stands where a value is expected")
    return item


def _mark(m: Machine) -> None:
    m.outer.append(m.stack)
    m.stack = []


def _tuple(m: Machine, items: list[Any]) -> None:
    kind = Arguments if any(isinstance(item, Internal) for item in items) else tuple
    m.push(kind(items))


def _short_tuple(count: int) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        items = m.stack[-count:]
        if len(items) != count:
            raise IndexError("the stack is empty")
        del m.stack[-count:]
        _tuple(m, items)

    return handler


def _constant(value: Any) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(value)


def _number(layout: struct.Struct) -> Callable[[Machine], None]:
    return lambda m: m.stack.append(m.stream.number(layout))


def _long(layout: struct.Struct) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        size = m.stream.number(layout)
        if not 0 <= size <= 255:
            raise refuse(f"{m.stream.name}: an integer of {size} bytes")
        m.push(int.from_bytes(m.stream.take(size), "little", signed=True))

    return handler


def _text(layout: struct.Struct) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        data = m.stream.take(m.stream.number(layout))
        m.push(str(data, "utf-8", "surrogatepass"))

    return handler


def _bytes(layout: struct.Struct) -> Callable[[Machine], None]:
    return lambda m: m.push(m.stream.take(m.stream.number(layout)))


def _put(layout: struct.Struct) -> Callable[[Machine], None]:
    def handler(m: Machine) -> None:
        m.memo[m.stream.number(layout)] = m.stack[-1]

    return handler


def _get(layout: struct.Struct) -> Callable[[Machine], None]:
    return lambda m: m.push(m.memo[m.stream.number(layout)])


def _memoize(m: Machine) -> None:
    m.memo[len(m.memo)] = m.stack[-1]


def _target(m: Machine, *kinds: type) -> Any:
    target = m.stack[-1]
    if type(target) not in kinds:
        raise refuse(f"an item is added to a {type(target).__name__}, expected {kinds[0].__name__}")
    return target


def _extend(m: Machine, items: list[Any]) -> None:
    _target(m, list).extend(_value(item) for item in items)


def _add(m: Machine, items: list[Any]) -> None:
    _target(m, set).update(check_key(item) for item in items)


def _set_items(m: Machine, items: list[Any]) -> None:
    target = _target(m, dict, OrderedDict, Counter)
    for key, value in zip(items[::2], items[1::2], strict=True):
        target[check_key(key)] = _value(value)


def _set_item(m: Machine) -> None:
    value, key = m.stack.pop(), m.stack.pop()
    _set_items(m, [key, value])


def _global(m: Machine) -> None:
    module = m.stream.line()
    m.push(m.find_global(module, m.stream.line()))


def _stack_global(m: Machine) -> None:
    name, module = m.stack.pop(), m.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise refuse("the name of a global is not text")
    m.push(m.find_global(module, name))


def _call(m: Machine) -> None:
    arguments, function = m.stack.pop(), m.stack.pop()
    build = getattr(function, "build", None) if isinstance(function, Internal) else None
    if build is None:
        raise refuse(f"{describe(function)} is called; only constructors of plain data are")
    if not isinstance(arguments, tuple):
        raise refuse(f"{function} is called with a {type(arguments).__name__}, expected a tuple")
    m.push(build(*arguments))


def _build(m: Machine) -> None:
    """BUILD sets attributes: allowed for the `_metadata` of a state_dict and nothing else."""
    state = m.stack.pop()
    target = _target(m, OrderedDict)
    if type(state) is not dict or set(state) != {"_metadata"}:
        raise refuse("attributes other than _metadata are set on an OrderedDict")
    if not isinstance(state["_metadata"], dict):
        raise refuse("the _metadata of a state_dict is not a dict")
    target._metadata = state["_metadata"]


def _persistent(m: Machine) -> None:
    identity = m.stack.pop()
    if not isinstance(identity, tuple):
        raise refuse(f"a storage is named by a {type(identity).__name__}, expected a tuple")
    m.push(m.persistent_load(identity))


def _protocol(m: Machine) -> None:
    version = m.stream.number(_BYTE)
    if not 2 <= version <= 5:
        raise refuse(f"{m.stream.name}: pickle protocol {version}; PyTorch writes 2")


def _frame(m: Machine) -> None:
    m.stream.take(8)


OPCODES: dict[bytes, Callable[[Machine], None]] = {
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b")": _constant(()),
    b"]": lambda m: m.push([]),
    b"}": lambda m: m.push({}),
    b"\x8f": lambda m: m.push(set()),
    b"K": _number(_BYTE),
    b"M": _number(_SHORT),
    b"J": _number(_INT),
    b"G": _number(_FLOAT),
    b"\x8a": _long(_BYTE),
    b"\x8b": _long(_INT),
    b"X": _text(_UINT),
    b"\x8c": _text(_BYTE),
    b"\x8d": _text(_ULONG),
    b"U": _text(_BYTE),
    b"T": _text(_UINT),
    b"B": _bytes(_UINT),
    b"C": _bytes(_BYTE),
    b"\x8e": _bytes(_ULONG),
    b"q": _put(_BYTE),
    b"r": _put(_UINT),
    b"\x94": _memoize,
    b"h": _get(_BYTE),
    b"j": _get(_UINT),
    b"(": _mark,
    b"t": lambda m: _tuple(m, m.pop_mark()),
    b"\x85": _short_tuple(1),
    b"\x86": _short_tuple(2),
    b"\x87": _short_tuple(3),
    b"a": lambda m: _extend(m, [m.stack.pop()]),
    b"e": lambda m: _extend(m, m.pop_mark()),
    b"\x90": lambda m: _add(m, m.pop_mark()),
    b"s": _set_item,
    b"u": lambda m: _set_items(m, m.pop_mark()),
    b"c": _global,
    b"\x93": _stack_global,
    b"R": _call,
    b"\x81": _call,
    b"b": _build,
    b"Q": _persistent,
    b"\x80": _protocol,
    b"\x95": _frame,
}
