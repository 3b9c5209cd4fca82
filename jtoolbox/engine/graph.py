"""The recorded graph: what a value is (`Aval`), an operation (`Call`), and its result (`Node`).

Recording makes nodes, planning reads them, realizing fills in their values. A `Handle` is what the
user holds; it points at a node and may point at another one later (in-place operations), while
nodes never change what they mean.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


class Aval:
    """Shape, dtype and device of a value. Interned: two equal ones are the same object."""

    __slots__ = ("shape", "dtype", "device", "inexact", "struct")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, device: Any):
        self.shape = shape
        self.dtype = dtype
        self.device = device
        self.inexact = bool(jnp.issubdtype(dtype, jnp.inexact))
        self.struct = jax.ShapeDtypeStruct(shape, dtype)

    def __repr__(self) -> str:
        sizes = ",".join(map(str, self.shape))
        where = "" if self.device is None else f" on {self.device}"
        return f"{self.dtype}[{sizes}]{where}"


_avals: dict[tuple, Aval] = {}


def intern_aval(shape: tuple[int, ...], dtype: np.dtype, device: Any = None) -> Aval:
    """The one `Aval` of this shape, dtype and device."""
    key = (shape, dtype, device)
    known = _avals.get(key)
    if known is None:
        known = _avals[key] = Aval(tuple(shape), np.dtype(dtype), device)
    return known


class Call:
    """A pure function of arrays with everything but the arrays fixed, and what it returns.

    `out` is the aval of the result, or a tuple of them; `id` stands for the whole in program keys.
    `saves` says which values PyTorch's backward of it reads ("inputs", "output", "both", "none", or
    for a Function a tuple of the numbers of its inputs, and of its results under -1 - k).
    `op` is the operation that was called, or None. `meta` results have a shape and no values.
    """

    __slots__ = ("name", "function", "out", "id", "saves", "differentiable", "tags", "structure",
                 "_jitted", "avals", "statics", "op", "meta")  # fmt: skip
    _ids = itertools.count(1)

    def __init__(
        self,
        name: str,
        function: Callable[..., Any],
        out: Aval | tuple[Aval, ...],
        *,
        saves: Any = "none",
        differentiable: bool = True,
        tags: frozenset[Any] = frozenset(),
        structure: Callable[..., Any] | None = None,
        avals: tuple = (),
        statics: tuple = (),
        op: Any = None,
    ):
        self.name = name
        self.function = function
        self.out: Any = out
        self.saves = saves
        self.differentiable = differentiable
        self.tags = tags
        self.structure: Any = structure
        self.avals = avals
        self.statics = statics
        self.op = op
        first: Any = out[0] if isinstance(out, tuple) and out else out
        self.meta = bool(first) and getattr(first.device, "type", None) == "meta"
        self.id = next(Call._ids)
        self._jitted: Any = None


# The tag of calls that PyTorch has no derivative of: a backward pass through one raises. So it does
# where a tag is an exception, the mistake of a Function's `backward`.
NO_DERIVATIVE = "no derivative"

LEAF = 1  # gradients are accumulated here, and flow no further
FREED = 2  # a backward pass has used and released the graph behind this node
OVERWRITTEN = 4  # its handle was changed in place since
OWNED = 8  # the array was made by a program of ours: it may be donated
PINNED = 16  # somebody else may hold the array: it must not be donated
TRACED = 32  # the value is a tracer of JAX
KEY = 64  # a random key drawn from a generator
RETAIN = 128  # an inner node whose gradient was asked for
REPLACES = 256  # its handle took it in the place of its own first input
USED = 512  # a program has taken this value from the host
ADDRESSED = 1024  # the array is this node's alone, and somebody has asked for its address


class Node:
    """A value: concrete (`value` is set), or the pending result of `call` on `inputs`.

    `inputs` holds nodes and Python numbers. `owner` is a weak reference to the handle whose value
    or gradient this is; a node without a living owner is nobody's result. `segment` is the
    executed program (and the output number in it) through whose pullback gradients flow on.

    A call with several results is a node without a value of its own; `outs` are the nodes of its
    results, whose only input it is. Only the call itself is in `mode.pending`. `metadata` is what
    the user keeps with it (`grad_fn.metadata`), and not set before.
    """

    __slots__ = ("aval", "value", "call", "inputs", "requires_grad", "flags", "owner", "mark",
                 "index", "segment", "hooks", "outs", "metadata")  # fmt: skip

    owner: Any
    segment: Any
    hooks: Any
    outs: Any
    metadata: dict[Any, Any]

    def __init__(
        self,
        aval: Any,
        value: Any = None,
        call: Call | None = None,
        inputs: tuple = (),
        requires_grad: bool = False,
        flags: int = 0,
    ):
        self.aval = aval
        self.value = value
        self.call: Any = call
        self.inputs = inputs
        self.requires_grad = requires_grad
        self.flags = flags
        self.mark = 0
        # In one assignment, which is faster: many nodes are made.
        self.owner = self.segment = self.hooks = self.outs = None

    @property
    def live(self) -> bool:
        """Whether a handle still has this node as its value or as its gradient."""
        owner = None if self.owner is None else self.owner()
        return owner is not None and (owner._node is self or owner._grad is self)


def passes(node: Node) -> bool:
    """Whether gradients pass a node to its inputs: not a leaf that was made of others."""
    return node.requires_grad and not node.flags & LEAF


class Handle:
    """Base of `Tensor`: the slots that the engine reads and rebinds.

    `_view` is set on a view and says how it follows its base; `_family` on a tensor that has views;
    `_grad` is the gradient, a node until somebody looks at it; `_writes`, set by the first one,
    counts the writes in place before there were views.
    """

    __slots__ = ("_node", "_view", "_family", "_grad", "_writes", "__dict__", "__weakref__")

    _node: Node
    _view: Any
    _family: Any
    _grad: Any
    _writes: int


class Placeholder:
    """The value of a step's argument while the step is recorded: not known, and it must not be."""

    __slots__ = ("shape", "dtype")

    def __init__(self, aval: Aval):
        self.shape = aval.shape
        self.dtype = aval.dtype


NO_DATA = "Cannot copy out of meta tensor; no data!"


class Absent(Placeholder):
    """The value of a tensor on the meta device, which has a shape and a type and no elements.

    Its node has the flag TRACED: nothing that it is an operand of is put off or run.
    """

    __slots__ = ()

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError(NO_DATA)


def stopped(value: Any) -> Any:
    """A tracer cut off from gradients."""
    return value if value.__class__ is Absent else jax.lax.stop_gradient(value)


def is_tracer(value: Any) -> bool:
    """Whether JAX is tracing this value."""
    return isinstance(value, Tracer)


def leaf_node(value: Any, device: Any = None) -> Node:
    """A node that holds a concrete array, a NumPy array, or a tracer."""
    flags = TRACED if isinstance(value, Tracer) else PINNED
    return Node(intern_aval(value.shape, value.dtype, device), value, flags=flags)
