"""Functions whose Python asks for values or writes its inputs: run as PyTorch runs all.

`forward` runs on the tensors themselves, with values. Its results begin new programs, and carry a
`Segment` whose pullback is `backward`, in Python, when their gradients have arrived.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.autograd.returned import fitted, listed
from jtoolbox.dtypes import from_numpy
from jtoolbox.engine.graph import LEAF, PINNED, Handle, Node
from jtoolbox.engine.modes import mode, no_grad
from jtoolbox.engine.realize import Segment, adopt
from jtoolbox.engine.record import node_of, value_of, wrap

__all__ = ["apply", "possible"]

CHANGED = (
    "one of the variables needed for gradient computation has been modified by an inplace "
    "operation: a tensor that {name} saved was changed after it was used."
)

DIRTY_LEAF = (
    "a leaf Variable that requires grad has been used in an in-place operation. Give the Function "
    "a clone(), or call it under no_grad()."
)


def possible() -> bool:
    """Whether values can be had: not while a step is recorded, and not while JAX traces."""
    return mode.capture is None and mode.functional is None


class HostSegment(Segment):
    """A call of a Function that was run already, whose pullback is its `backward`."""

    __slots__ = ("cls", "ctx", "places", "count", "saved", "inputs")

    def __init__(self, cls: Any, ctx: Any, args: tuple, nodes: dict[int, Node]):
        self.cls, self.count = cls, len(args)
        self.ctx: Any = ctx
        self.inputs = list(nodes.values())
        self.places = [i for i, node in nodes.items() if node.requires_grad]
        self.leaves, self.steps, self.results = [], [], []
        self.wrt = [nodes[i] for i in self.places]
        self.saved: list[Node | None] = []
        adopt(self)

    @property
    def name(self) -> str:
        """What PyTorch calls the step in error messages."""
        return f"{self.cls.__name__}Backward"

    def finish(self) -> None:
        """Notes what was saved, to see whether it is changed before `backward`."""
        self.saved = self._present()

    def _present(self) -> list[Node | None]:
        return [node_of(s) if isinstance(s, Handle) else None for s in self.ctx._saved]

    def free(self) -> None:
        """Lets go of what `backward` needs."""
        super().free()
        self.ctx, self.saved = None, []

    def run(self, cotangents: list[Node | None]) -> list[Node | None]:
        """The gradients of `wrt`, by the Function's `backward`."""
        if self._present() != self.saved:
            raise RuntimeError(CHANGED.format(name=self.cls.__name__))
        given = [self._given(c, k) for k, c in enumerate(cotangents)]
        with no_grad():
            found = self.cls.backward(self.ctx, *given)
        found = listed(self.cls.__name__, found, self.count)
        return [self._gradient(found[p], p, w) for p, w in zip(self.places, self.wrt, strict=True)]

    def _given(self, cotangent: Node | None, k: int) -> Any:
        aval = self.results[k]
        if cotangent is None:
            if aval is None or not self.ctx._materialize:
                return None
            cotangent = Node(aval, np.zeros(aval.shape, aval.dtype), flags=PINNED)
        owner = None if cotangent.owner is None else cotangent.owner()
        return owner if owner is not None and owner._node is cotangent else wrap(cotangent)

    def _gradient(self, returned: Any, place: int, of: Node) -> Node | None:
        if returned is None:
            return None
        found = fitted(self.cls.__name__, place, returned, of.aval.shape)
        return node_of(found.detach().to(from_numpy(of.aval.dtype)))


def apply(cls: Any, ctx: Any, args: tuple) -> Any:
    """Runs `forward` now; its results carry the call as the way back to the inputs."""
    nodes = {i: node_of(a) for i, a in enumerate(args) if isinstance(a, Handle)}
    for node in nodes.values():
        value_of(node)
    separate = hasattr(cls, "setup_context")
    with no_grad():
        out = cls.forward(*args) if separate else cls.forward(ctx, *args)
        if separate:
            cls.setup_context(ctx, args, out)
    if not any(ctx.needs_input_grad):
        return out
    if any(node_of(t).requires_grad and node_of(t).flags & LEAF for t in ctx.dirty):
        raise RuntimeError(DIRTY_LEAF)
    many = isinstance(out, (tuple, list))
    segment = HostSegment(cls, ctx, args, nodes)
    results = [_result(o, segment, args) for o in (out if many else [out])]
    segment.finish()
    return tuple(results) if many else results[0]


def _result(out: Any, segment: HostSegment, args: tuple) -> Any:
    """A result of `forward` as one that gradients flow through."""
    ctx, k = segment.ctx, len(segment.results)
    found = node_of(out) if isinstance(out, Handle) else None
    segment.results.append(None if found is None else found.aval)
    if found is None or not jnp.issubdtype(found.aval.dtype, jnp.inexact):
        return out
    if _among(out, ctx._not_differentiable):
        return out
    node = Node(found.aval, value_of(found), requires_grad=True, flags=PINNED)
    node.segment = (segment, k)
    if _among(out, args) and not _among(out, ctx.dirty):
        return wrap(node)
    handle: Any = out
    handle._node, handle._view = node, None
    node.owner = weakref.ref(handle)
    return handle


def _among(tensor: Any, tensors: Sequence[Any]) -> bool:
    return any(tensor is t for t in tensors)
