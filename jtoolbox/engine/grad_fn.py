"""The backward graph as the user sees it: `tensor.grad_fn` and what lies behind it.

Names and edges are made when they are asked for, from the recorded nodes; recording knows nothing
of them. An operation that PyTorch composes of others is one node here, except where the table of
`backward_names` says how it is composed.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.engine.backward_names import described, full_name
from jtoolbox.engine.graph import KEY, LEAF, Aval, Node
from jtoolbox.engine.handles import RemovableHandle
from jtoolbox.engine.modes import mode
from jtoolbox.engine.realize import flush
from jtoolbox.engine.record import PICK, wrap

__all__ = ["AccumulateGrad", "GradFunction", "become_boundary", "edge_of", "tensor_at"]

RELEASED = (
    "the graph behind {name} was released by a backward pass, and its next_functions with it. Walk "
    "the graph before backward(), or call backward(retain_graph=True)."
)
INNER = (
    "hooks cannot be registered on {name}: it is a step inside of one operation here. Register the "
    "hook on the tensor that the operation returns, or on its grad_fn."
)
NO_TENSOR = "{name} is a step inside of one operation here: no gradient can be asked for there."
COMPOSED = (
    "register_hook on {name} is not supported: PyTorch has several nodes where one operation is "
    "here. Use register_prehook, or register hooks on the tensors that the operation was given."
)
USED_BEFORE = (
    "register_hook must be called before the tensor is used: what uses it has already run in the "
    "same program. Move register_hook to right after the line that makes the tensor."
)
COUNT = "hook has returned an incorrect number of values (got {got}, but expected {want})"

Edge = tuple["GradFunction | None", int]
# One object for each place in the graph while somebody holds it, as in PyTorch.
_known: weakref.WeakValueDictionary[tuple, GradFunction] = weakref.WeakValueDictionary()
_classes: dict[tuple[type, str], type] = {}


class GradFunction:
    """A node of the backward graph. Its class has the name that PyTorch gives it.

    `path` leads from the operation's own node to one of the steps that PyTorch composes it of.
    """

    def __init__(self, node: Node, name: str, shape: Any, path: tuple[int, ...]):
        self._node = node
        self._name = name
        self._shape = shape
        self._path = path

    def name(self) -> str:
        """Its name, such as AddBackward0."""
        return self._name

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """What its gradients flow to: pairs of a node, or None, and a number of its outputs.

        RuntimeError after the graph was released by a backward pass.
        """
        node = self._node
        if not self._path and not _intact(node):
            raise RuntimeError(RELEASED.format(name=self._name))
        if node.segment is not None and node.segment[0].run is not None:
            return tuple(_edge(i) for i in node.segment[0].inputs)
        if not isinstance(self._shape, tuple):
            return tuple(_edge(i) for i in _operands(node))
        return tuple(self._part(p, (*self._path, k)) for k, p in enumerate(self._shape[1:]))

    def _part(self, part: Any, path: tuple[int, ...]) -> Edge:
        if isinstance(part, tuple):
            return _made(self._node, part[0], part, path), 0
        if part is None or part >= len(self._node.inputs):
            return None, 0
        return _edge(self._node.inputs[part])

    @property
    def metadata(self) -> dict[Any, Any]:
        """What the user keeps with this node."""
        node = self._node
        if not hasattr(node, "metadata"):
            node.metadata = {}
        return node.metadata.setdefault(self._path, {}) if self._path else node.metadata

    def register_prehook(self, fn: Callable[[tuple], Any]) -> RemovableHandle:
        """Calls `fn(grad_outputs)` before the node's gradients are formed; it may return others.

        As `Tensor.register_hook` this ends the present program: RuntimeError when the tensor's
        users have already run. NotImplementedError for operations with several results.
        """
        self._check_hook()
        handle = _tensor_of(self._node)
        become_boundary(self._node)
        self._keep(handle)
        if self._node.hooks is None:
            self._node.hooks = OrderedDict()
        return _added(self._node.hooks, lambda gradient: _only(fn((gradient,))))

    def register_hook(self, fn: Callable[[tuple, tuple], Any]) -> RemovableHandle:
        """Calls `fn(grad_inputs, grad_outputs)` with the node's gradients; it may replace them.

        As `register_prehook`, of which it has the conditions.
        """
        self._check_hook()
        node = self._node
        behind = self._behind()
        handle = _tensor_of(node)
        if node.value is None and mode.pending[:1] != [node]:
            flush(mode.pending[mode.pending.index(node) - 1])
        become_boundary(node)
        self._keep(handle)
        segment = node.segment[0]
        if segment.run is None and segment.steps != [node]:
            raise RuntimeError(USED_BEFORE)
        if segment.hooks is None:
            segment.hooks = OrderedDict()
        places = [segment.wrt.index(i) if i in segment.wrt else None for i in behind]

        def hook(results: Sequence[Any], given: tuple) -> Sequence[Any]:
            seen = tuple(None if p is None else results[p] for p in places)
            found = fn(seen, given)
            if found is None:
                return results
            found = found if isinstance(found, tuple) else (found,)
            if len(found) != len(seen):
                raise RuntimeError(COUNT.format(got=len(found), want=len(seen)))
            replaced = list(results)
            for place, value in zip(places, found, strict=True):
                if place is not None:
                    replaced[place] = value
            return replaced

        return _added(segment.hooks, hook)

    def _behind(self) -> list[Any]:
        """The values that the edges lead to, None for a number."""
        node, shape = self._node, self._shape
        if not isinstance(shape, tuple):
            return _operands(node)
        if any(isinstance(part, tuple) for part in shape[1:]):
            raise NotImplementedError(COMPOSED.format(name=self._name))
        return [None if p is None or p >= len(node.inputs) else node.inputs[p] for p in shape[1:]]

    def _check_hook(self) -> None:
        if self._path or self._node.outs is not None:
            raise NotImplementedError(INNER.format(name=self._name))
        if not _intact(self._node):
            raise RuntimeError(RELEASED.format(name=self._name))

    def _keep(self, handle: Any) -> None:
        self._handle = handle

    def __getattr__(self, name: str) -> Any:
        segment = self.__dict__["_node"].segment if "_node" in self.__dict__ else None
        if segment is not None and segment[0].run is not None and not name.startswith("__"):
            return getattr(segment[0].ctx, name)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {id(self):#x}>"


class AccumulateGrad(GradFunction):
    """The end of the graph: adds what arrives to the `.grad` of a leaf, its `variable`."""

    @property
    def variable(self) -> Any:
        """The leaf."""
        return _tensor_of(self._node)

    @property
    def next_functions(self) -> tuple[Edge, ...]:
        """Nothing: gradients end here."""
        return ()

    def register_prehook(self, fn: Callable[[tuple], Any]) -> RemovableHandle:
        """Calls `fn((grad,))` with what arrives, which it may replace."""
        return self.variable.register_hook(lambda gradient: _only(fn((gradient,))))

    def register_hook(self, fn: Callable[[tuple, tuple], Any]) -> RemovableHandle:
        """Calls `fn((), (grad,))` after `grad` was added to the leaf's `.grad`."""
        arrived: list[Any] = []
        leaf = self.variable
        before = leaf.register_hook(arrived.append)
        after = leaf.register_post_accumulate_grad_hook(lambda _: fn((), (arrived.pop(),)) and None)
        return _Both(before, after)


class _Both(RemovableHandle):
    """The handle of two hooks that are one to the user."""

    def __init__(self, *handles: RemovableHandle):
        self.handles = handles

    def remove(self) -> None:
        """Takes both away."""
        for handle in self.handles:
            handle.remove()


def _added(hooks: Any, hook: Callable[..., Any]) -> RemovableHandle:
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def _only(found: Any) -> Any:
    return found[0] if isinstance(found, tuple) else found


def _tensor_of(node: Node) -> Any:
    owner = None if node.owner is None else node.owner()
    if owner is not None and (owner._node is node or node.flags & LEAF):
        return owner
    return wrap(node)


def tensor_at(function: GradFunction, number: int = 0) -> Any:
    """The tensor that a node of the backward graph gives as its output of this number.

    NotImplementedError for a step inside of one operation, which has no tensor here.
    """
    node = function._node
    if function._path:
        raise NotImplementedError(NO_TENSOR.format(name=function.name()))
    return _tensor_of(node if node.outs is None else node.outs[number])


def _parent(node: Node) -> Node:
    return node.inputs[0] if node.call is PICK and node.inputs else node


def _intact(node: Node) -> bool:
    if node.call is None:
        return node.segment is not None and not node.segment[0].freed
    return bool(node.inputs) or not node.call.avals


def _operands(node: Node) -> list[Any]:
    """The inputs that gradients may flow to: no keys, indices and masks, and no numbers."""
    if node.call is None:
        return list(node.segment[0].inputs)
    return [
        i
        for i in node.inputs
        if i is None
        or (i.__class__ is Node and not i.flags & KEY and (i.requires_grad or _inexact(i.aval)))
    ]


def _inexact(aval: Any) -> bool:
    return aval.inexact if aval.__class__ is Aval else True


def _edge(node: Any) -> Edge:
    return edge_of(node) if node.__class__ is Node and node.requires_grad else (None, 0)


def edge_of(node: Node) -> tuple[GradFunction, int]:
    """The node of the backward graph that gives a value, and which of its outputs the value is."""
    if node.flags & LEAF:
        # The handle of a leaf may have another node by now: it stays the same variable.
        leaf = _tensor_of(node)
        return _made(leaf._node if leaf._node.flags & LEAF else node, ACCUMULATE, None, ()), 0
    if node.segment is not None and node.segment[0].run is not None:
        return _made(node, node.segment[0].name, None, ()), node.segment[1]
    if node.call is None:
        return _made(node, "Backward", None, ()), 0
    parent = _parent(node)
    place = parent.outs.index(node) if parent is not node else 0
    shape = described(parent.call) if parent.call is not PICK else "Backward"
    return _made(parent, shape[0] if isinstance(shape, tuple) else shape, shape, ()), place


ACCUMULATE = "torch::autograd::AccumulateGrad"


def _made(node: Node, name: str, shape: Any, path: tuple[int, ...]) -> GradFunction:
    base = AccumulateGrad if name == ACCUMULATE else GradFunction
    segment = node.segment
    python = segment[0] if segment is not None and segment[0].run is not None else None
    key = (id(node if python is None else python), path)
    known = _known.get(key)
    if known is None:
        name = full_name(name)
        short = name.rpartition("::")[2]
        kind = _classes.get((base, short))
        if kind is None:
            kind = _classes[base, short] = type(short, (base,), {"__module__": "torch"})
        made: Any = kind(node, name, shape, path)
        known = _known[key] = made
    return known


def become_boundary(node: Node) -> None:
    """Ends the program at this node, so that hooks see its gradient. RuntimeError if used in it."""
    if node.value is None:
        flush(node)
    segment = node.segment and node.segment[0]
    if segment is not None and any(node in n.inputs for n in segment.steps):
        raise RuntimeError(USED_BEFORE)
