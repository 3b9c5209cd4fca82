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
    """`disabled`: operations are in the hands of a `__torch_function__` of this thread."""

    disabled = False


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
    if state.disabled:
        return []
    kinds: list[type] = []
    for value in _flat(args):
        kind = type(value)
        if kind in classes and kind not in kinds:
            above = [i for i, other in enumerate(kinds) if issubclass(kind, other)]
            kinds.insert(above[0] if above else len(kinds), kind)
    return kinds


def dispatch(function: Callable[..., Any], kinds: list[Any], args: Sequence[Any]) -> Any:
    """What the first class that knows the function makes of it; TypeError when none does."""
    for kind in kinds:
        result = kind.__torch_function__(function, tuple(kinds), tuple(args), {})
        if result is not NotImplemented:
            return result
    names = ", ".join(kind.__name__ for kind in kinds)
    raise TypeError(
        f"no implementation found for '{getattr(function, '__name__', function)}' on types that "
        f"implement __torch_function__: [{names}]"
    )
