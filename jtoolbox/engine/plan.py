"""Step two of four: plan. What is pending, as an immutable list of steps that a program can replay.

`gather` takes the pending nodes and hands on the key of the program they need, the leaves to feed
it, and the nodes to write back to. `Plan` is built only when that key is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jtoolbox.engine.graph import FREED, LEAF, Call, Node, passes
from jtoolbox.engine.pattern import Pattern, kind_of


class Step(NamedTuple):
    """One call: inputs are numbers of earlier steps, or -1 - slot for the slots of the program.

    `grad` is False where no gradient flows back through the step.
    """

    call: Call
    inputs: tuple[int, ...]
    grad: bool


class Plan(NamedTuple):
    """A recorded graph. `outputs` are steps whose values somebody holds; `roots` those of them that
    need a pullback, with respect to the slots and steps `wrt`; `donated` the slots that may be
    overwritten."""

    steps: tuple[Step, ...]
    slots: int
    outputs: tuple[int, ...]
    roots: tuple[int, ...]
    wrt: tuple[int, ...]
    donated: tuple[int, ...]


class Gathered(NamedTuple):
    """The key of a plan, and what stands for it in this run."""

    key: tuple
    steps: Sequence[Node]
    leaves: list[Any]
    outputs: list[Node]
    roots: list[Node]
    wrt: list[Node]
    donated: Sequence[int]


_stamp = 0
_patterns: dict[tuple, Pattern] = {}


def gather(
    batch: Sequence[Node], rest: Sequence[Node], unread: list[Node] | None = None
) -> Gathered | None:
    """Numbers the pending nodes and their leaves, writes the program's key, and finds what of the
    results somebody still needs; None when nothing.

    With `unread`, gradients that stand in a `.grad` at which nobody has looked are no outputs: they
    are put into that list instead.
    """
    if rest or not batch:
        return _gather(batch, rest, unread)
    kind = kind_of(batch, unread)
    pattern = _patterns.get(kind)
    if pattern is not None and (values := pattern.fits(batch)) is not None:
        if unread is not None:
            unread += pattern.unread(values)
        leaves, outputs = list(pattern.leaves(values)), list(pattern.outputs(values))
        return Gathered(pattern.key, batch, leaves, outputs, [], [], pattern.key[-1])
    found = _gather(batch, rest, unread)
    # A pattern knows no pullbacks, nor steps that nobody needs.
    if found is not None and found.steps is batch and not found.roots:
        _patterns[kind] = Pattern.of(found.key, batch, found, unread or ())
    return found


def _gather(
    batch: Sequence[Node], rest: Sequence[Node], unread: list[Node] | None
) -> Gathered | None:
    """The same for a batch that fits no pattern."""
    global _stamp
    _stamp += 1
    stamp = _stamp
    for node in rest:
        for i in node.inputs:
            if i.__class__ is Node and i.value is None:
                i.mark = -stamp
    code: list[Any] = []
    write = code.append
    leaves: list[Any] = []
    outputs: list[Node] = []
    used: list[int] = []
    number = 0
    parents = 0  # calls with several results, which have no value of their own
    for node in batch:
        write(node.call.id if passes(node) else -node.call.id)
        for i in node.inputs:
            if i.__class__ is not Node:
                if i is None:
                    write(None)
                    continue
                leaves.append(i)
                write(-len(leaves))
            elif i.value is None:
                used.append(i.index)
                write(i.index)
            else:
                if i.mark != stamp:
                    i.mark = stamp
                    leaves.append(i)
                    i.index = -len(leaves)
                write(i.index)
        results = node.outs
        if results is None:
            results = (node,)
        else:
            node.index = number
            number += 1
            parents += 1
        for result in results:
            result.index = number
            number += 1
            reference = result.owner
            if reference is not None and (owner := reference()) is not None:
                if (
                    owner._node is result
                    or (owner._grad is result and (unread is None or result.requires_grad))
                    or result.mark == -stamp
                ):
                    outputs.append(result)
                elif owner._grad is result:
                    unread.append(result)  # type: ignore[union-attr]
            elif result.mark == -stamp:
                outputs.append(result)
            result.mark = stamp
    if not outputs:
        return None
    taken = {*used, *[n.index for n in outputs]}
    if len(taken) < number - parents and any(_is_idle(node, taken) for node in batch):
        # What nobody needs must not be part of the key: a loop may drop more or less of it.
        return _gather(_needed(batch, outputs), rest, None if unread is None else [])
    roots = [n for n in outputs if n.requires_grad and not n.flags & (FREED | LEAF)]
    wrt = _boundary(roots, batch) if roots else []
    if roots and not wrt:
        for node in roots:
            node.flags |= FREED
        roots = []
    donated = _replaced(leaves, stamp)
    key = (
        tuple(code),
        tuple([n.index for n in outputs]),
        tuple([n.index for n in roots]),
        tuple([n.index for n in wrt]),
        tuple(donated),
    )
    return Gathered(key, batch, leaves, outputs, roots, wrt, donated)


def _is_idle(step: Node, taken: set[int]) -> bool:
    """Whether neither another step nor somebody outside takes a result of this one."""
    if step.outs is None:
        return step.index not in taken
    first = step.index + 1
    return taken.isdisjoint(range(first, first + len(step.outs)))


def _needed(batch: Sequence[Node], outputs: list[Node]) -> list[Node]:
    """The steps that the outputs depend on."""
    found = set(outputs)
    for node in reversed(batch):
        if node in found or (node.outs is not None and not found.isdisjoint(node.outs)):
            found.add(node)
            found.update(i for i in node.inputs if i.__class__ is Node and i.value is None)
    return [node for node in batch if node in found]


def _boundary(roots: list[Node], steps: Sequence[Node]) -> list[Node]:
    """Where gradients of the roots leave the batch: leaves, and results of earlier programs.

    Roots that other steps use come last: their own gradient may be asked for as well.
    """
    found: dict[Node, None] = {}
    seen = set(roots)
    stack = list(roots)
    while stack:
        node = stack.pop()
        for i in node.inputs:
            if i.__class__ is not Node or not i.requires_grad or i in seen:
                continue
            seen.add(i)
            if i.flags & LEAF or i.value is not None:
                if not i.flags & FREED:
                    found[i] = None
            elif not i.flags & FREED:
                stack.append(i)
    used = {i for node in steps for i in node.inputs}
    return [*found, *[r for r in roots if r in used]] if found else []


def _replaced(leaves: list[Any], stamp: int) -> list[int]:
    """Slots whose handle already points at a result of this batch of the same type.

    NOTE: donation. Such an array would be garbage after the run, so the program may write its
    result over it. `realize` first copies the array where somebody else may hold it.
    """
    slots = []
    for slot, leaf in enumerate(leaves):
        if leaf.__class__ is not Node or leaf.owner is None or (owner := leaf.owner()) is None:
            continue
        new = owner._node
        if new is leaf or new.mark != stamp or new.value is not None:
            continue
        if new.aval is leaf.aval and owner._grad is not leaf:
            slots.append(slot)
    return slots


def pick(i: int, aval: Any) -> Call:
    """The call that takes one of several results."""
    return Call("Pick", lambda results: results[i], aval)


def make_plan(gathered: Gathered) -> Plan:
    """The immutable form of what was gathered."""
    steps = []
    numbers = iter(gathered.key[0])
    for node in gathered.steps:
        next(numbers)
        inputs = tuple([next(numbers) for _ in node.inputs])
        steps.append(Step(node.call, inputs, passes(node)))
        source = len(steps) - 1
        for i, out in enumerate(node.outs or ()):
            steps.append(Step(pick(i, out.aval), (source,), out.requires_grad))
    return Plan(tuple(steps), len(gathered.leaves), *gathered.key[1:])
