"""Step one of four: record. The `op` decorator turns a pure function of arrays into an operation.

It takes a call by the user and hands on a `Node` in `mode.pending` (or runs the call at once, or,
for plain arrays and tracers, is the pure function). The abstract result comes from a cache, so
shapes are known without running anything and a wrong shape raises at the user's line.
"""

from __future__ import annotations

import functools
import inspect
import weakref
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jtoolbox import devices, dtypes, random
from jtoolbox.engine import autocast, overriding
from jtoolbox.engine.backward_names import backward_name
from jtoolbox.engine.graph import (
    KEY,
    OWNED,
    PINNED,
    TRACED,
    Absent,
    Aval,
    Call,
    Handle,
    Node,
    intern_aval,
    leaf_node,
)
from jtoolbox.engine.modes import mode
from jtoolbox.engine.settings import compiler_options

# As annotations of an operation's parameters these mark operands and random keys.
Array = Annotated[Any, "Array"]
Key = Annotated[Any, "Key"]
F = TypeVar("F", bound=Callable[..., Any])

SCALARS = (bool, int, float, complex)
MISSING = inspect.Parameter.empty
# A loop that forgets `no_grad` would grow its graph without end: this many pending nodes are run.
# XLA's compile time grows faster than the graph, so the limit is near what deep networks need.
PENDING_LIMIT = 600

# PyTorch's functions take NumPy's names of these parameters too, as in `x.sum(axis=0)`.
NUMPY_NAMES = {
    **{"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input"},
    "x2": "other",
}

KEY_AVAL = intern_aval((2,), np.dtype(np.uint32))


DEMANDED = (
    "a value was needed (item, print, numpy, bool, an `if`, a hook) while jtoolbox.jit or scan "
    "records a step, which must not depend on values. Return the tensor and look at it outside, "
    "use jtoolbox.where instead of `if`, or leave jit away: the plain loop runs as one program too."
)


class Hooks:
    """What the layers above and beside plug in, so that nothing below imports them."""

    tensor: Any = Handle
    flush: Any
    run_finished: Any
    run_waiting: Any
    synced: Any
    viewed: Any
    rebind: Any
    format: Any
    missing: Any
    into: Any
    tuple_types: tuple[type, ...] = (tuple, list)


def wrap(node: Node) -> Any:
    """A new Tensor whose value is this node."""
    tensor = object.__new__(Hooks.tensor)
    tensor._node = node
    tensor._view = None
    tensor._family = None
    tensor._grad = None
    node.owner = weakref.ref(tensor)
    return tensor


def node_of(handle: Handle) -> Node:
    """The node that a handle stands for now; a view first catches up with its base."""
    return handle._node if handle._view is None else Hooks.synced(handle)


def value_of(node: Node) -> Any:
    """The concrete value of a node; runs what is pending if it has none."""
    if mode.capture is not None:
        raise RuntimeError(DEMANDED)
    if node.value is None:
        Hooks.flush()
        if node.value is None:
            raise RuntimeError(
                f"the value of this {node.aval} was never computed: an earlier program failed, or "
                "the tensor was made in another thread. Compute it again."
            )
    return node.value


# --- calls ---------------------------------------------------------------------------------------


def _aval_of(struct: Any, device: Any) -> Aval:
    return intern_aval(tuple(struct.shape), np.dtype(struct.dtype), device)


def _no_function(*_: Any) -> Any:
    raise RuntimeError("the result of a call with several is picked by the plan, not called")


def make_call(
    name: str,
    function: Callable[..., Any],
    avals: Sequence[Any],
    *,
    device: Any = None,
    wide: bool = True,
    **settings: Any,
) -> Call:
    """Infers the abstract result of `function` on operands of these avals (or number types).

    With 64-bit types, unless the user's own JAX program, in which it will be called, has none.
    """
    examples = [a.struct if isinstance(a, Aval) else None if a is None else a(1) for a in avals]
    with jax.enable_x64(wide), autocast.within(None):
        result = jax.eval_shape(function, *examples)
    structure = None
    if isinstance(result, (tuple, list)):
        structure = type(result)
        out: Any = tuple(_aval_of(r, device) for r in result)
    else:
        out = _aval_of(result, device)
    return Call(name, function, out, structure=structure, avals=tuple(avals), **settings)


PICK = Call("Pick", _no_function, intern_aval((), np.dtype(np.bool_)))


def record(call: Call, inputs: tuple, requires_grad: bool) -> Any:
    """Appends a call to what is pending: its node, or for several results their nodes."""
    if call.meta:
        return absent(call, inputs, requires_grad)
    pending = mode.pending
    if len(pending) > PENDING_LIMIT and mode.capture is None:
        Hooks.flush()
        pending = mode.pending
    out = call.out
    if out.__class__ is Aval:
        node = Node(out, None, call, inputs, requires_grad and out.inexact and call.differentiable)
        pending.append(node)
        return node
    grad = requires_grad and call.differentiable
    parent = Node(out, None, call, inputs, grad)
    pending.append(parent)
    source = (parent,)
    parent.outs = nodes = [Node(a, None, PICK, source, grad and a.inexact) for a in out]
    return nodes


def absent_node(shape: tuple[int, ...], dtype: Any) -> Node:
    """A node on the meta device."""
    aval = intern_aval(tuple(shape), np.dtype(dtype), devices.META)
    return Node(aval, Absent(aval), flags=TRACED)


def absent(call: Call, inputs: tuple, requires_grad: bool) -> Any:
    """The results of a call on the meta device, with their history where they require grad."""
    grad = requires_grad and call.differentiable
    inputs = inputs if grad else ()
    if call.out.__class__ is Aval:
        return Node(call.out, Absent(call.out), call, inputs, grad and call.out.inexact, TRACED)
    parent = Node(call.out, None, call, inputs, grad, TRACED)
    source = (parent,) if grad else ()
    parent.outs = [Node(a, Absent(a), PICK, source, grad and a.inexact, TRACED) for a in call.out]
    return parent.outs


def _jitted(call: Call) -> Callable[..., Any]:
    """The compiled form of one call, for operations that run at once."""
    if call._jitted is None:
        call._jitted = jax.jit(call.function, compiler_options=compiler_options(call.tags))
    return call._jitted


def run_now(call: Call, inputs: tuple) -> Any:
    """Runs one call on concrete inputs: its node, or for several results their nodes."""
    if call.meta:
        grad = mode.grad and any(i.__class__ is Node and i.requires_grad for i in inputs)
        return absent(call, inputs, grad)
    values = [i.value if i.__class__ is Node else i for i in inputs]
    traced = any(i.__class__ is Node and i.flags & TRACED for i in inputs)
    if traced or mode.functional is not None:
        result = call.function(*values)
    else:
        with jax.enable_x64(True):
            result = _jitted(call)(*values)
    if call.out.__class__ is Aval:
        if call.out.device is not None and not inputs and hasattr(call.out.device, "type"):
            result = jax.device_put(result, devices.find(call.out.device))
        return _result_node(result, call.out, values, inputs)
    return [_result_node(r, aval, values, inputs) for r, aval in zip(result, call.out, strict=True)]


def _result_node(result: Any, aval: Aval, values: list[Any], inputs: tuple) -> Node:
    if isinstance(result, Tracer):
        return Node(intern_aval(result.shape, result.dtype, aval.device), result, flags=TRACED)
    if result.dtype != aval.dtype or result.shape != aval.shape:
        aval = intern_aval(result.shape, result.dtype, aval.device)
    for value, node in zip(values, inputs, strict=True):
        if value is result:  # JAX hands an unchanged input back as the same array
            node.flags |= PINNED
            return Node(aval, result, flags=PINNED)
    return Node(aval, result, flags=OWNED)


# --- the decorator -------------------------------------------------------------------------------


def numpy_names(function: F) -> F:
    """Lets a function that is no operation itself take NumPy's names, as operations do."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "out" in kwargs:
                return Hooks.into(call, args, kwargs)
            for name in NUMPY_NAMES.keys() & kwargs.keys():
                if NUMPY_NAMES[name] not in kwargs:
                    kwargs[NUMPY_NAMES[name]] = kwargs.pop(name)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


class Op:
    """One operation: its pure function, which parameters are operands, and its properties."""

    def __init__(self, function: Callable[..., Any], settings: dict[str, Any]):
        self.function = function
        self.name: str = settings.pop("name", None) or function.__name__
        self.promote: tuple[str, ...] = settings.pop("promote", ())
        self.promote_float: bool = settings.pop("promote_float", False)
        self.refuses: tuple[str, ...] = settings.pop("refuses", ())
        self.wide: bool = settings.pop("wide", False)
        self.view: bool = settings.pop("view", False)
        self.write = settings.pop("write", None)
        self.check = settings.pop("check", None)
        self.creates: bool = settings.pop("creates", False)
        self.host = settings.pop("host", None)
        self.saves: str = settings.pop("saves", "inputs")
        self.differentiable: bool = settings.pop("differentiable", True)
        self.tags = frozenset(settings.pop("tags", ()))
        if settings:
            raise TypeError(f"op() has no settings {sorted(settings)}")
        # Read off the code object: `inspect.signature` for every operation would slow the import.
        code = function.__code__
        keywords = code.co_kwonlyargcount
        self.names = list(code.co_varnames[: code.co_argcount + keywords])
        self.position = {name: i for i, name in enumerate(self.names)}
        given = function.__defaults__ or ()
        self.defaults: list[Any] = [MISSING] * (code.co_argcount - len(given)) + list(given)
        named = function.__kwdefaults__ or {}
        self.defaults += [named.get(name, MISSING) for name in self.names[code.co_argcount :]]
        self.keyword_only = list(range(code.co_argcount, len(self.names)))
        annotations = function.__annotations__
        self.operands: list[int] = []
        self.sequences: set[int] = set()
        self.keys: set[int] = set()
        for i, name in enumerate(self.names):
            annotation = str(annotations.get(name, ""))
            if "Key" in annotation:
                self.keys.add(i)
                self.operands.append(i)
            elif "Array" in annotation:
                self.operands.append(i)
                if "Sequence" in annotation or "list[" in annotation:
                    self.sequences.add(i)
        self.simple = not self.sequences and not self.keys
        self.statics = [i for i in range(len(self.names)) if i not in self.operands]
        self.promoted = [self.position[name] for name in self.promote]
        self.calls: dict[tuple, Call] = {}

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature, for the errors of calls that do not fit it."""
        return inspect.signature(self.function)

    def bind(self, args: tuple, kwargs: dict[str, Any]) -> tuple:
        """All arguments in order, with defaults; TypeError as Python's where they do not fit."""
        positional = self.keyword_only[0] if self.keyword_only else len(self.names)
        if len(args) > positional:
            self.signature.bind(*args, **kwargs)
        bound = [*args, *self.defaults[len(args) :]]
        for name, value in kwargs.items():
            i = self.position.get(name)
            if i is None and NUMPY_NAMES.get(name) not in kwargs:
                i = self.position.get(NUMPY_NAMES.get(name, ""))
            if i is None or i < len(args):
                self.signature.bind(*args, **kwargs)
                raise TypeError(f"{self.name}() got an unexpected keyword argument '{name}'")
            bound[i] = value
        if any(b is MISSING for b in bound):
            self.signature.bind(*args, **kwargs)
        return tuple(bound)

    def tails(self) -> dict[int, tuple]:
        """What to append to so many positional arguments where the rest has defaults."""
        positional = self.keyword_only[0] if self.keyword_only else len(self.names)
        ends = {n: tuple(self.defaults[n:]) for n in range(positional + 1)}
        return {n: end for n, end in ends.items() if not any(d is MISSING for d in end)}

    def body(self, args: Sequence[Any]) -> Any:
        """The pure function, promotion and autocast included."""
        if mode.autocast is not None:
            return autocast.run(self.name, self.operands, args, self._body)
        return self._body(args)

    def _body(self, args: Sequence[Any]) -> Any:
        if self.promoted:
            args = self.promotion(list(args))
        if self.refuses:
            dtypes.refuse(self.name, args[self.operands[0]], *self.refuses)
        if self.wide and dtypes.is_half(args[self.operands[0]].dtype):
            args = list(args)
            x = args[self.operands[0]]
            args[self.operands[0]] = x.astype(np.float32)
            return self.run(args).astype(x.dtype)
        return self.run(args)

    def run(self, args: Sequence[Any]) -> Any:
        """The function of arguments in the order of its parameters."""
        if not self.keyword_only:
            return self.function(*args)
        first = self.keyword_only[0]
        return self.function(
            *args[:first], **dict(zip(self.names[first:], args[first:], strict=True))
        )

    def promotion(self, args: list[Any]) -> list[Any]:
        """Casts the promoted operands to PyTorch's common type, after a check of their shapes."""
        present = [i for i in self.promoted if args[i] is not None]
        values = [args[i] for i in present]
        shape = check_broadcast([np.shape(v) for v in values])
        result = dtypes.result_type(*values)
        if self.promote_float and dtypes.kind(result) < 2:
            result = dtypes.default_float()
        for i in present:
            args[i] = spread(jnp.asarray(args[i]).astype(result), shape)
        return args

    def pure(self, args: list[Any]) -> Any:
        """The operation on arrays, NumPy arrays, numbers and tracers: no Tensor is involved."""
        for i in self.keys:
            if args[i] is None:
                args[i] = draw_key().value
        for i in self.statics:
            if args[i].__class__ is list:
                args[i] = freeze(args[i])
        if self.check is not None:
            self.check(*[_checkable(a) for a in args])
        for i in self.operands:
            args[i] = tuple(map(_of_jax, args[i])) if i in self.sequences else _of_jax(args[i])
        return self.body(args)

    def call_for(self, key: tuple, args: list[Any], inputs: list[Any]) -> Call:
        """Makes the `Call` of a new combination of statics and operand types."""
        device = common_device(self.name, inputs)
        places: list[Any] = []
        lengths = {}
        for i in self.operands:
            if i in self.sequences:
                lengths[i] = len(args[i])
                places.extend(i for _ in args[i])
            else:
                places.append(i)
        template = [None if i in self.operands else a for i, a in enumerate(args)]
        policy = autocast.policy_of(device)

        def function(*values: Any) -> Any:
            bound = list(template)
            for i in lengths:
                bound[i] = ()
            for place, value in zip(places, values, strict=True):
                bound[place] = (*bound[place], value) if place in lengths else value
            with autocast.within(policy):  # the present one may be another when this is replayed
                return self.body(bound)

        avals = [i.aval if i.__class__ is Node else None if i is None else type(i) for i in inputs]
        if "device" in self.position and template[self.position["device"]] is not None:
            device = template[self.position["device"]]
        call = make_call(
            backward_name(self.name),
            function,
            avals,
            device=device,
            wide=mode.functional is None or dtypes.index_dtype() != np.int32,
            saves=self.saves,
            differentiable=self.differentiable,
            tags=self.tags,
            statics=key[0],
            op=self,
        )
        self.calls[key] = call
        return call

    def apply(
        self, args: list[Any], inputs: list[Any], key: tuple, grad: bool, pending: bool
    ) -> Any:
        """Records the call or runs it at once, and returns Tensors."""
        if mode.functional is not None:
            key = (*key, dtypes.index_dtype())
        call = self.calls.get(key)
        if call is None:
            call = self.call_for(key, args, inputs)
        operands = tuple(inputs) if mode.functional is None else mode.functional.meet(inputs)
        if (pending or grad or mode.depth or mode.capture is not None) and mode.functional is None:
            if not any(i.__class__ is Node and i.flags & TRACED for i in operands):
                result: Any = record(call, operands, grad)
            else:
                result = run_now(call, concrete(operands))
        elif self.host is not None and mode.functional is None and call.out.device is None:
            with jax.enable_x64(True):
                result = Node(call.out, self.host(*args))
        else:
            result = run_now(call, concrete(operands))
        if call.out.__class__ is not Aval:
            tensors = [wrap(n) for n in result]
            structure = call.structure
            return structure(tensors) if structure in Hooks.tuple_types else structure(*tensors)
        tensor = wrap(result)
        if self.view:
            Hooks.viewed(tensor, self, args)
        return tensor


def after_step(inputs: Sequence[Any]) -> bool:
    """Runs the waiting step, whose results are used without gradients; whether any is pending yet.

    What is computed from the results of a step must not become part of the next step's program.
    """
    if not mode.depth and mode.capture is None:
        Hooks.run_finished(mode.finished)
    return any(i.__class__ is Node and i.value is None for i in inputs)


def concrete(inputs: tuple) -> tuple:
    """The same inputs, with everything pending among them run."""
    for i in inputs:
        if i.__class__ is Node and i.value is None:
            value_of(i)
    return inputs


def spread(x: Any, shape: tuple[int, ...]) -> Any:
    """Half precision broadcast to a shape by way of float32; any other type as it is.

    NOTE: sums of gradients. The gradient of what was broadcast is a sum, which XLA's CPU backend
    forms in the operand's own type: of more than a few thousand terms in bfloat16 it stands still.
    This way it is summed in float32 and rounded once, as in PyTorch.
    """
    if x.shape == shape or not dtypes.is_half(x.dtype):
        return x
    return jnp.broadcast_to(x.astype(jnp.float32), shape).astype(x.dtype)


def check_broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The common shape; raises PyTorch's error when shapes do not broadcast."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        pass
    known: tuple[int, ...] = ()
    for shape in shapes:
        rank = max(len(known), len(shape))
        a, b = (1,) * (rank - len(known)) + known, (1,) * (rank - len(shape)) + shape
        for dim in reversed(range(rank)):
            if a[dim] != b[dim] and 1 not in (a[dim], b[dim]):
                raise RuntimeError(
                    f"The size of tensor a ({a[dim]}) must match the size of tensor b ({b[dim]}) "
                    f"at non-singleton dimension {dim}: the shapes {list(known)} and {list(shape)} "
                    "do not broadcast. Reshape or unsqueeze one of them."
                )
        known = tuple(y if x == 1 else x for x, y in zip(a, b, strict=True))
    return known


def common_device(name: str, inputs: Sequence[Any]) -> Any:
    """The device of the operands, which numbers and 0-d tensors join; RuntimeError for two."""
    found = None
    chosen: list[Any] = []
    for i in inputs:
        if (
            i.__class__ is Node
            and (i.aval.shape or i.aval.device is not None)
            and not i.flags & KEY
        ):
            chosen.append(i.aval.device)
    meshes = [d for d in chosen if getattr(d, "mesh", None) is not None]
    if meshes:  # what lies on one device is spread over the mesh of the others
        chosen = [d for d in chosen if d is not None]
    if chosen:
        found = chosen[0]
        if any(d is not found for d in chosen):
            places = ", ".join(sorted({str(d or "the default device") for d in chosen}))
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but {name.strip('_')} found them "
                f"on {places}. Move them with .to(device)."
            )
    return found


def freeze(value: Any) -> Any:
    """A hashable copy of a static argument: lists become tuples."""
    if isinstance(value, (list, tuple)):
        return tuple(freeze(v) for v in value)
    if isinstance(value, dict):
        return tuple((k, freeze(v)) for k, v in value.items())
    if isinstance(value, set):
        return frozenset(value)
    if isinstance(value, slice):
        return ("slice", value.start, value.stop, value.step)
    return value


def _of_jax(value: Any) -> Any:
    """An array of NumPy's as JAX's, whose type is then what JAX makes of it."""
    return jnp.asarray(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _checkable(value: Any) -> Any:
    """What a check may look at: host values, or shape and dtype."""
    if value is None:
        return None
    if value.__class__ is Node:
        array = value.value
        if array.__class__ is np.ndarray:
            return array
        # Weights may still be in the making: only the values of indices are worth waiting for.
        whole = isinstance(array, jax.Array) and not value.flags & TRACED
        return _host(array) if whole and not value.aval.inexact else value.aval.struct
    if isinstance(value, Handle):
        return _checkable(node_of(value))
    if isinstance(value, jax.Array):
        return (
            jax.ShapeDtypeStruct(value.shape, value.dtype)
            if isinstance(value, Tracer)
            else _host(value)
        )
    if isinstance(value, (tuple, list)):
        return type(value)(_checkable(v) for v in value) if type(value) in (tuple, list) else value
    return value


def _host(array: jax.Array) -> Any:
    if array.is_fully_addressable and all(d.platform == "cpu" for d in array.devices()):
        return np.asarray(array)
    return jax.ShapeDtypeStruct(array.shape, array.dtype)


def draw_key() -> Node:
    """The next random key: from the key given to `functional_call`, or the default generator."""
    if mode.functional is not None:
        return leaf_node(mode.functional.next_key())
    node = Node(KEY_AVAL, random.default_generator.next_key(), flags=KEY)
    if mode.capture is not None:
        mode.capture.key(node)
    return node


FOREIGN = (
    ". __torch_function__ is asked of subclasses of torch.Tensor alone here: derive the class from "
    "it, or hand on the tensor that the object holds."
)


def as_node(value: Any) -> Any:
    """The node of an operand given as Tensor or array; a number or None stays what it is."""
    if isinstance(value, Handle):
        return node_of(value)
    if value is None or value.__class__ in SCALARS:
        return value
    if isinstance(value, (np.ndarray, np.generic, jax.Array)):
        return leaf_node(np.asarray(value) if isinstance(value, np.generic) else value)
    if isinstance(value, SCALARS):
        return value.__class__.__mro__[1](value)
    hint = FOREIGN if hasattr(type(value), "__torch_function__") else ""
    raise TypeError(
        f"expected a Tensor, an array or a number, got {type(value).__name__}: {value!r:.80}{hint}"
    )


def _collect(o: Op, args: list[Any]) -> tuple[list[Any], list[Any], bool, bool, bool]:
    """The operands of a call as nodes, their part of the key, and whether any is a Tensor, wants
    gradients, or is pending. The general way, for sequences and keys."""
    inputs: list[Any] = []
    key: list[Any] = []
    tensors = grad = pending = False
    for i in o.operands:
        value = args[i]
        if i in o.keys:
            if value is None:
                inputs.append(None)
                key.append(KEY_AVAL)
                continue
            value = np.asarray(value, np.uint32) if not isinstance(value, jax.Array) else value
        many = i in o.sequences
        if many:
            value = tuple(value)
            args[i] = value
            key.append(len(value))
        for v in value if many else (value,):
            tensors = tensors or isinstance(v, Handle)
            node = as_node(v)
            inputs.append(node)
            if node.__class__ is Node:
                key.append(node.aval)
                grad = grad or node.requires_grad
                pending = pending or node.value is None
            else:
                key.append(None if node is None else node.__class__)
    return inputs, key, tensors, grad, pending


def _call_general(o: Op, args: list[Any]) -> Any:
    inputs, avals, tensors, grad, pending = _collect(o, args)
    if not tensors and not (o.creates and _creates_tensors(inputs)):
        return o.pure(args)
    for position, i in enumerate(_places(o, args)):
        if i in o.keys and inputs[position] is None:
            inputs[position] = draw_key()
    statics = freeze(tuple([args[i] for i in o.statics]))
    for i, value in zip(o.statics, statics, strict=True):
        args[i] = value
    if o.check is not None:
        o.check(*[_checkable(a) for a in args])
    grad = grad and mode.grad
    if pending and not grad and mode.finished is not None:
        pending = after_step(inputs)
    key = (statics, *avals) if mode.autocast is None else (statics, *avals, mode.autocast)
    return o.apply(args, inputs, key, grad, pending)


def _creates_tensors(inputs: list[Any]) -> bool:
    return not any(
        i.__class__ is Node and i.flags & TRACED and mode.functional is None for i in inputs
    )


def _places(o: Op, args: list[Any]) -> list[int]:
    return [p for i in o.operands for p in ([i] * len(args[i]) if i in o.sequences else [i])]


def op(function: Any = None, **settings: Any) -> Any:
    """Registers a pure function of arrays as an operation.

    Parameters annotated `Array` are operands, `Sequence[Array]` lists of them, `Key` a random key;
    the others are static. Settings: `promote` (names of operands cast to PyTorch's common type),
    `promote_float` (integers among them become floats), `refuses` (kinds of numbers, as in
    `dtypes.refuse`, that the first operand may not hold), `wide` (the first operand, if of 16 bits,
    is float32 inside, and the result rounded once), `saves` (what PyTorch's backward reads:
    "inputs", "output", "both" or "none"), `differentiable`, `view` (the result is a view of the
    first operand) with `write(base, value, ...)`, `check(...)` for values known on the host,
    `creates` (returns Tensors though it has no tensor operand) with `host` (the same by NumPy,
    which needs no program for each shape), `tags`, `name`.
    """
    if function is None:
        return functools.partial(op, **settings)
    o = Op(function, settings)
    arity, operands, statics = len(o.names), o.operands, o.statics
    calls, bind, simple = o.calls, o.bind, o.simple and not o.creates
    check, view, differentiable = o.check, o.view, o.differentiable
    tails = o.tails()
    scalars, classes = frozenset(SCALARS), overriding.classes

    def synced(handle: Any) -> Node:
        return Hooks.synced(handle)

    def checked(args: Sequence[Any], inputs: list[Any]) -> None:
        given = list(args)
        for i, node in zip(operands, inputs, strict=True):
            if node.__class__ is Node:
                given[i] = _checkable(node)
        check(*given)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            if "out" in kwargs and "out" not in o.position:
                return Hooks.into(call, args, kwargs)
            args = bind(args, kwargs)
        elif len(args) != arity:
            tail = tails.get(len(args))
            args = bind(args, kwargs) if tail is None else args + tail
        if classes and (kinds := overriding.found(args)):
            return overriding.dispatch(call, kinds, args)
        state = mode.__dict__
        if not simple or state["autocast"] is not None:
            return _call_general(o, list(args))
        inputs = []
        key: list[Any] = [None]
        tensors = grad = pending = traced = False
        for i in operands:
            value = args[i]
            if isinstance(value, Handle):
                tensors = True
                node = value._node if value._view is None else synced(value)
                if node.requires_grad:
                    grad = True
                if node.value is None:
                    pending = True
                elif node.flags & 32:  # TRACED
                    traced = True
                inputs.append(node)
                key.append(node.aval)
            elif value is None:
                inputs.append(None)
                key.append(None)
            elif value.__class__ in scalars:
                inputs.append(value)
                key.append(value.__class__)
            else:
                node = as_node(value)
                inputs.append(node)
                key.append(node.aval if node.__class__ is Node else node.__class__)
                traced = traced or (node.__class__ is Node and node.flags & 32)
        if not tensors:
            return o.pure(list(args))
        if statics:
            key[0] = tuple([args[i] for i in statics])
            try:
                known = calls.get(tuple(key))
            except TypeError:
                frozen = list(args)
                for i in statics:
                    frozen[i] = freeze(frozen[i])
                args = tuple(frozen)
                key[0] = tuple([args[i] for i in statics])
                known = calls.get(tuple(key))
        else:
            key[0] = ()
            known = calls.get(tuple(key))
        if check is not None:
            checked(args, inputs)
        if grad:
            grad = state["grad"]
        if pending and not grad and state["finished"] is not None:
            pending = after_step(inputs)
        if known is None or traced or not (grad or pending) or known.out.__class__ is not Aval:
            return o.apply(list(args), inputs, tuple(key), grad, pending)
        if state["functional"] is not None:
            return o.apply(list(args), inputs, tuple(key), grad, pending)
        out = known.out
        batch = state["pending"]
        node = Node(out, None, known, tuple(inputs), grad and differentiable and out.inexact)
        batch.append(node)
        if len(batch) > PENDING_LIMIT and mode.capture is None:
            result = wrap(node)
            Hooks.flush()
            return result
        tensor = wrap(node)
        if view:
            Hooks.viewed(tensor, o, args)
        return tensor

    call.op = o  # type: ignore[attr-defined]
    call.__name__ = o.name.strip("_")
    return call


def inplace(x: Any, result: Any) -> Any:
    """Rebinds a Tensor to the freshly computed `result` and returns it; an array gives `result`."""
    if not isinstance(x, Handle):
        return result
    Hooks.rebind(x, result)
    return x


__all__ = ["Array", "Key", "inplace", "numpy_names", "op"]
