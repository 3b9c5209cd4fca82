"""Freezing a step: the plan of one call, with where each of its leaves is read and results go.

`capture` runs a function once, recording everything it does, and hands on a `Frozen`: later calls
read the handles (parameters, optimizer state, buffers), run the program, and write the handles
back, without any of the function's Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jtoolbox import random
from jtoolbox.engine import explain
from jtoolbox.engine.compile import Program, program_for
from jtoolbox.engine.graph import FREED, KEY, LEAF, OVERWRITTEN, OWNED, PINNED, Handle, Node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.plan import Gathered, gather
from jtoolbox.engine.realize import flush, fresh, run, value_for_program
from jtoolbox.engine.record import value_of
from jtoolbox.engine.step import owners

OLD_GRADIENT = (
    "a step under jtoolbox.jit or scan adds to gradients from before it, which are not kept "
    "between its calls. Call optimizer.zero_grad() inside the step before backward()."
)
UNFINISHED = (
    "a step under jtoolbox.jit or scan returned a tensor that requires grad. The frozen step keeps "
    "no graph: call backward() inside the step, return tensor.detach(), or run it under no_grad()."
)
LOST_GRADIENT = (
    "gradients of a step under jtoolbox.jit or scan are not kept in .grad: return them from the "
    "step (`return loss, model.weight.grad`) to look at them."
)


class Recording:
    """What the layers above tell while a step is recorded: random keys and changing numbers."""

    def __init__(self) -> None:
        self.keys: list[Node] = []
        self.readers: dict[Node, Callable[[], Sequence[float]]] = {}
        self.undo: list[Callable[[], None]] = []
        self.rebound: list[tuple[Handle, Node]] = []

    def key(self, node: Node) -> None:
        """Notes a random key: each later call draws a fresh one."""
        self.keys.append(node)

    def numbers(
        self, node: Node, reader: Callable[[], Sequence[float]], undo: Callable[[], None]
    ) -> None:
        """Notes that the numbers among the inputs of `node` come from `reader` in later calls.

        `undo` takes back what recording this call has counted.
        """
        self.readers[node] = reader
        self.undo.append(undo)


class Frozen:
    """A step as one program: sources of its leaves, targets of its outputs."""

    def __init__(
        self, gathered: Gathered, program: Program, arguments: list[Node], recording: Recording
    ):
        self.program = program
        self.values: list[Any] = [None] * len(gathered.leaves)
        self.arguments: list[tuple[int, int]] = []
        self.handles: list[tuple[int, Handle]] = []
        self.keys: list[int] = []
        self.readers = _reader_slots(gathered, recording)
        moving = {slot for slots, _ in self.readers for slot in slots}
        numbers = {node: i for i, node in enumerate(arguments)}
        for slot, leaf in enumerate(gathered.leaves):
            if leaf.__class__ is not Node:
                if slot not in moving:
                    self.values[slot] = leaf
            elif leaf in numbers:
                self.arguments.append((slot, numbers[leaf]))
            elif leaf.flags & KEY:
                self.keys.append(slot)
            else:
                self.source(slot, leaf)
        # Later calls draw keys in the order in which the recorded one did.
        self.keys.sort(key=lambda slot: int(gathered.leaves[slot].value[1]))
        self.donated = set(program.donated)
        self.lost: list[Handle] = []
        self.results: list[int] = []
        self.targets: list[tuple[int, Handle]] = []

    def source(self, slot: int, leaf: Node) -> None:
        """Decides where a leaf is read: from its handle as it is then, or once and for all."""
        owner = None if leaf.owner is None else leaf.owner()
        if owner is None:
            self.values[slot] = leaf.value
        elif owner._node is leaf or leaf.flags & OVERWRITTEN:
            self.handles.append((slot, owner))
        else:
            raise RuntimeError(OLD_GRADIENT)

    def place(self, gathered: Gathered, results: list[Node], known: set[int]) -> None:
        """Decides where each output goes: into the result, or back into a handle."""
        numbers = {node: k for k, node in enumerate(gathered.outputs)}
        self.results = [numbers[node] for node in results]
        returned = set(results)
        for k, node in enumerate(gathered.outputs):
            owner = node.owner() if node.owner is not None else None
            if owner is None or (node in returned and id(owner) not in known):
                continue
            if owner._node is not node:
                self.lost.append(owner)
                continue
            self.targets.append((k, owner))

    def leaves(self, arguments: Sequence[Any], draw: bool = True) -> list[Any]:
        """The values of all slots for one call; without `draw`, those of random keys are absent."""
        values = list(self.values)
        for slot, i in self.arguments:
            values[slot] = arguments[i]
        donated = self.donated
        for slot, handle in self.handles:
            node = handle._node
            value = node.value
            if value is None:
                value = value_of(node)
            elif value.__class__ is np.ndarray:
                value = value_for_program(node)
            if slot in donated and node.flags & (OWNED | PINNED) != OWNED:
                value = fresh(value)
            values[slot] = value
        for slot in self.keys if draw else ():
            values[slot] = random.default_generator.next_key()
        for slots, reader in self.readers:
            for slot, number in zip(slots, reader(), strict=True):
                values[slot] = number
        return values

    def __call__(self, arguments: Sequence[Any]) -> list[Any]:
        """Runs the step on new argument values; the values of its results."""
        outputs, _ = self.program.run(self.leaves(arguments))
        self.write(outputs)
        return [outputs[k] for k in self.results]

    def write(self, outputs: Sequence[Any]) -> None:
        """Puts values into the handles that the step changes."""
        for k, handle in self.targets:
            old = handle._node
            node = Node(old.aval, outputs[k], None, (), old.requires_grad, old.flags & LEAF | OWNED)
            old.flags |= OVERWRITTEN
            node.owner = old.owner
            handle._node = node
            if handle._family is not None:
                handle._family._node = node
                handle._family.version += 1
        for handle in self.lost:
            handle._grad = LOST


class LostGradient:
    """Stands in `.grad` after a frozen step, whose gradients are not kept."""

    __slots__ = ("__weakref__",)
    _view = None

    @property
    def _node(self) -> Node:
        raise RuntimeError(LOST_GRADIENT)


LOST = LostGradient()
# What a step needs that returns its arguments or nothing.
NOTHING = Gathered(((), (), (), (), ()), [], [], [], [], [], [])


def _reader_slots(
    gathered: Gathered, recording: Recording
) -> list[tuple[list[int], Callable[[], Sequence[float]]]]:
    """For each reader the slots of the numbers that it gives."""
    found = []
    code = iter(gathered.key[0])
    for node in gathered.steps:
        next(code)
        places = [(i, next(code)) for i in node.inputs]
        reader = recording.readers.get(node)
        if reader is not None:
            slots = [-1 - n for i, n in places if i is not None and i.__class__ is not Node]
            found.append((slots, reader))
    return found


def _take_back(recording: Recording) -> None:
    """Puts handles, counters and the generator back to before the recorded call."""
    for handle, old in reversed(recording.rebound):
        old.flags &= ~OVERWRITTEN
        handle._node = old
        if handle._family is not None:
            handle._family._node = old
            handle._family.version += 1
    for undo in recording.undo:
        undo()
    random.default_generator.take_back(len(recording.keys))


def capture(
    function: Callable[[], list[Node]], arguments: list[Node], values: Sequence[Any], execute: bool
) -> tuple[Frozen, Gathered]:
    """Records one call of `function`, which returns the nodes of its results.

    With `execute` the recorded call also runs on `values` and its results are written; otherwise
    its nodes wait for the caller to fill them.
    """
    flush()
    recording = Recording()
    mode.capture = recording
    try:
        results = function()
    except BaseException:
        for node in mode.pending:
            for result in node.outs or (node,):
                owner = None if result.owner is None else result.owner()
                if owner is not None and owner._grad is result:
                    owner._grad = None
        mode.pending, mode.backward, mode.written = [], None, False
        _take_back(recording)
        raise
    finally:
        mode.capture = None
    pending, mode.pending, mode.backward = mode.pending, [], None
    mode.written = False
    lost: list[Node] = []
    gathered = gather(pending, [], lost) or NOTHING
    if any(n.requires_grad and not n.flags & (FREED | LEAF) for n in results):
        raise RuntimeError(UNFINISHED)
    for node, value in zip(arguments, values, strict=True):
        node.value = value
    gathered = gathered._replace(key=(*gathered.key[:2], (), (), gathered.key[4]), roots=[], wrt=[])
    known = {id(leaf.owner()) for leaf in gathered.leaves if leaf.__class__ is Node and leaf.owner}
    program, new = program_for(gathered)
    if new:
        explain.compiled(gathered)
    frozen = Frozen(gathered, program, arguments, recording)
    frozen.lost = owners(lost)
    if execute:
        run(gathered)
    frozen.place(gathered, results, known)
    for handle in frozen.lost:
        handle._grad = LOST
    if not execute:
        _take_back(recording)
    return frozen, gathered
