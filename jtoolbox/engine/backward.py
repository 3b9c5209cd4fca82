"""Gradients asked for: `backward` and `grad` record a gradient step and run nothing.

Starting from the roots, the pending graph is walked down to its leaves and to results of programs
that have run already (`Segment`s). One `Gradient` step covers the pending part; each segment on the
way down adds a call of its pullback.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import ShapedArray
from jax.interpreters.ad import Zero

from jtoolbox.engine.graph import (
    FREED,
    LEAF,
    NO_DERIVATIVE,
    OVERWRITTEN,
    REPLACES,
    RETAIN,
    Absent,
    Aval,
    Call,
    Handle,
    Node,
    intern_aval,
)
from jtoolbox.engine.modes import mode
from jtoolbox.engine.realize import Segment, flush
from jtoolbox.engine.record import PICK, Hooks, absent_node, make_call, node_of, record, wrap
from jtoolbox.engine.replay import Gradient, conjugate

FREED_GRAPH = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Call backward(retain_graph=True) or autograd.grad(..., "
    "retain_graph=True) the first time if you need to backward through it again."
)
OVERWRITTEN_VALUE = (
    "one of the variables needed for gradient computation has been modified by an inplace "
    "operation: {name} needs its {what} {aval}, which was changed after it was used. Change a "
    "clone() instead, or change it after backward()."
)
NOT_IMPLEMENTED = (
    "derivative for {name} is not implemented. Apply it to x.detach() if no gradient is to flow "
    "through it."
)
NO_SECOND = (
    "gradients of gradients through {name} are not supported: its Python asks for values, or "
    "writes its inputs, so that it runs outside of programs. Compute without doing either."
)
# What wants to see the gradients of leaves after each backward pass: called with their nodes.
after_backward: list[Callable[[list[Node]], None]] = []
# Pullbacks of more programs than this run one after another instead of in one large program.
SEGMENTS_AT_ONCE = 2


class Walk:
    """What lies under the roots: pending inner nodes, leaves, and results of executed programs."""

    __slots__ = ("inner", "leaves", "boundary")

    def __init__(self, roots: Sequence[Node]):
        self.inner = inner = []
        self.leaves = leaves = []
        self.boundary = boundary = []
        stack = [r for r in reversed(roots) if r.requires_grad]
        seen = set(stack)
        while stack:
            node = stack.pop()
            flags = node.flags
            if flags & LEAF:
                leaves.append(node)
            elif node.value is not None:
                if node.segment is None or node.segment[0].freed:
                    raise RuntimeError(FREED_GRAPH)
                boundary.append(node)
            else:
                if flags & FREED and node.call.saves != "none":
                    raise RuntimeError(FREED_GRAPH)
                if flags & OVERWRITTEN:
                    check_overwritten(node)
                if node.call.tags:
                    check_derivative(node)
                inner.append(node)
                for i in reversed(node.inputs):
                    if i.__class__ is Node:
                        if i.flags & OVERWRITTEN:
                            check_overwritten(node)
                        if i.requires_grad and i not in seen:
                            seen.add(i)
                            (leaves if i.flags & LEAF else stack).append(i)


def _refusal(call: Call) -> Exception | None:
    """The error of a backward pass through a call: of PyTorch, or of its own rule, as a tag."""
    if NO_DERIVATIVE in call.tags:
        return RuntimeError(NOT_IMPLEMENTED.format(name=call.name))
    return next((tag for tag in call.tags if isinstance(tag, Exception)), None)


def check_derivative(node: Node) -> None:
    """Raises if there is no derivative of a node's call."""
    if (error := _refusal(node.call)) is not None:
        raise error.with_traceback(None)


def _check_derivatives(segment: Segment, roots: list[Node]) -> None:
    """The same for the steps of an executed program through which gradients flow from the roots."""
    if all(_refusal(node.call) is None for node in segment.steps if node.call.tags):
        return
    steps, seen, stack = set(segment.steps), set(roots), list(roots)
    while stack:
        node = stack.pop()
        if node in steps:
            check_derivative(node)
        for i in node.inputs:
            if i.__class__ is Node and i.requires_grad and i not in seen:
                seen.add(i)
                stack.append(i)


def check_overwritten(node: Node) -> None:
    """Raises if a value that PyTorch's backward of this node reads was changed in place."""
    saves = node.call.saves
    if mode.overwriting:
        return
    if node.call is PICK or saves.__class__ is tuple:
        _check_saved(node)
        return
    if saves == "none":
        return
    if saves != "inputs" and node.flags & OVERWRITTEN:
        raise _overwritten(node, "output", node.aval)
    if saves == "output":
        return
    inputs = [i for i in node.inputs if i is not None]
    for k, i in enumerate(inputs):
        if node.flags & REPLACES and i is node.inputs[0]:
            continue  # an in-place operation itself: nodes keep the value that handles lose
        if i.__class__ is Node and i.flags & OVERWRITTEN:
            # Of several operands one is needed for the gradients of the others.
            others = [n for n in inputs[:k] + inputs[k + 1 :] if n.__class__ is Node]
            if len(inputs) == 1 or any(n.requires_grad for n in others):
                raise _overwritten(node, "input", i.aval)


def _overwritten(node: Node, what: str, aval: Any) -> RuntimeError:
    return RuntimeError(OVERWRITTEN_VALUE.format(name=node.call.name, what=what, aval=aval))


def _check_saved(node: Node) -> None:
    """The same for a Function, whose call says which of its inputs and results it saved."""
    parent = node.inputs[0] if node.call is PICK and node.inputs else node
    saves = parent.call.saves
    if saves.__class__ is not tuple:
        return
    for k in saves:
        held, place = (parent.inputs, k) if k >= 0 else (parent.outs, -1 - k)
        saved: Any = held[place] if held and place < len(held) else None
        if saved.__class__ is Node and saved.flags & OVERWRITTEN:
            raise _overwritten(parent, "input" if k >= 0 else "output", saved.aval)


_gradients: dict[tuple, Gradient] = {}
_adds: dict[Aval, Call] = {}
_pullbacks: dict[tuple, Call] = {}


def add(a: Node, b: Node, grad: bool = False) -> Node:
    """Records the sum of two gradients."""
    call = _adds.get(a.aval)
    if call is None:
        call = _adds[a.aval] = make_call(
            "AddBackward0", jnp.add, [a.aval, a.aval], device=a.aval.device
        )
    return record(call, (a, b), grad and (a.requires_grad or b.requires_grad))


def _gradient_step(
    roots: list[Node], given: list[Node | None], wrt: list[Node], graph: bool
) -> list[Node]:
    key = (len(roots), tuple([g is not None for g in given]), tuple([w.aval for w in wrt]))
    call = _gradients.get(key)
    if call is None:
        call = _gradients[key] = Gradient(*key)
    inputs = (*roots, *[g for g in given if g is not None], *wrt)
    return record(call, inputs, graph)


def _pullback_step(segment: Segment, cotangents: list[Node | None]) -> list[Node]:
    """Records the call of a segment's pullback: gradients of its `wrt`."""
    given = tuple(c is not None for c in cotangents)
    leaves = [
        leaf if leaf.__class__ is Node else Node(intern_aval(leaf.shape, leaf.dtype), leaf)
        for leaf in segment.leaves
    ]
    key = (segment.number, segment.treedef, given, tuple(leaf.aval for leaf in leaves))
    call = _pullbacks.get(key)
    if call is None:
        count, treedef, results = len(leaves), segment.treedef, segment.results

        def function(*values: Any) -> tuple[Any, ...]:
            pull = jax.tree.unflatten(treedef, values[:count])
            left = iter(values[count:])
            # Zeros that JAX knows of: numbers would be multiplied by derivatives, which may be
            # infinite where no gradient comes from.
            cotangents = [
                conjugate(jnp.asarray(next(left), aval.dtype))
                if has
                else Zero(ShapedArray(aval.shape, aval.dtype))
                for has, aval in zip(given, results, strict=True)
            ]
            return tuple(conjugate(g) for g in pull(cotangents))

        out = tuple(w.aval for w in segment.wrt)
        tags = frozenset(tag for n in segment.steps for tag in n.call.tags)
        call = _pullbacks[key] = Call("Pullback", function, out, structure=tuple, tags=tags)
    return record(call, (*leaves, *[c for c in cotangents if c is not None]), False)


def gradients(
    roots: list[Node],
    given: list[Node | None],
    wrt: list[Node] | None,
    *,
    retain_graph: bool,
    create_graph: bool,
) -> dict[Node, Node]:
    """Records the gradients of the roots by `wrt`, or by all leaves when that is None."""
    if roots[0].value.__class__ is Absent:
        return _absent_gradients(roots, wrt)
    state = mode.__dict__
    if state["capture"] is None:
        if state["finished"] is not None:
            Hooks.run_finished(state["finished"])
        if state["backward"] is not None:
            flush(state["backward"])
    revived: dict[Node, Node] = {}
    if create_graph:
        roots, revived = revive(roots)
        wrt = None if wrt is None else [revived.get(w, w) for w in wrt]
    walk = Walk(roots)
    targets = walk.leaves + walk.boundary
    found: dict[Node, Node] = {}
    segments: list[Segment] = []
    if wrt is None and not walk.boundary:
        results = _gradient_step(roots, given, targets, create_graph)
        found = dict(zip(targets, results, strict=True))
    else:
        inner = set(walk.inner)
        targets += [w for w in dict.fromkeys(wrt or ()) if w in inner]
        pending = [(r, g) for r, g in zip(roots, given, strict=True) if r in inner]
        for root, cotangent in zip(roots, given, strict=True):
            if root not in inner and root.requires_grad:
                _accumulate(found, root, cotangent if cotangent is not None else _ones(root))
        if pending and targets:
            starts, cotangents = [r for r, _ in pending], [g for _, g in pending]
            results = _gradient_step(starts, cotangents, targets, create_graph)
            for target, gradient in zip(targets, results, strict=True):
                _accumulate(found, target, gradient, create_graph)
        segments = _pull_segments(found)
    if not (retain_graph or create_graph):
        for node in walk.inner:
            node.flags |= FREED
        for segment in segments:
            segment.free()
        batch = state["pending"]
        state["backward"] = batch[-1] if batch else None
    if create_graph and wrt is not None:
        back = {new: old for old, new in revived.items()}
        found = {back.get(n, n): g for n, g in found.items()}
    return found


def _absent_gradients(roots: list[Node], wrt: list[Node] | None) -> dict[Node, Node]:
    """Gradients of meta tensors, which have shapes and no values: one for each leaf reached."""
    seen, stack = set(roots), list(roots)
    while stack:
        for i in stack.pop().inputs:
            if i.__class__ is Node and i.requires_grad and i not in seen:
                seen.add(i)
                stack.append(i)
    wanted = [n for n in seen if n.flags & LEAF] if wrt is None else [w for w in wrt if w in seen]
    return {n: absent_node(n.aval.shape, n.aval.dtype) for n in wanted}


def _ones(node: Node) -> Node:
    from_ones = make_call("Ones", lambda: jnp.ones(node.aval.shape, node.aval.dtype), [])
    return record(from_ones, (), False)


def _accumulate(found: dict[Node, Node], node: Node, gradient: Node, graph: bool = False) -> None:
    known = found.get(node)
    found[node] = gradient if known is None else add(known, gradient, graph)


def run_hooks(hooks: Any, gradient: Node) -> Node:
    """Lets each hook see a gradient and replace it."""
    tensor = wrap(gradient)  # one handle for all hooks: a node knows only its latest
    for hook in list(hooks.values()):
        result = hook(tensor)
        tensor = tensor if result is None else result
    return node_of(tensor)


def run_segment_hooks(
    hooks: Any, results: Sequence[Node | None], given: list[Node | None]
) -> list[Node | None]:
    """Shows each hook the gradients that a segment gives, which it may replace, and was given."""
    outputs = tuple(None if g is None else wrap(g) for g in given)
    tensors: Any = [None if g is None else wrap(g) for g in results]
    for hook in list(hooks.values()):
        tensors = hook(tensors, outputs)
    return [None if t is None else node_of(t) for t in tensors]


def _pull_segments(found: dict[Node, Node]) -> list[Segment]:
    """Carries gradients that have arrived at executed programs on to those programs' inputs."""
    done: list[Segment] = []
    holders: list[Any] = []
    while True:
        waiting = {n.segment[0] for n in found if n.segment is not None and not n.flags & LEAF}
        waiting -= set(done)
        if not waiting:
            return done
        segment = max(waiting, key=lambda s: s.order)
        done.append(segment)
        cotangents: list[Node | None] = [None] * len(segment.results)
        for node in [n for n in found if n.segment is not None and n.segment[0] is segment]:
            gradient = found[node]
            if node.hooks:
                # A hook may ask for values, which runs what is pending: the others must be kept.
                holders = [wrap(g) for g in found.values() if g.value is None and g.owner is None]
                gradient = found[node] = run_hooks(node.hooks, gradient)
            cotangents[node.segment[1]] = gradient
        _check_derivatives(segment, [n for n in found if n.segment and n.segment[0] is segment])
        for node in segment.steps:
            # Others of the same program, whose backward pass is over, may have new inputs by now.
            if node.requires_grad and not node.flags & FREED:
                check_overwritten(node)
        if segment.run is not None or segment.hooks:  # which may ask for values too
            holders = [wrap(g) for g in found.values() if g.value is None and g.owner is None]
        if segment.run is None:
            results: Any = _pullback_step(segment, cotangents)
        else:
            results = segment.run(cotangents)
        if segment.hooks:
            results = run_segment_hooks(segment.hooks, results, cotangents)
        for node, gradient in zip(segment.wrt, results, strict=True):
            if gradient is None:
                continue
            if node.segment is not None and node.segment[0] is segment:
                found[node] = gradient  # of a result used inside the program: already the whole
            else:
                _accumulate(found, node, gradient)
        if len(done) >= SEGMENTS_AT_ONCE and len(waiting) + len(done) > SEGMENTS_AT_ONCE:
            holders = [wrap(g) for g in found.values() if g.value is None]
            mode.backward = None
            flush()
    del holders


def revive(roots: list[Node]) -> tuple[list[Node], dict[Node, Node]]:
    """Makes executed programs under the roots pending again, to differentiate gradients.

    The copies are computed once more; what the user holds keeps its values.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(r, False) for r in roots]
    executed = False
    waiting = set(mode.pending)
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
            continue
        if node in seen or node.flags & LEAF:
            continue
        seen.add(node)
        if not node.requires_grad and (node.value is not None or node in waiting):
            continue
        if node.value is not None:
            if node.segment is None or node.segment[0].freed:
                raise RuntimeError(FREED_GRAPH)
            if node.segment[0].run is not None:
                raise RuntimeError(NO_SECOND.format(name=node.segment[0].name))
            executed = True
        stack.append((node, True))
        stack.extend((i, False) for i in node.inputs if i.__class__ is Node)
    if not executed:
        return roots, {}
    copies: dict[Node, Node] = {}
    for node in order:
        if node.call is PICK or node in copies:
            continue
        inputs = tuple(copies.get(i, i) if i.__class__ is Node else i for i in node.inputs)
        if node in waiting and inputs == node.inputs:
            continue
        result = record(node.call, inputs, node.requires_grad)
        if node.outs is None:
            result.requires_grad = node.requires_grad
            copies[node] = result
        else:
            copies[node] = result[0].inputs[0]
            copies.update(zip(node.outs, result, strict=True))
    return [copies.get(r, r) for r in roots], copies


def backward(
    roots: list[Node],
    given: list[Node | None],
    retain_graph: bool,
    create_graph: bool,
    inputs: list[Node] | None = None,
) -> None:
    """Adds gradients of the roots to `.grad` of all leaves (and of nodes that retain theirs)."""
    found = gradients(roots, given, inputs, retain_graph=retain_graph, create_graph=create_graph)
    joins = mode.backward is not None
    holders: list[Any] = []
    allowed = None if inputs is None else set(inputs)
    for node, gradient in found.items():
        keep = node.flags & (LEAF | RETAIN) if allowed is None else node in allowed
        reference = node.owner if keep else None
        owner = None if reference is None else reference()
        if owner is None:
            continue
        extras = owner.__dict__
        if extras and extras.get("_hooks"):
            holders = [wrap(g) for g in found.values() if g.value is None and g.owner is None]
            gradient = run_hooks(extras["_hooks"], gradient)
        if owner._grad is None and not gradient.live:
            owner._grad = gradient
            gradient.owner = reference
        else:
            _store(owner, gradient, create_graph)
        if extras and extras.get("_after_hooks"):
            for hook in list(extras["_after_hooks"].values()):
                hook(owner)
    del holders
    if joins and mode.pending:
        mode.backward = mode.pending[-1]
    if after_backward:
        leaves = [n for n in found if n.owner is not None and n.owner() is not None]
        held = [n.owner()._grad for n in leaves if n.flags & LEAF]  # type: ignore[misc]
        arrived = [g if g.__class__ is Node else g._node for g in held if g is not None]
        for callback in list(after_backward):
            callback(arrived)


def _store(owner: Any, gradient: Node, graph: bool) -> None:
    """Adds a gradient to what its owner has, in the handle that the user may hold."""
    known = owner._grad
    if known is None:
        held = gradient.owner() if gradient.live else None  # type: ignore[misc]
        owner._grad = wrap(gradient) if held is None else held
        return
    if known.__class__ is not Node and not isinstance(known, Handle):
        known = known._node  # a gradient that its step has used up: it is computed again
    node: Any = known if known.__class__ is Node else known._node
    total = add(node, gradient, graph)
    if known.__class__ is Node:
        owner._grad = total
        total.owner = weakref.ref(owner)
    else:
        known._node = total
        total.owner = weakref.ref(known)
