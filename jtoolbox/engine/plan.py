"""Step two of four: plan. What is pending, as an immutable list of steps that a program can replay.

`gather` takes the pending nodes and hands on the key of the program they need, the leaves to feed
it, and the nodes to write back to. `Plan` is built only when that key is new.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jtoolbox.engine.graph import FREED, LEAF, Call, Node


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
    steps: list[Node]
    leaves: list[Any]
    outputs: list[Node]
    roots: list[Node]
    wrt: list[Node]
    donated: list[int]


_stamp = 0


def gather(
    batch: Sequence[Node], rest: Sequence[Node], unread: list[Node] | None = None
) -> Gathered | None:
    """Finds what of the pending nodes somebody still needs; None when nothing.

    With `unread`, gradients that stand in a `.grad` at which nobody has looked are not outputs:
    they are put into that list instead.
    """
    global _stamp
    _stamp += 1
    stamp = _stamp
    for node in rest:
        for i in node.inputs:
            if i.__class__ is Node and i.value is None:
                i.mark = -stamp
    outputs: list[Node] = []
    for node in reversed(batch):
        if node.outs is not None:
            if not _mark_outs(node, stamp, outputs, unread):
                continue
        elif _is_output(node, stamp, unread):
            outputs.append(node)
        elif node.mark != stamp:
            continue
        node.mark = stamp
        for i in node.inputs:
            if i.__class__ is Node and i.value is None and i.mark != -stamp:
                i.mark = stamp
    if not outputs:
        return None
    outputs.reverse()
    return _number(batch, stamp, outputs)


def _is_output(node: Node, stamp: int, unread: list[Node] | None) -> bool:
    """Whether a handle, or a step that is still to be run, needs the value of a node."""
    if node.mark == -stamp:
        return True
    reference = node.owner
    owner = None if reference is None else reference()
    if owner is None:
        return False
    if owner._node is node:
        return True
    if owner._grad is not node:
        return False
    if unread is None or node.requires_grad:
        return True
    unread.append(node)
    return False


def _mark_outs(parent: Node, stamp: int, outputs: list[Node], unread: list[Node] | None) -> bool:
    """Whether any result of a call with several is needed; collects those that are outputs."""
    needed = False
    for node in reversed(parent.outs or ()):
        if _is_output(node, stamp, unread):
            outputs.append(node)
            node.mark = stamp
            needed = True
        elif node.mark == stamp:
            needed = True
    return needed


def _number(batch: Sequence[Node], stamp: int, outputs: list[Node]) -> Gathered:
    """Numbers the needed steps and their leaves, and writes the program's key."""
    code: list[Any] = []
    steps: list[Node] = []
    leaves: list[Any] = []
    number = 0
    for node in batch:
        if node.mark != stamp:
            continue
        code.append(node.call.id if node.requires_grad else -node.call.id)
        for i in node.inputs:
            if i.__class__ is not Node:
                if i is None:
                    code.append(None)
                    continue
                leaves.append(i)
                code.append(-len(leaves))
            elif i.value is None:
                code.append(i.index)
            else:
                if i.mark != stamp:
                    i.mark = stamp
                    leaves.append(i)
                    i.index = -len(leaves)
                code.append(i.index)
        node.index = number
        number += 1
        if node.outs is not None:
            for out in node.outs:
                out.index = number
                number += 1
        steps.append(node)
    roots = [n for n in outputs if n.requires_grad and not n.flags & (FREED | LEAF)]
    wrt = _boundary(roots, steps) if roots else []
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
    return Gathered(key, steps, leaves, outputs, roots, wrt, donated)


def _boundary(roots: list[Node], steps: list[Node]) -> list[Node]:
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
        if leaf.__class__ is not Node or leaf.owner is None:
            continue
        owner = leaf.owner()
        if owner is None:
            continue
        new = owner._node
        replaced = new is not leaf and owner._grad is not leaf and new.aval is leaf.aval
        if replaced and new.mark == stamp and new.value is None:
            slots.append(slot)
    return slots


def _pick(i: int, aval: Any) -> Call:
    return Call("Pick", lambda results: results[i], aval)


def make_plan(gathered: Gathered) -> Plan:
    """The immutable form of what was gathered."""
    steps = []
    numbers = iter(gathered.key[0])
    for node in gathered.steps:
        next(numbers)
        inputs = tuple([next(numbers) for _ in node.inputs])
        steps.append(Step(node.call, inputs, node.requires_grad))
        source = len(steps) - 1
        for i, out in enumerate(node.outs or ()):
            steps.append(Step(_pick(i, out.aval), (source,), out.requires_grad))
    return Plan(tuple(steps), len(gathered.leaves), *gathered.key[1:])
