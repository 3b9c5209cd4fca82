"""A function of Tensors as a pure function of its arguments and of what it reads from outside.

The function is called once, on Tensors without values. What it computes is kept as a plan, whose
leaves are the arguments and the Tensors that the function holds: so it can be mapped over arrays,
and gradients reach the Tensors it holds.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.engine.graph import OVERWRITTEN, Aval, Handle, Node, Placeholder
from jtoolbox.engine.modes import mode
from jtoolbox.engine.plan import Plan
from jtoolbox.engine.record import DEMANDED, Hooks, node_of, wrap
from jtoolbox.engine.region import Numbers
from jtoolbox.engine.replay import Evaluation

__all__ = ["Program", "recorded"]

_VALUE = (
    "a function that is mapped over elements must not depend on values (an `if` on a Tensor, "
    "item(), print): it is called once for all. Use jtoolbox.where in the place of `if`."
)
_RANDOM = "a function that is mapped over elements must not draw random numbers"
_WRITES = "a function that is mapped over elements must not write into Tensors of outside in place"
_programs: dict[tuple, Program] = {}


class Program:
    """The pure function of its arguments and of the values that it read from outside.

    It gives a tuple of results.
    """

    def __init__(self, plan: Plan, arguments: Sequence[int | None], held: Sequence[int]):
        self.plan, self.arguments, self.held = plan, arguments, held

    def __call__(self, arguments: Sequence[Any], held: Sequence[Any]) -> tuple[Any, ...]:
        values = dict(zip(self.held, held, strict=True))
        values.update(
            (slot, v) for slot, v in zip(self.arguments, arguments, strict=True) if slot is not None
        )
        evaluation = Evaluation(self.plan, values, (), {}, inside=True)
        return tuple(evaluation.need(place) for place in self.plan.outputs)


class _Recording:
    """Stands where the recording of a step would: no value, random number or write is allowed."""

    def __init__(self) -> None:
        self.rebound: list[tuple[Handle, Node]] = []

    def key(self, node: Node) -> None:
        raise RuntimeError(_RANDOM)


def _call(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Any, list[Node]]:
    before = mode.pending, mode.capture
    recording = _Recording()
    mode.pending, mode.capture = [], recording
    try:
        result = function(*arguments)
        region = mode.pending
    except RuntimeError as error:
        if str(error) == DEMANDED:
            raise RuntimeError(_VALUE) from error
        raise
    finally:
        mode.pending, mode.capture = before
    inside = {out for node in region for out in node.outs or (node,)}
    outside = [(handle, old) for handle, old in recording.rebound if old not in inside]
    for handle, old in reversed(outside):
        old.flags &= ~OVERWRITTEN
        handle._node = old
        if handle._family is not None:
            handle._family._node = old
            handle._family.version += 1
    if outside:
        raise RuntimeError(_WRITES)
    return result, region


def recorded(
    function: Callable[..., Sequence[Any]], avals: Sequence[Aval]
) -> tuple[Program, list[Any]]:
    """The program of a function from Tensors with these avals to several, and the Tensors it holds.

    Two calls that record the same give the same program. Raises RuntimeError for a function that
    looks at values, draws random numbers or writes, TypeError where it returns what is no Tensor.
    """
    if mode.finished is not None and mode.capture is None:
        Hooks.run_finished(mode.finished)
    nodes = [Node(a, Placeholder(a), requires_grad=a.inexact) for a in avals]
    results, region = _call(function, [wrap(n) for n in nodes])
    for result in results:
        if not isinstance(result, Handle):
            raise TypeError(f"the function must return one Tensor, got {type(result).__name__}")
    numbers = Numbers(region)
    outs = tuple([numbers.place(node_of(r)) for r in results])
    slots = [numbers.places.get(n) for n in nodes]
    held = [(-1 - k, v) for k, v in enumerate(numbers.leaves) if -1 - k not in slots]
    code = tuple(node.call.id for node in region)
    wiring = tuple(tuple(step[1:]) for step in numbers.steps)
    key = (code, wiring, outs, tuple(slots))
    program = _programs.get(key)
    if program is None:
        plan = Plan(tuple(numbers.steps), len(numbers.leaves), outs, (), (), ())
        program = _programs[key] = Program(plan, slots, [slot for slot, _ in held])
    return program, [_handle(v) for _, v in held]


def _handle(value: Any) -> Any:
    """The Tensor of a node, as an operand; a number stays."""
    if value.__class__ is not Node:
        return value
    owner = None if value.owner is None else value.owner()
    if owner is not None and owner._node is value and owner._view is None:
        return owner
    handle = wrap(value)
    if owner is not None:  # who held it before still does
        value.owner = weakref.ref(owner)
    return handle
