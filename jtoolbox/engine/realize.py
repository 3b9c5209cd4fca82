"""Step four of four: realize. Runs what is pending and writes values back into the nodes.

`flush` is the one place where recorded programs run. It also makes the `Segment`s: programs whose
pullback is kept, because a value was demanded before `backward` was called.
"""

from __future__ import annotations

import weakref
from collections.abc import Collection, Sequence
from typing import Any

import jax
import numpy as np

from jtoolbox.engine import explain
from jtoolbox.engine.compile import Program, program_for
from jtoolbox.engine.graph import KEY, OWNED, PINNED, USED, Node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.plan import Gathered, gather
from jtoolbox.engine.record import DEMANDED, Hooks

# Finished steps that have not run, of all threads: `step` fills and runs them.
waiting: dict[int, Any] = {}
_segments: weakref.WeakSet[Segment] = weakref.WeakSet()


class Segment:
    """An executed program through which gradients can still flow.

    `leaves` are the arrays of its pullback (an array that is an input stands as that input's node),
    `results` the nodes that can bring cotangents, `wrt` the nodes that receive gradients, `steps`
    the recorded nodes, for gradients of gradients. `hooks` see its gradients (see `grad_fn`).
    """

    __slots__ = ("number", "order", "leaves", "treedef", "results", "wrt", "steps", "hooks",
                 "__weakref__")  # fmt: skip
    _count = 0
    # What carries cotangents on in Python, where the pullback is no program: see autograd.on_host.
    run: Any = None

    def __init__(self, program: Program, gathered: Gathered, pull: Any):
        Segment._count += 1
        self.order = Segment._count
        self.number = program.number
        arrays, self.treedef = jax.tree.flatten(pull)
        inputs = {id(i.value): i for i in gathered.leaves if i.__class__ is Node}
        self.leaves: list[Any] = [inputs.get(id(a), a) for a in arrays]
        self.results = [n.aval for n in gathered.roots]
        self.wrt = gathered.wrt
        self.hooks = None
        self.steps = gathered.steps
        for k, node in enumerate(gathered.roots):
            node.segment = (self, k)
        _segments.add(self)

    def free(self) -> None:
        """Lets go of everything a backward pass would need."""
        release(self.steps)
        self.leaves, self.steps, self.wrt = [], [], []
        _segments.discard(self)

    @property
    def freed(self) -> bool:
        return self not in _segments


def adopt(segment: Segment) -> None:
    """Numbers a segment that is no program's, and keeps it until it is freed."""
    Segment._count += 1
    segment.order = segment.number = Segment._count
    segment.treedef = segment.hooks = None
    _segments.add(segment)


def release(steps: Sequence[Node]) -> None:
    """Lets executed nodes forget what they were computed from."""
    for node in steps:
        node.inputs = ()
        if node.outs is not None:
            for out in node.outs:
                out.inputs = ()


def flush(upto: Node | None = None) -> None:
    """Runs all live pending tensors of this thread; with `upto`, those recorded up to that node."""
    if waiting and mode.capture is None:
        Hooks.run_waiting()
        if upto is not None and upto.value is not None:
            return
    pending = mode.pending
    if not pending:
        return
    if mode.capture is not None:
        raise RuntimeError(DEMANDED)
    if upto is None:
        batch, rest = pending, []
        mode.backward = None
    else:
        end = pending.index(upto if upto in pending else upto.inputs[0]) + 1
        batch, rest = pending[:end], pending[end:]
        if mode.backward in batch:
            mode.backward = None
    mode.pending = rest
    mode.calls = {}
    if mode.families:
        settle_families(mode.__dict__)
    gathered = gather(batch, rest)
    if gathered is not None:
        run(gathered)


def run(gathered: Gathered, held: Collection[Node] = ()) -> None:
    """Runs a gathered plan and writes the results into its nodes; leaves that are `held` stay."""
    program, new = program_for(gathered)
    if new:
        explain.compiled(gathered)
    values = [
        i
        if i.__class__ is not Node
        else value_for_program(i)
        if i.value.__class__ is np.ndarray
        else i.value
        for i in gathered.leaves
    ]
    if gathered.donated:
        _own(gathered, values, held)
    outputs, pull = program.run(values)
    if program.forwarded is None:
        program.forwarded = _forwarded(values, outputs)
    for i, k in program.forwarded:
        leaf = gathered.leaves[i]
        if leaf.__class__ is Node:
            leaf.flags |= PINNED
        gathered.outputs[k].flags |= PINNED
    for node, value in zip(gathered.outputs, outputs, strict=True):
        node.value = value
        node.flags |= OWNED
    if pull is not None:
        Segment(program, gathered, pull)
    else:
        release(gathered.steps)


def value_for_program(leaf: Node) -> Any:
    """The value of a leaf on the host. What is used a second time is kept on the device.

    A batch is used once, and passing it on as it is costs least; weights that were loaded, or data
    that a loop uses as a whole, would be copied at every call.
    """
    if leaf.flags & (USED | KEY) == USED:
        with jax.enable_x64(True):
            leaf.value = jax.device_put(leaf.value)
    leaf.flags |= USED
    return leaf.value


def _own(gathered: Gathered, values: list[Any], held: Collection[Node]) -> None:
    """Copies the arrays to be donated where somebody else may hold them."""
    if _segments:
        held = {*held, *[i for s in _segments for i in s.leaves if i.__class__ is Node]}
    for slot in gathered.donated:
        leaf = gathered.leaves[slot]
        if leaf.flags & (OWNED | PINNED) != OWNED or leaf in held:
            values[slot] = fresh(values[slot])


def fresh(value: Any) -> Any:
    """A copy of an array that nobody else holds.

    On the host it is NumPy's: JAX's own is a program that is compiled for each shape.
    """
    if isinstance(value, np.ndarray) or (
        len(value.devices()) == 1 and jax.default_backend() == "cpu"
    ):
        return np.array(value)
    return value.copy()


def _forwarded(values: list[Any], outputs: list[Any]) -> tuple[tuple[int, int], ...]:
    """(input, output) pairs that are one array: JAX returns an unchanged input as it is."""
    places = {id(v): i for i, v in enumerate(values)}
    return tuple((places[id(o)], k) for k, o in enumerate(outputs) if id(o) in places)


def settle_families(state: dict[str, Any]) -> None:
    """A base that only views hold: one view lives on by itself, several keep the base."""
    for reference in state["families"]:
        family = reference()
        if family is None or family.base() is not None or family._node.value is not None:
            continue
        views = [v for v in (m() for m in family.members) if v is not None]
        if len(views) == 1:
            views[0]._view = None
        elif views:
            family._node.owner = reference
    state["families"] = [
        r for r in state["families"] if (f := r()) is not None and f.base() is not None
    ]


def synchronize() -> None:
    """Runs everything pending in this thread and waits until the devices are done."""
    flush()
    jax.effects_barrier()
    jax.block_until_ready(jax.live_arrays())


Hooks.flush = staticmethod(flush)
