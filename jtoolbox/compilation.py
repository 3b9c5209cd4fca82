"""`jit` and `scan`: a training step frozen into one program, called once or many times at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jtoolbox import random
from jtoolbox.engine import low_rank
from jtoolbox.engine.capture import Frozen, capture
from jtoolbox.engine.compile import evaluation, options
from jtoolbox.engine.graph import OWNED, PINNED, Handle, Node, Placeholder, intern_aval
from jtoolbox.engine.modes import mode
from jtoolbox.engine.one_kernel import first_run
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.scripting import NAMES

__all__ = ["jit", "scan"]


class Returned:
    """What a recorded step returned: tensors by number, everything else as it is.

    `passed` are the arguments among it, as (place, number of the argument).
    """

    def __init__(self, result: Any, is_new: Callable[[Node], bool], arguments: Sequence[Node] = ()):
        numbers = {node: i for i, node in enumerate(arguments)}
        leaves, self.treedef = jax.tree.flatten(result, is_leaf=_is_handle)
        self.leaves: list[Any] = leaves
        self.nodes: list[Node] = []
        self.places: list[int] = []
        self.passed: list[tuple[int, int]] = []
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Handle) and node_of(leaf) in numbers:
                self.passed.append((i, numbers[node_of(leaf)]))
            elif isinstance(leaf, Handle) and is_new(node_of(leaf)):
                self.nodes.append(node_of(leaf))
                self.places.append(i)
        self.single = isinstance(result, Handle) and bool(self.nodes)
        self.avals = [n.aval for n in self.nodes]

    def build(self, values: list[Any], arguments: Sequence[Any]) -> Any:
        """The result of a later call, with these values of its tensors and of its arguments."""
        tensors = [wrap(Node(a, v, flags=OWNED)) for a, v in zip(self.avals, values, strict=True)]
        if self.single:
            return tensors[0]
        leaves = list(self.leaves)
        for place, tensor in zip(self.places, tensors, strict=True):
            leaves[place] = tensor
        for place, i in self.passed:
            value = arguments[i]
            value = np.array(value) if isinstance(value, np.ndarray) else value
            leaves[place] = wrap(Node(intern_aval(value.shape, value.dtype), value, flags=PINNED))
        return jax.tree.unflatten(self.treedef, leaves)


def _is_handle(value: Any) -> bool:
    return isinstance(value, Handle)


def _aval(value: Any) -> Any:
    """What of an argument decides the program: type and shape of tensors, else the value itself."""
    if isinstance(value, Handle):
        return value._node.aval
    if isinstance(value, (np.ndarray, jax.Array)):
        return intern_aval(value.shape, value.dtype)
    return (type(value), value)


def _modes() -> tuple[bool, Any]:
    """What is switched on around the step and decides its program."""
    return mode.grad, mode.autocast


def _raw(value: Any) -> Any:
    return value_of(node_of(value)) if isinstance(value, Handle) else value


class _TorchNames(type):
    """PyTorch's `torch.jit.script`, `torch.jit.trace` and so on, beside the class itself."""

    def __getattr__(cls, name: str) -> Any:
        if name in NAMES:
            return NAMES[name]
        raise AttributeError(
            f"jtoolbox.jit has no '{name}'. Of torch.jit's names it has {', '.join(sorted(NAMES))}."
        )

    def __dir__(cls) -> list[str]:
        return [*super().__dir__(), *NAMES]


class jit(metaclass=_TorchNames):
    """Freezes a step: `step = jtoolbox.jit(step)`, then `loss = step(image, label)`.

    The function is recorded once for each combination of argument shapes; later calls run one
    program and none of its Python. Parameters, buffers, optimizer state, `lr` and random keys are
    read anew at each call. Python numbers among the arguments are part of the combination. The
    function must not ask for values (`item`, `if loss > 1`): RuntimeError says where it does.
    Gradients are not kept in `.grad`; return them if you need them. Other Python effects (prints,
    counters, a scheduler's step) happen only while recording: keep them outside.
    """

    def __init__(self, function: Callable[..., Any]):
        functools.update_wrapper(self, function)
        self.function = function
        self._frozen: dict[Any, tuple[Frozen, Returned]] = {}

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or not all(isinstance(a, (Handle, np.ndarray, jax.Array)) for a in args):
            leaves, treedef = jax.tree.flatten((args, kwargs), is_leaf=_is_handle)
        else:
            leaves, treedef = list(args), None
        if mode.capture is not None or any(isinstance(v, Tracer) for v in leaves):
            return self.function(*args, **kwargs)
        key = (treedef, _modes(), mode.structure, *[_aval(v) for v in leaves])
        known = self._frozen.get(key)
        if known is None:
            return self._record(key, leaves, treedef)
        frozen, returned = known
        values = [v if v.__class__ is np.ndarray else _raw(v) for v in leaves]
        return returned.build(frozen(values), values)

    def _record(self, key: Any, leaves: list[Any], treedef: Any) -> Any:
        frozen, returned, result = record_step(self.function, leaves, treedef, execute=True)
        # What was recorded may have changed the structure (first use of a lazy module).
        self._frozen[key[0], key[1], mode.structure, *key[3:]] = (frozen, returned)
        return result


def record_step(
    function: Callable[..., Any], leaves: list[Any], treedef: Any, execute: bool
) -> tuple[Frozen, Returned, Any]:
    """Records one call of a step on these argument leaves; tensors among them are placeholders."""
    values = [_raw(v) for v in leaves]
    arguments: list[Node] = []
    given: list[Any] = []
    for leaf, value in zip(leaves, values, strict=True):
        if isinstance(leaf, (Handle, np.ndarray, jax.Array)):
            aval = _aval(leaf)
            node = Node(aval, Placeholder(aval))
            arguments.append(node)
            given.append(wrap(node))
        else:
            arguments.append(Node(None, value))
            given.append(leaf)
    held: list[Any] = []

    def run() -> list[Node]:
        if treedef is None:
            result = function(*given)
        else:
            args, kwargs = jax.tree.unflatten(treedef, given)
            result = function(*args, **kwargs)
        returned = Returned(result, lambda node: node.value is None, arguments)
        held.extend((result, returned))
        return returned.nodes

    frozen, _ = capture(run, arguments, values, execute)
    result, returned = held
    for node in returned.nodes:
        node.requires_grad = False
    return frozen, returned, result


def scan(step: Callable[..., Any], batches: Any) -> Any:
    """Runs a step once for each of K batches, in one call: for models so small that calls dominate.

    `batches` is an argument, or a tuple of arguments, of the step with a leading axis of size K
    (Tensors, NumPy or JAX arrays). Returns what the step returns, stacked along a new leading axis.
    Parameters, buffers and optimizer state end as after K calls; numbers such as `lr` are read
    once, at the start. The step follows the rules of `jit`. Keep one `scan`ned step: the function
    object is what the recorded step is remembered by.
    """
    args = batches if isinstance(batches, tuple) else (batches,)
    leaves, treedef = jax.tree.flatten((args, {}), is_leaf=_is_handle)
    values = [_raw(v) for v in leaves]
    if not values or any(np.ndim(v) == 0 for v in values):
        raise ValueError("scan needs batches with a leading axis: arrays of shape (K, N, ...)")
    count = values[0].shape[0]
    if any(v.shape[0] != count for v in values) or not count:
        raise ValueError(
            f"scan needs the same leading size everywhere, got {[v.shape for v in values]}"
        )
    key = (treedef, _modes(), mode.structure, *[_aval(v) for v in values])
    table = _scans.setdefault(step, {})
    known = table.get(key)
    if known is None:
        first = [v[0] for v in values]
        frozen, returned, _ = record_step(step, first, treedef, execute=False)
        table[key] = known = (Loop(frozen, count), returned)
    loop, returned = known
    results = loop(values)
    stacked = [jax.ShapeDtypeStruct(r.shape, r.dtype) for r in results]
    build = Returned.__new__(Returned)
    build.__dict__.update(returned.__dict__)
    build.avals = [intern_aval(s.shape, s.dtype) for s in stacked]
    return build.build(results, values)


_scans: dict[Any, dict[Any, tuple[Loop, Returned]]] = {}


class Loop:
    """A frozen step as the body of `jax.lax.scan`: what it reads and writes is carried."""

    def __init__(self, frozen: Frozen, count: int):
        self.frozen = frozen
        self.count = count
        plan = frozen.program.plan
        written = {id(handle): k for k, handle in frozen.targets}
        self.carried = [(slot, written[id(h)]) for slot, h in frozen.handles if id(h) in written]
        read = {k for _, k in self.carried}
        self.written_only = [k for k, _ in frozen.targets if k not in read]
        self.moving = [
            *[slot for slot, _ in frozen.arguments],
            *frozen.keys,
            *[slot for slots, _ in frozen.readers for slot in slots],
        ]
        taken = {slot for slot, _ in self.carried} | set(self.moving)
        self.constant = [slot for slot in range(plan.slots) if slot not in taken]
        outputs = [plan.steps[s].call.out for s in plan.outputs]
        evaluate = evaluation(plan)

        def run(carry: list[Any], constants: list[Any], xs: list[Any]) -> Any:
            def body(carry: Any, constants: list[Any], xs: list[Any]) -> Any:
                slots: list[Any] = [None] * plan.slots
                for group, given in ((self.constant, constants), (self.moving, xs)):
                    for slot, value in zip(group, given, strict=True):
                        slots[slot] = value
                for (slot, _), value in zip(self.carried, carry[0], strict=True):
                    slots[slot] = value
                found, _ = evaluate(slots)
                new = [found[k] for _, k in self.carried]
                return (new, [found[k] for k in self.written_only]), [
                    found[k] for k in frozen.results
                ]

            extra = [jnp.zeros(outputs[k].shape, outputs[k].dtype) for k in self.written_only]
            return low_rank.scan(body, (carry, extra), constants, xs, self.count)

        self.run = jax.jit(run, donate_argnums=(0,), compiler_options=options(plan))
        self.program: Any = None  # the form of `run` that its first call has settled

    def __call__(self, stacked: list[Any]) -> list[Any]:
        frozen = self.frozen
        values = frozen.leaves(stacked, draw=False)
        xs = [values[slot] for slot, _ in frozen.arguments]
        draws = [
            [random.default_generator.next_key() for _ in frozen.keys] for _ in range(self.count)
        ]
        xs += [np.stack(column) for column in zip(*draws, strict=True)]
        for slots, reader in frozen.readers:
            first = [values[slot] for slot in slots]
            rows = [first, *[reader() for _ in range(self.count - 1)]]
            xs += [np.array(column, np.float64) for column in zip(*rows, strict=True)]
        carry = [values[slot] for slot, _ in self.carried]
        constants = [values[slot] for slot in self.constant]
        with jax.enable_x64(True):
            if self.program is None:
                self.program, result = first_run(self.run, (0,), carry, constants, xs)
            else:
                result = self.program(carry, constants, xs)
        (new, extra), results = result
        outputs: list[Any] = [None] * len(frozen.program.plan.outputs)
        for (_, k), value in zip(self.carried, new, strict=True):
            outputs[k] = value
        for k, value in zip(self.written_only, extra, strict=True):
            outputs[k] = value
        frozen.write(outputs)
        return results
