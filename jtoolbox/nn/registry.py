"""The dicts that a module keeps its parameters, buffers and submodules in."""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any, Self

from jtoolbox.tensor import Tensor


class Registry(dict[str, Any]):
    """A dict of a module's parameters, buffers or submodules, mirrored as its attributes."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Any, entries: Iterable[Any] = ()):
        super().__init__()
        self._owner = weakref.ref(owner)
        self.update(entries)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        owner = self._owner()
        # What the class defines (a method, a property) keeps precedence, as in PyTorch.
        if owner is not None and not hasattr(type(owner), name):
            owner.__dict__[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        owner = self._owner()
        if owner is not None:
            owner.__dict__.pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        if name not in self:
            return super().pop(name, *default)
        value = self[name]
        del self[name]
        return value

    def popitem(self) -> tuple[str, Any]:
        name = next(reversed(self), None)
        if name is None:
            raise KeyError("popitem(): dictionary is empty")
        return name, self.pop(name)

    def clear(self) -> None:
        for name in list(self):
            del self[name]

    def update(self, *entries: Any, **more: Any) -> None:
        for name, value in dict(*entries, **more).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, entries: Any) -> Self:
        self.update(entries)
        return self

    def __copy__(self) -> dict[str, Any]:
        return dict(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def type_name(value: Any) -> str:
    """The name of a value's type as error messages give it: 'int', 'torch.FloatTensor'."""
    if isinstance(value, Tensor):
        return value.type()
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in ("builtins", None) else f"{module}.{kind.__qualname__}"
