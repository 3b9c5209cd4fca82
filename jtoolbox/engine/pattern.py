"""What was gathered before, as a pattern for the next step like it.

A loop records the same graph at every step. Numbering it anew and finding its program by a long key
costs a sixth of a small step; comparing it with the last graph of its kind, list against list,
costs half of that. A pattern says where in a batch everything was that `gather` found. It fits if
calls, wiring, gradients and owners are the same; what does not fit is gathered as if new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from jtoolbox.engine.graph import FREED, LEAF, Call, Node, passes

Picker = Callable[[Sequence[Any]], tuple[Any, ...]]


def picker(places: Sequence[int]) -> Picker:
    """Takes the elements at these places."""
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[k] for k in places])


def kind_of(batch: Sequence[Node], unread: list[Node] | None) -> tuple:
    """What two batches have in common that are worth comparing."""
    return len(batch), batch[0].call, batch[-1].call, unread is None


def _values(batch: Sequence[Node]) -> tuple[list[Any], int]:
    """All inputs of a batch and then all results, and how many inputs there are."""
    values: list[Any] = []
    for node in batch:
        values += node.inputs
    count = len(values)
    for node in batch:
        if node.outs is None:
            values.append(node)
        else:
            values += node.outs
    return values, count


def _holders(results: Sequence[Node]) -> list[int]:
    """For each result who has it: 0 nobody, 1 a handle as its value, 2 a handle as its gradient."""
    found = []
    for result in results:
        reference = result.owner
        if reference is None or (owner := reference()) is None:
            found.append(0)
        elif owner._node is result:
            found.append(1)
        else:
            found.append(2 if owner._grad is result else 0)
    return found


class Pattern(NamedTuple):
    """A batch as lists to compare with, and where in its values leaves and outputs are."""

    key: tuple
    calls: list[Call]
    passing: list[bool]  # which calls gradients pass
    sources: Picker  # for each input, where the same value came first, or was computed
    leaves: Picker
    nodes: Picker  # those of the leaves that are no numbers
    holders: list[int]
    outputs: Picker
    tracked: list[bool]  # which outputs require grad
    unread: Picker
    replaced: list[tuple[int, int]]  # donated leaves, and the results that take their place

    @classmethod
    def of(cls, key: tuple, batch: Sequence[Node], found: Any, unread: Sequence[Node]) -> Pattern:
        """The pattern of a batch, from what `gather` found in it."""
        values, count = _values(batch)
        places = {id(v): count + k for k, v in enumerate(values[count:])}
        # A number stands for itself alone, also where another is the same object.
        first = {
            id(v): k for k, v in reversed(list(enumerate(values[:count]))) if v.__class__ is Node
        }
        first |= places
        sources = [first.get(id(v), k) for k, v in enumerate(values[:count])]
        leaves = [k for k in range(count) if sources[k] == k and values[k] is not None]
        replaced = [(first[id(leaf)], first[id(leaf.owner()._node)])
                    for leaf in [found.leaves[k] for k in found.donated]]  # fmt: skip
        return cls(
            key,
            [node.call for node in batch],
            [passes(node) for node in batch],
            picker(sources),
            picker(leaves),
            picker([k for k in leaves if values[k].__class__ is Node]),
            _holders(values[count:]),
            picker([places[id(n)] for n in found.outputs]),
            [n.requires_grad for n in found.outputs],
            picker([places[id(n)] for n in unread]),
            replaced,
        )

    def fits(self, batch: Sequence[Node]) -> list[Any] | None:
        """The inputs and results of a batch of this pattern; None for any other."""
        if [n.call for n in batch] != self.calls or [passes(n) for n in batch] != self.passing:
            return None
        values, count = _values(batch)
        if self.sources(values) != tuple(values[:count]):
            return None
        nodes = self.nodes(values)
        for leaf in nodes:
            if leaf.value is None:
                return None
        if len(set(nodes)) != len(nodes) or _holders(values[count:]) != self.holders:
            return None
        for output, tracked in zip(self.outputs(values), self.tracked, strict=True):
            if output.requires_grad is not tracked or (
                tracked and not output.flags & (FREED | LEAF)
            ):
                return None
        for old, new in self.replaced:
            reference = values[old].owner
            if reference is not values[new].owner or reference()._grad is values[old]:
                return None
        return values
