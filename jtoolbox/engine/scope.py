"""What an outermost module call means to the engine."""

from __future__ import annotations

from typing import Any

from jtoolbox.engine.graph import Handle
from jtoolbox.engine.modes import mode
from jtoolbox.engine.realize import flush

# A module called this often by the outermost code, with all of it still pending, is a loop.
CALLS_AT_ONCE = 8


def enter_module(module: object, args: tuple[Any, ...]) -> None:
    """Called before an outermost module call.

    NOTE: loops that forget `no_grad`. A sampling loop feeds a module integers that depend on its
    last results; no gradient flows through integers, so what is pending runs first. A loop that
    calls one module again and again runs in pieces, each the same program with its pullback.
    """
    if not mode.pending or mode.capture is not None:
        return
    for value in args:
        node = value._node if isinstance(value, Handle) else None
        if node is not None and node.value is None and not node.aval.inexact:
            flush()
            return
    count = mode.calls.get(id(module), 0) + 1
    mode.calls[id(module)] = count
    if count > CALLS_AT_ONCE:
        flush()


def leave_module() -> None:
    """Called after an outermost module call: without gradients, what it recorded runs at once."""
    if not mode.grad and mode.pending and mode.capture is None and mode.functional is None:
        flush()
