"""Views and in-place operations: handles that follow each other while arrays never change.

A view remembers how it was cut from its base. Writing a view writes the base through the view's
`write` function; after the base has changed, a view is cut anew when it is next looked at.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine.backward_names import backward_name
from jtoolbox.engine.graph import (
    LEAF,
    OVERWRITTEN,
    PINNED,
    REPLACES,
    TRACED,
    Absent,
    Handle,
    Node,
    stopped,
)
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import (
    Hooks,
    Op,
    after_step,
    as_node,
    common_device,
    concrete,
    freeze,
    make_call,
    record,
    run_now,
    value_of,
)


class Family:
    """A base and its views. `_node` is the base's present value, `version` counts the writes.

    Of these `unseen` went through `.data`, which PyTorch does not count.
    """

    __slots__ = ("_node", "_grad", "version", "unseen", "base", "members", "__weakref__")

    def __init__(self, base: Handle):
        self._node = base._node
        self._grad = None
        self.version = getattr(base, "_writes", 0)
        self.unseen = 0
        self.base = weakref.ref(base)
        self.members: list[weakref.ref] = []


class View:
    """How a view is cut: `cut(parent node) -> node`, and how it is written back.

    `parent` is the view that this one was cut from, or None for the base itself. `detached` views
    (`detach`, `.data`) may write a leaf that requires grad.
    """

    __slots__ = ("family", "parent", "op", "args", "version", "detached")

    def __init__(self, family: Family, parent: View | None, o: Op, args: list[Any], detached: str):
        self.family = family
        self.parent = parent
        self.op = o
        self.args = args
        self.version = family.version
        self.detached = detached

    def cut(self) -> Node:
        """The view's value, from the present value of its parent."""
        source = self.family._node if self.parent is None else self.parent.cut()
        if self.detached and self.op.name == "detach" and source.value is not None:
            source.flags |= PINNED
            traced = source.flags & TRACED
            value = stopped(source.value) if traced else source.value
            return Node(source.aval, value, flags=traced | PINNED)
        args = [source, *self.args[1:]]
        return apply(self.op, "cut", self.op.body, args, self.op.operands, bool(self.detached))

    def put(self, value: Node) -> Node:
        """The new value of the base after this view was overwritten with `value`.

        What is written through a detached view has no history of its own.
        """
        if self.op.name == "detach" and value.value is not None:
            value.flags |= PINNED
            result = value.value
            old = self.family._node if self.parent is None else self.parent.cut()
            if old.flags & TRACED and value.value.__class__ is not Absent:
                result = continued(old.value, result)
            new = Node(value.aval, result, flags=(value.flags | old.flags) & TRACED | PINNED)
            return new if self.parent is None else self.parent.put(new)
        source = self.family._node if self.parent is None else self.parent.cut()
        write = self.op.write or generic_write(self.op)

        def body(args: list[Any]) -> Any:
            return write(args[0], args[-1], *args[1:-1])

        args = [source, *self.args[1:], value]
        operands = [*self.op.operands, len(args) - 1]
        new = apply(self.op, "write", body, args, operands, bool(self.detached))
        return new if self.parent is None else self.parent.put(new)


@jax.custom_jvp
def continued(old: Any, new: Any) -> Any:
    """`new`, whose gradient is that of `old`: values changed behind the back of a history."""
    return new


continued.defjvp(lambda values, changes: (values[1], changes[0]))
_calls: dict[tuple, Any] = {}


def apply(
    o: Op,
    what: str,
    body: Callable[[list[Any]], Any],
    args: list[Any],
    operands: list[int],
    detached: bool,
) -> Node:
    """Records `body` on these arguments, of which `operands` are data, or runs it at once."""
    bound = [freeze(a) if i not in operands else a for i, a in enumerate(args)]
    inputs: list[Any] = []
    lengths: dict[int, int] = {}
    for i in operands:
        if isinstance(bound[i], (tuple, list)):
            lengths[i] = len(bound[i])
            inputs.extend(_operand(v) for v in bound[i])
        else:
            inputs.append(_operand(bound[i]))
        bound[i] = None
    avals = tuple(
        [i.aval if i.__class__ is Node else None if i is None else i.__class__ for i in inputs]
    )
    key = (o, what, tuple(bound), tuple(lengths.items()), avals)
    call = _calls.get(key)
    if call is None:

        def function(*values: Any) -> Any:
            given = list(bound)
            left = iter(values)
            for i in operands:
                given[i] = (
                    tuple(next(left) for _ in range(lengths[i])) if i in lengths else next(left)
                )
            return body(given)

        device = common_device(o.name, inputs)
        name = backward_name(o.name) if what == "cut" else "torch::autograd::CopySlices"
        settings = {"op": o, "statics": tuple(bound[i] for i in o.statics)} if what == "cut" else {}
        call = _calls[key] = make_call(name, function, avals, device=device, **settings)
    nodes = [i for i in inputs if i.__class__ is Node]
    grad = mode.grad and not detached and any(n.requires_grad for n in nodes)
    traced = mode.functional is not None or any(n.flags & TRACED for n in nodes)
    pending = any(n.value is None for n in nodes)
    if pending and not grad and mode.finished is not None:
        pending = after_step(nodes)
    waiting = pending or mode.depth or mode.capture is not None
    if not traced and (grad or waiting):
        return record(call, tuple(inputs), grad)
    if mode.functional is not None and what == "cut":
        inputs = mode.functional.meet(inputs)
    return run_now(call, concrete(tuple(inputs)))


def _operand(value: Any) -> Any:
    return value if value.__class__ is Node else as_node(value)


def generic_write(o: Op) -> Callable[..., Any]:
    """Writes a view that has no `write` of its own: finds its elements by cutting their numbers."""

    def write(base: Any, value: Any, *args: Any) -> Any:
        numbers = jnp.arange(base.size, dtype=np.int32).reshape(base.shape)
        places = o.body([numbers, *args]).reshape(-1)
        flat = base.reshape(-1).at[places].set(value.reshape(-1).astype(base.dtype))
        return flat.reshape(base.shape)

    return write


def family_of(base: Handle) -> Family:
    """The family of a tensor that is no view itself."""
    family = base._family
    if family is None:
        family = base._family = Family(base)
        if family._node.value is None:
            mode.families.append(weakref.ref(family))
    return family


def relink(twin: Handle, view: Handle, base: Handle) -> None:
    """Makes `twin`, a copy of `view`, the same cut of `base`, a copy of the view's base."""
    chain, link = [], view._view
    while link is not None:
        chain.append(link)
        link = link.parent
    family = family_of(base)
    for link in reversed(chain):
        twin._view = View(family, twin._view, link.op, list(link.args), link.detached)
    family.members.append(weakref.ref(twin))


def viewed(tensor: Handle, o: Op, args: Any, detached: str = "") -> None:
    """Makes `tensor`, just cut from `args[0]`, a view of it."""
    base = args[0]
    if not isinstance(base, Handle):
        return
    link = base._view
    if link is None:
        family = family_of(base)
        tensor._view = View(family, None, o, list(args), detached)
    else:
        family = link.family
        tensor._view = View(family, link, o, list(args), detached or link.detached)
    tensor._view.args[0] = None
    if tensor._node.flags & TRACED:
        return
    family.members.append(weakref.ref(tensor))
    if len(family.members) > 16:
        family.members = [m for m in family.members if m() is not None]


def synced(view: Handle) -> Node:
    """The node of a view, cut anew if its base was written since."""
    link = view._view
    if link.version != link.family.version:
        node = link.cut()
        node.owner = weakref.ref(view)
        view._node = node
        link.version = link.family.version
    return view._node


LEAF_WRITE = (
    "a leaf Variable that requires grad is being used in an in-place operation. Update it under "
    "`with no_grad():` or through `.data`, or work on a clone()."
)
VIEW_WRITE = (
    "a view of a leaf Variable that requires grad is being used in an in-place operation. Update "
    "it under `with no_grad():` or through `.data`, or work on a clone()."
)


def rebind(x: Handle, result: Any) -> None:
    """Gives a handle a new value, as an in-place operation does; writes through to its base."""
    node = result._node if isinstance(result, Handle) else as_node(result)
    link = x._view
    if link is None:
        _check_leaf(x._node, LEAF_WRITE)
        _replace(x, node)
        return
    synced(x)
    base = link.family.base()
    old = link.family._node
    if not link.detached:
        _check_leaf(old, VIEW_WRITE)
    elif link.detached == "data" and old.requires_grad and not (old.flags & LEAF or on_host(old)):
        raise RuntimeError(
            "writing through .data of a tensor that was computed from others would leave its "
            "gradient wrong. Use detach().clone(), or change the tensor itself under no_grad()."
        )
    value = link.put(node)
    if link.detached and on_host(old):
        value = Node(value.aval, value_of(value), requires_grad=True, flags=PINNED)
        value.segment = old.segment
    elif link.detached and mode.grad and old.requires_grad and not old.flags & LEAF:
        value = apply(link.op, "continued", lambda a: continued(*a), [old, value], [0, 1], False)
    if node.inputs and node.inputs[0] is x._node:
        node.flags |= REPLACES
    x._node.flags |= 0 if link.detached == "data" else OVERWRITTEN
    node.owner = weakref.ref(x)
    x._node = node
    family = link.family
    if mode.capture is not None and base is not None:
        mode.capture.rebound.append((base, old))
    _settle(old, value, keep=link.detached == "data")
    family._node = value
    family.version += 1
    family.unseen += link.detached == "data"
    link.version = family.version
    if base is not None:
        base._node = value
        value.owner = weakref.ref(base)
    if not mode.grad and value.value is None:
        mode.written = True


def version_of(x: Handle) -> int:
    """How often the elements of a tensor were written in place."""
    family = x._family if x._view is None else x._view.family
    return getattr(x, "_writes", 0) if family is None else family.version - family.unseen


def count_write(x: Handle) -> None:
    """Counts a write that did not happen here: what saved the value must not use it."""
    family = x._family if x._view is None else x._view.family
    if family is None:
        x._writes = getattr(x, "_writes", 0) + 1
    else:
        family.version += 1
    x._node.flags |= OVERWRITTEN


def on_host(node: Node) -> bool:
    """Whether a Function that runs in Python at every call gave this value.

    Its backward pass does not look at the value, so that writing the value disturbs nothing.
    """
    return node.segment is not None and node.segment[0].run is not None


def _check_leaf(node: Node, message: str) -> None:
    if mode.grad and node.requires_grad and node.flags & LEAF:
        raise RuntimeError(message)


def _settle(old: Node, new: Node, keep: bool = False) -> None:
    """A leaf that requires grad stays one under its new value."""
    if old.requires_grad and old.flags & LEAF:
        new.requires_grad = True
        new.flags |= LEAF
    if not keep:
        old.flags |= OVERWRITTEN
        if new.inputs and new.inputs[0] is old:
            new.flags |= REPLACES


def _replace(x: Handle, node: Node) -> None:
    old = x._node
    if mode.capture is not None:
        mode.capture.rebound.append((x, old))
    _settle(old, node)
    node.owner = weakref.ref(x)
    x._node = node
    family = x._family
    if family is None:
        x._writes = getattr(x, "_writes", 0) + 1
    else:
        family._node = node
        family.version += 1
    if not mode.grad and node.value is None:
        mode.written = True


Hooks.viewed = staticmethod(viewed)
Hooks.synced = staticmethod(synced)
Hooks.rebind = staticmethod(rebind)
