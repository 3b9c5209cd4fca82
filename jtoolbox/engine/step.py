"""Training steps that wait: between `optimizer.step()` and the moment when its program runs.

NOTE: gradients that nobody reads. After `step()` the gradients still stand in `.grad`, and nearly
every loop drops them unread in its next `zero_grad()`. Writing them out costs an eighth of a small
step (`python -m benchmarks.step`). So a finished step waits until its gradients are dropped, or
until a value is needed; its program gives a gradient only if somebody looked at it before. Whoever
looks later gets it computed again from the same inputs; a loop that keeps doing so gets steps that
write their gradients out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from jtoolbox.engine.compile import reads
from jtoolbox.engine.graph import LEAF, Node
from jtoolbox.engine.modes import mode, on_grad_enabled
from jtoolbox.engine.plan import Gathered, gather
from jtoolbox.engine.realize import flush, run, settle_families, waiting
from jtoolbox.engine.record import Hooks, wrap

# A step may be needed by another thread than the one that recorded it.
_lock = threading.RLock()
# A step whose gradients were computed again so often writes them out from then on.
READS = 2


class Finished:
    """A recorded step that has not run: its nodes, what of them is needed, and who may drop it.

    What is needed is settled when the step ends, so that its program does not depend on what
    becomes of the user's variables while it waits. Only gradients are decided on later: `unread`
    are those that stood in a `.grad` then. `state` is the engine's state of the thread.
    """

    __slots__ = ("batch", "gathered", "unread", "optimizers", "state")

    def __init__(self, state: dict[str, Any]):
        self.batch: list[Node] = []
        self.gathered: Gathered | None = None
        self.unread: list[Node] = []
        self.optimizers: set[int] = set()
        self.state = state

    def take(self) -> None:
        """Takes what is pending in."""
        state = self.state
        self.batch += state["pending"]
        state["pending"], state["backward"], state["calls"] = [], None, {}
        if state["families"]:
            settle_families(state)
        self.unread = []
        self.gathered = gather(self.batch, [], self.unread)

    def settle(self) -> Again | None:
        """Decides which gradients the program writes out; what computes the others, if needed."""
        rest = list(self.state["pending"])
        used = bool(rest) and not {i for n in rest for i in n.inputs}.isdisjoint(self.unread)
        held = []
        for node in self.unread:
            owner = node.owner()  # type: ignore[misc]
            if owner is not None and (owner._grad is node or owner._node is node):
                held.append(node)
        if not used and not held:
            return None
        looked_at = any(n.owner()._grad is not n for n in held)  # type: ignore[misc]
        if looked_at or used or self.gathered is None or reads[self.gathered.key] >= READS:
            self.gathered = gather(self.batch, rest)
            return None
        again = Again(self.batch, held, self.gathered.key)
        for k, node in enumerate(held):
            node.owner()._grad = Unread(again, k)  # type: ignore[misc]
        return again


class Unread:
    """Stands in `.grad` for a gradient that its step has used up without writing it out."""

    __slots__ = ("again", "number", "__weakref__")
    _view = None

    def __init__(self, again: Again, number: int):
        self.again = again
        self.number = number

    @property
    def _node(self) -> Node:
        return self.again.results()[self.number]


class Again:
    """How to compute the unread gradients of a step that has run: its nodes and their inputs."""

    __slots__ = ("key", "targets", "steps", "leaves", "found")

    def __init__(self, batch: Sequence[Node], targets: list[Node], key: tuple):
        self.key = key
        self.targets = targets
        self.steps: list[tuple[Node, tuple]] = []
        self.leaves: set[Node] = set()
        self.found: list[Node] | None = None
        needed = set(targets)
        for node in reversed(batch):
            if node in needed or (node.outs is not None and not needed.isdisjoint(node.outs)):
                self.steps.append((node, node.inputs))
                for i in node.inputs:
                    if i.__class__ is Node:
                        (needed if i.value is None else self.leaves).add(i)
        self.steps.reverse()

    def results(self) -> list[Node]:
        """The gradients; runs their program at the first call."""
        if self.found is None:
            reads[self.key] += 1
            copies: dict[Any, Node] = {}
            for node, inputs in self.steps:
                given = tuple([copies.get(i, i) for i in inputs])
                copy = Node(
                    node.aval, None, node.call, given, node.requires_grad, node.flags & LEAF
                )
                copies[node] = copy
                if node.outs is not None:
                    copy.outs = [
                        Node(o.aval, None, o.call, (copy,), o.requires_grad) for o in node.outs
                    ]
                    copies.update(zip(node.outs, copy.outs, strict=True))
            held = [wrap(copies[t]) for t in self.targets]
            gathered = gather([copies[node] for node, _ in self.steps], [])
            assert gathered is not None
            run(gathered)
            self.found = [t._node for t in held]
            self.steps, self.leaves = [], set()
        return self.found


def finish_step(optimizer: Any) -> None:
    """Called when an optimizer has recorded its update: what is pending becomes a waiting step.

    Steps of several optimizers one after the other are one; a second one of the same runs it all.
    """
    state = mode.__dict__
    if state["capture"] is not None:
        return
    state["written"] = False
    finished = state["finished"]
    if finished is None:
        if not state["pending"]:
            return
        state["finished"] = finished = Finished(state)
        waiting[id(finished)] = finished
    elif id(optimizer) in finished.optimizers:
        flush()
        return
    finished.optimizers.add(id(optimizer))
    finished.take()


def gradients_dropped(optimizer: Any) -> None:
    """Called by `zero_grad`: runs the waiting step when all of its optimizers have called it."""
    finished = mode.finished
    if finished is not None:
        finished.optimizers.discard(id(optimizer))
        if not finished.optimizers:
            run_finished(finished)


def run_finished(finished: Finished) -> None:
    """Runs a waiting step."""
    with _lock:
        if waiting.pop(id(finished), None) is None:  # another thread was faster
            return
        finished.state["finished"] = None
        again = finished.settle()
        if finished.gathered is not None:
            run(finished.gathered, () if again is None else again.leaves)


def run_waiting() -> None:
    """Runs the waiting steps of all threads."""
    for finished in list(waiting.values()):
        run_finished(finished)


def written_without_grad() -> None:
    """Called on leaving `no_grad` after values were written in place: runs what is pending."""
    if mode.capture is None:
        flush()


def owners(gradients: Iterable[Node]) -> list[Any]:
    """The owners of gradients that nobody has looked at."""
    return [owner for g in gradients if g.owner is not None and (owner := g.owner()) is not None]


Hooks.run_finished = staticmethod(run_finished)
Hooks.run_waiting = staticmethod(run_waiting)
on_grad_enabled.append(written_without_grad)
