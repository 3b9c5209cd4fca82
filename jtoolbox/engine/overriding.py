"""Subclasses of Tensor: operations on them go through `__torch_function__`, as in PyTorch.

The set of such classes is empty in most programs, and an operation asks only whether it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

# The classes whose `__torch_function__` is asked before an operation on one of their instances.
classes: set[type] = set()


class State(threading.local):
    """`disabled`: operations are in the hands of a `__torch_function__` of this thread. `modes` are
    the `TorchFunctionMode`s around this line, the innermost last."""

    def __init__(self) -> None:
        self.disabled = False
        self.modes: list[Any] = []


state = State()


class DisableTorchFunctionSubclass:
    """Within it, operations treat instances of subclasses as plain Tensors."""

    def __enter__(self) -> None:
        self.before, state.disabled = state.disabled, True

    def __exit__(self, *exception: Any) -> None:
        state.disabled = self.before


def _flat(args: Sequence[Any]) -> Iterator[Any]:
    for value in args:
        if isinstance(value, (tuple, list)):
            yield from _flat(value)
        else:
            yield value


def found(args: Sequence[Any]) -> list[type]:
    """The overriding classes among the arguments, subclasses before what they derive from."""
    kinds: list[Any] = state.modes[-1:]
    if state.disabled:
        return kinds
    for value in _flat(args):
        kind = type(value)
        if kind in classes and kind not in kinds:
            above = [i for i, k in enumerate(kinds) if isinstance(k, type) and issubclass(kind, k)]
            kinds.insert(above[0] if above else len(kinds), kind)
    return kinds


def dispatch(function: Callable[..., Any], kinds: list[Any], args: Sequence[Any]) -> Any:
    """What the first class that knows the function makes of it; TypeError when none does."""
    types = tuple([kind for kind in kinds if isinstance(kind, type)])
    for kind in kinds:
        if isinstance(kind, type):
            result = kind.__torch_function__(function, types, tuple(args), {})
        else:
            result = _asked(kind, function, types, tuple(args))
        if result is not NotImplemented:
            return result
    names = ", ".join(kind.__name__ for kind in types)
    raise TypeError(
        f"no implementation found for '{getattr(function, '__name__', function)}' on types that "
        f"implement __torch_function__: [{names}]"
    )


class _AnyMode:
    """Stands among the classes while a mode is entered, so that operations look for it."""


def enter(mode: Any) -> None:
    """Begins to ask a mode before each operation of this thread."""
    state.modes.append(mode)
    classes.add(_AnyMode)


def leave() -> None:
    """Ends the innermost mode."""
    state.modes.pop()
    if not state.modes:
        classes.discard(_AnyMode)


def _asked(mode: Any, function: Callable[..., Any], types: Any, args: tuple[Any, ...]) -> Any:
    """What a mode makes of a function; inside of it the modes around it are asked."""
    inner = state.modes
    state.modes = inner[: inner.index(mode)]
    try:
        return mode.__torch_function__(function, types, args, {})
    finally:
        state.modes = inner
