"""A stretch of recorded calls as one call, whose function may then be transformed as a whole.

It takes the pending nodes since a mark and puts one call in their place, with several results: what
handles hold of them. `utils.checkpoint` uses it to have the stretch computed again in the backward
pass instead of kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.engine.graph import LEAF, RETAIN, Call, Handle, Node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.plan import Plan, Step, pick
from jtoolbox.engine.record import record
from jtoolbox.engine.replay import Evaluation, Gradient

_calls: dict[tuple, Call] = {}


class Mark:
    """A place among the pending nodes: what is recorded after it is the region."""

    def __init__(self) -> None:
        self.pending = mode.pending
        self.start = len(mode.pending)

    def nodes(self) -> list[Node]:
        """What was recorded since; nothing if some of it has run, or cannot be one call.

        That is so when a value was asked for, a backward pass was recorded, or a hook or a leaf
        was made on the way.
        """
        if mode.pending is not self.pending or len(self.pending) < self.start:
            return []
        found = self.pending[self.start :]
        for parent in found:
            for node in parent.outs or (parent,):
                if node.flags & (LEAF | RETAIN) or node.hooks:
                    return []
            if isinstance(parent.call, Gradient):
                return []
        return found


class Numbers:
    """Steps numbered as in a `Plan`, and the leaves that they read from outside."""

    def __init__(self, region: Sequence[Node]):
        self.steps: list[Step] = []
        self.leaves: list[Any] = []
        self.places: dict[Node, int] = {}
        for node in region:
            inputs = tuple([None if i is None else self.place(i) for i in node.inputs])
            self._add(node, Step(node.call, inputs, node.requires_grad))  # type: ignore[arg-type]
            source = len(self.steps) - 1
            for k, out in enumerate(node.outs or ()):
                self._add(out, Step(pick(k, out.aval), (source,), out.requires_grad))

    def _add(self, node: Node, step: Step) -> None:
        self.places[node] = len(self.steps)
        self.steps.append(step)

    def place(self, value: Any) -> int:
        """The number of a step, or of a leaf, which is new unless it has been met before."""
        if value.__class__ is Node and value in self.places:
            return self.places[value]
        self.leaves.append(value)
        if value.__class__ is Node:
            self.places[value] = -len(self.leaves)
        return -len(self.leaves)


def merge(mark: Mark, name: str, transform: Callable[..., Any]) -> None:
    """Puts `transform(region as a function of its leaves)` in the place of the region's nodes."""
    region = mark.nodes()
    outputs = [n for parent in region for n in parent.outs or (parent,) if n.live]
    if not any(n.requires_grad for n in outputs):
        return
    numbers = Numbers(region)
    places = tuple(numbers.places[n] for n in outputs)
    avals = tuple([v.aval if v.__class__ is Node else v.__class__ for v in numbers.leaves])
    code = tuple((node.call.id, numbers.steps[numbers.places[node]][1:]) for node in region)
    key = (name, transform, code, places, avals)
    call = _calls.get(key)
    if call is None:
        plan = Plan(tuple(numbers.steps), len(avals), places, (), (), ())
        call = _calls[key] = Call(
            name,
            transform(_replayed(plan)),
            tuple(n.aval for n in outputs),
            saves="output",
            tags=frozenset(tag for node in region for tag in node.call.tags),
            structure=tuple,
            avals=avals,
        )
    del mark.pending[mark.start :]
    results = record(call, tuple(numbers.leaves), True)
    for old, new in zip(outputs, results, strict=True):
        new.requires_grad = old.requires_grad
        _hand_over(old, new, numbers.places)


def _replayed(plan: Plan) -> Callable[..., Any]:
    def function(*leaves: Any) -> tuple[Any, ...]:
        values = {-1 - k: v for k, v in enumerate(leaves)}
        evaluation = Evaluation(plan, values, (), {}, inside=True)
        return tuple(evaluation.need(s) for s in plan.outputs)

    return function


def _hand_over(old: Node, new: Node, places: dict[Node, int]) -> None:
    """Gives the handle of a region's node the call's result, which is no view into the region."""
    reference: Any = old.owner
    handle = reference()
    new.owner = reference
    if handle._grad is old:
        handle._grad = new
    else:
        handle._node = new
    if not isinstance(handle, Handle):
        return
    if handle._family is not None and handle._family._node is old:
        handle._family._node = new
    if handle._view is not None and places.get(handle._view.family._node, -1) >= 0:
        family = handle._view.family
        base = family.base()
        if base is None:
            handle._view = None
        if family in [reference() for reference in mode.families]:
            mode.families = [r for r in mode.families if r() is not family]
