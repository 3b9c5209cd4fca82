"""PyTorch's names for trusting further globals, kept as a record that changes nothing.

In PyTorch, `add_safe_globals([MyClass])` lets `torch.load` build a `MyClass`. jtoolbox runs no code
from a file, so it builds none. A program that says so still runs where its files hold plain data;
where a file does need such a class, the error of `load` says that marking it changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "safe_globals"]

_marked: list[Any] = []


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Records classes and functions as trusted. `load` builds none of them all the same."""
    _marked.extend(safe_globals)


def get_safe_globals() -> list[Any]:
    """What has been recorded."""
    return list(_marked)


def clear_safe_globals() -> None:
    """Forgets what has been recorded."""
    _marked.clear()


class safe_globals:
    """`add_safe_globals` for the length of a `with` block. `load` builds none of them."""

    def __init__(self, safe_globals: Iterable[Any]):
        self.safe_globals = list(safe_globals)

    def __enter__(self) -> None:
        self._before = get_safe_globals()
        add_safe_globals(self.safe_globals)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _marked[:] = self._before


def is_marked_safe(full_name: str) -> bool:
    """Whether a name, module included, has been recorded."""
    return any(_name(item) == full_name for item in _marked)


def _name(item: Any) -> str:
    if isinstance(item, tuple) and len(item) == 2:
        return str(item[1])
    module = getattr(item, "__module__", "")
    return f"{module}.{getattr(item, '__qualname__', item)}"
