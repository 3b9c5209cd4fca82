"""Gradients as values (`grad`), and operations with a backward of their own (`Function`)."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import ops
from jtoolbox.autograd import on_host
from jtoolbox.autograd.returned import fitted, listed
from jtoolbox.engine import autocast
from jtoolbox.engine.backward import backward as _backward
from jtoolbox.engine.backward import gradients
from jtoolbox.engine.grad_fn import GradFunction, tensor_at
from jtoolbox.engine.graph import Call, Handle, Node, is_tracer, leaf_node
from jtoolbox.engine.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    mode,
    no_grad,
    set_grad_enabled,
)
from jtoolbox.engine.record import (
    common_device,
    concrete,
    freeze,
    make_call,
    node_of,
    record,
    run_now,
    value_of,
    wrap,
)
from jtoolbox.engine.replay import conjugate
from jtoolbox.engine.trace import TensorTrace, Untraceable
from jtoolbox.tensor import Tensor, roots_of, same_value, wanted_nodes

__all__ = [
    "Function",
    "Variable",
    "backward",
    "enable_grad",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "once_differentiable",
    "set_grad_enabled",
]

ON_HOST = object()
WRITTEN = (
    "{name}.forward writes its inputs in place, which jit and functional_call cannot honour: "
    "return the new value instead"
)
KEPT_WRITTEN = (
    "{name}.backward writes a tensor in place that its ctx keeps, which jit and functional_call "
    "cannot honour: return the gradient instead"
)


# What shows that a Function's Python cannot be traced.
VALUES = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError, Untraceable)
_UNUSED = (
    "The differentiated Tensor at index {i} appears to not have been used in the graph. Set "
    "allow_unused=True if this is the desired behavior."
)


def _sequence(x: Any) -> list[Any]:
    """Tensors as a list; gradient edges among them as the tensors that they stand for."""
    many = [x] if isinstance(x, Tensor) or x is None or hasattr(x, "output_nr") else list(x)
    return [e if isinstance(e, Tensor) or e is None else _at_edge(e) for e in many]


def _at_edge(edge: Any) -> Any:
    node = getattr(edge, "node", None)
    return tensor_at(node, edge.output_nr) if isinstance(node, GradFunction) else edge


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Adds gradients of the sum of `tensors`, weighted by `grad_tensors`, to leaves' `.grad`."""
    outputs = _sequence(tensors)
    given = [None] * len(outputs) if grad_tensors is None else _sequence(grad_tensors)
    if len(given) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(given)} gradients")
    roots, cotangents = roots_of(outputs, given)
    nodes = None if inputs is None else wanted_nodes(_sequence(inputs))
    keep = create_graph if retain_graph is None else retain_graph
    _backward(roots, cotangents, keep, create_graph, nodes)


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of the sum of `outputs` by each of `inputs`, without touching any `.grad`.

    With `create_graph` they can be differentiated again. RuntimeError when an input is not part of
    the graph, unless `allow_unused` (then None) or `materialize_grads` (then zeros).
    """
    ys, xs = _sequence(outputs), _sequence(inputs)
    if not xs:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if is_grads_batched:
        keep = create_graph if retain_graph is None else retain_graph
        settings = (create_graph, allow_unused, False, materialize_grads)
        return _rows(ys, xs, _sequence(grad_outputs), keep, settings)
    given = [None] * len(ys) if grad_outputs is None else _sequence(grad_outputs)
    if len(given) != len(ys):
        raise RuntimeError(f"got {len(ys)} outputs and {len(given)} grad_outputs")
    for x in xs:
        if not x.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    roots, cotangents = roots_of(ys, given)
    wrt = [node_of(x) for x in xs]
    keep = create_graph if retain_graph is None else retain_graph
    found = gradients(roots, cotangents, wrt, retain_graph=keep, create_graph=create_graph)
    results: list[Tensor | None] = []
    for i, (x, node) in enumerate(zip(xs, wrt, strict=True)):
        if node in found:
            results.append(_result(x, found[node]))
        elif materialize_grads:
            results.append(wrap(leaf_node(np.zeros(x.shape, x.dtype.dtype))))
        elif allow_unused:
            results.append(None)
        else:
            raise RuntimeError(_UNUSED.format(i=i))
    return tuple(results)


def _rows(
    ys: list[Any], xs: list[Any], given: list[Any], keep: bool, settings: tuple[Any, ...]
) -> tuple[Tensor | None, ...]:
    """`grad` for each row of the given gradients, the results stacked."""
    rows = [None if g is None else g.unbind(0) for g in given]
    count = max(len(r) for r in rows if r is not None)
    found = []
    for i in range(count):
        row = [None if r is None else r[i] for r in rows]
        found.append(grad(ys, xs, row, keep or i + 1 < count, *settings))
    return tuple(None if c[0] is None else ops.stack(c) for c in zip(*found, strict=True))


def _result(x: Tensor, gradient: Node) -> Tensor:
    """The gradient as a Tensor, after the hooks that a leaf has."""
    owner: Any = gradient.owner
    tensor = owner() if owner is not None and gradient.live else wrap(gradient)
    for hook in list(x.__dict__.get("_hooks", {}).values()):
        replaced = hook(tensor)
        tensor = tensor if replaced is None else replaced
    return tensor


def Variable(data: Any, requires_grad: bool = False, volatile: bool | None = None) -> Tensor:
    """What Tensors were called in early PyTorch: the tensor, with `requires_grad` as given."""
    tensor = data if isinstance(data, Tensor) else Tensor(data)
    return (
        tensor.detach().requires_grad_() if requires_grad and not tensor.requires_grad else tensor
    )


class Context:
    """What `forward` leaves for `backward`: saved tensors, and any attribute it sets."""

    def __init__(self, needs_input_grad: tuple[bool, ...]):
        self.needs_input_grad = needs_input_grad
        self._saved: tuple[Any, ...] = ()
        self._not_differentiable: tuple[Any, ...] = ()
        self._materialize = True
        self.dirty: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps inputs or outputs, or other tensors, for `backward` to find in `saved_tensors`.

        TypeError for what is neither a Tensor nor None.
        """
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Handle):
                raise TypeError(
                    f"save_for_backward can only save variables, but argument {i} is of type "
                    f"{type(t).__name__}"
                )
        self._saved = tensors

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """The tensors given to `save_for_backward`."""
        return self._saved

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Says that no gradient comes for these outputs."""
        self._not_differentiable = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Says that these inputs were changed in place; they must be among the outputs."""
        self.dirty = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether gradients of outputs that nothing used come as zeros, or else as None.

        A Function of several outputs that wants None runs its Python at every call (see
        `Function`); inside `jit` and `functional_call` it is given zeros.
        """
        self._materialize = value


FunctionCtx = Context


class Function:
    """An operation with a backward of its own: subclass it with static `forward` and `backward`.

        class Exp(Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, grad):
                (y,) = ctx.saved_tensors
                return grad * y

        y = Exp.apply(x)

    Both become a `jax.custom_vjp`: their Python runs once for each combination of shapes and
    non-tensor arguments, with Tensors that JAX traces. One that asks for values (`item`, `if`,
    `numpy`) or writes its inputs in place runs at every call instead, on tensors with values, which
    ends the program there; inside `jit` and `functional_call` it raises.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; overridden by the subclass."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    # As in PyTorch, where it says that `vmap` may trace `forward`; here it always may.
    generate_vmap_rule = False

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the inputs, one for each argument of `forward`; overridden."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs from those of the inputs, for `func.jvp`; overridden."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with "
            "forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """What PyTorch's `vmap` calls; here `vmap` traces `forward` itself and asks for no rule."""
        raise NotImplementedError("vmap traces forward itself here: call Function.apply under vmap")

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Runs the operation on these arguments."""
        if kwargs:
            args = cls._bound(args, kwargs)
        places = [i for i, a in enumerate(args) if isinstance(a, Handle)]
        inputs = tuple([node_of(args[i]) for i in places])
        needs = tuple(
            isinstance(a, Handle) and node_of(a).requires_grad and mode.grad for a in args
        )
        statics = freeze(tuple(None if i in places else a for i, a in enumerate(args)))
        forward_mode = mode.forward
        key = (statics, needs, tuple(n.aval for n in inputs), mode.autocast, forward_mode)
        calls = cls.__dict__.get("_calls")
        if calls is None:
            cls._calls = calls = {}  # type: ignore[attr-defined]
        call = calls.get(key)
        if call is None:
            call = calls[key] = cls._traced(args, places, needs, inputs)
        if call is ON_HOST:
            return on_host.apply(cls, Context(needs), args)
        call, rest = call
        if rest.cut and mode.functional is None:
            inputs = tuple(same_value(n) if p in rest.cut else n
                           for p, n in zip(places, inputs, strict=True))  # fmt: skip
        return rest.join(_finish(call, inputs, any(needs)))

    @classmethod
    def _bound(cls, args: tuple, kwargs: dict[str, Any]) -> tuple:
        """All arguments in the order of `forward`."""
        context = () if hasattr(cls, "setup_context") else (None,)
        bound = inspect.signature(cls.forward).bind(*context, *args, **kwargs)
        bound.apply_defaults()
        return bound.args[len(context) :]

    @classmethod
    def _traced(cls, args: tuple, places: list[int], needs: tuple, inputs: tuple) -> Any:
        """The call as a pure function, and what else it returned; ON_HOST where its Python asks
        for values or writes."""
        rest = _Rest()
        function = _custom(cls, list(args), places, needs, rest)
        avals = tuple(n.aval for n in inputs)
        device = common_device(cls.__name__, inputs)
        try:
            call = make_call(f"{cls.__name__}Backward", function, avals, device=device)
            if any(needs) and cls.jvp is Function.jvp:
                _try_backward(function, avals)
        except VALUES:
            if not on_host.possible():
                raise
            return ON_HOST
        if rest.sparse and on_host.possible():
            return ON_HOST
        call.saves = tuple(rest.saved) or "none"
        if rest.mistake is not None:
            call.tags = frozenset({rest.mistake.with_traceback(None)})  # whose frames hold tracers
        return call, rest


def _try_backward(function: Callable, avals: Sequence[Any]) -> None:
    """Traces the function and its backward pass for cotangents of one: VALUES if either asks."""

    def both(*arrays: Any) -> Any:
        out, pull = jax.vjp(function, *arrays)
        return pull(jax.tree.map(_one, out))

    try:
        with jax.enable_x64(True):
            jax.eval_shape(both, *[a.struct for a in avals])
    except VALUES:
        raise
    except Exception:  # a mistake in `backward`, which raises when it is called
        return


def _one(out: Any) -> Any:
    inexact = jnp.issubdtype(out.dtype, jnp.inexact)
    return jnp.ones_like(out) if inexact else np.zeros(out.shape, jax.dtypes.float0)


def _finish(call: Call, inputs: tuple, grad: bool) -> Any:
    traced = mode.functional is not None
    pending = any(n.value is None for n in inputs)
    if not traced and (grad or pending or mode.depth or mode.capture is not None):
        result = record(call, inputs, grad)
    else:
        inputs = mode.functional.meet(inputs) if traced else inputs
        result = run_now(call, concrete(inputs))
    return tuple(wrap(n) for n in result)


class _Rest:
    """The results of `forward` that are no Tensors, and where the Tensors are among them."""

    def __init__(self) -> None:
        self.many = False
        self.values: list[Any] = []
        self.places: list[int] = []
        # Of the Tensors among them, those that no gradient comes for; of the arguments, those that
        # `backward` gives None for. What was saved: arguments, and results under -1 - k.
        self.constant: set[int] = set()
        self.cut: set[int] = set()
        self.saved: list[int] = []
        self.sparse = False
        self.mistake: Exception | None = None

    def join(self, tensors: Sequence[Any]) -> Any:
        """All results in order."""
        results = list(self.values)
        for place, tensor in zip(self.places, tensors, strict=True):
            results[place] = tensor
            if place in self.constant:
                tensor._node.requires_grad = False
        return tuple(results) if self.many else results[0]


class _Kept:
    """Tensors that are attributes of a ctx, which hold the given arrays inside; Untraceable where
    one was written by then."""

    def __init__(self, name: str, tensors: Sequence[Any], arrays: Sequence[Any]):
        self.name, self.tensors, self.arrays = name, tensors, arrays

    def __enter__(self) -> None:
        self.before = [(t._node, t._view) for t in self.tensors]
        self.nodes = [leaf_node(a) for a in self.arrays]
        for tensor, node in zip(self.tensors, self.nodes, strict=True):
            tensor._node, tensor._view = node, None

    def __exit__(self, kind: Any, *exception: Any) -> None:
        written = [t._node for t in self.tensors] != self.nodes
        for tensor, (node, view) in zip(self.tensors, self.before, strict=True):
            tensor._node, tensor._view = node, view
        if written and kind is None:
            raise Untraceable(KEPT_WRITTEN.format(name=self.name))


def _custom(
    cls: type[Function],
    args: list[Any],
    places: list[int],
    needs: tuple[bool, ...],
    rest: _Rest,
) -> Callable:
    """`forward` and `backward` of a Function as one pure function with a custom derivative."""
    separate = "setup_context" in cls.__dict__ or hasattr(cls, "setup_context")
    state: dict[str, Any] = {}
    casts = mode.autocast

    def run(arrays: Sequence[Any]) -> tuple[Any, Context]:
        given = list(args)
        with TensorTrace(), autocast.within(casts):
            for place, array in zip(places, arrays, strict=True):
                given[place] = wrap(leaf_node(array))
            before = [node_of(given[place]) for place in places]
            ctx = Context(needs)
            if separate:
                out = cls.forward(*given)
                cls.setup_context(ctx, tuple(given), out)  # type: ignore[attr-defined]
            else:
                out = cls.forward(ctx, *given)
            if [node_of(given[place]) for place in places] != before or ctx.dirty:
                raise Untraceable(WRITTEN.format(name=cls.__name__))
            noted(ctx, before, list(out) if isinstance(out, (tuple, list)) else [out])
        return out, ctx

    def noted(ctx: Context, inputs: list[Node], results: list[Any]) -> None:
        """What the call says of its inputs and results, in numbers of them."""
        nodes = [node_of(r) if isinstance(r, Handle) else None for r in results]
        saved = [node_of(t) for t in ctx._saved if isinstance(t, Handle)]
        without = [node_of(t) for t in ctx._not_differentiable]
        rest.saved = [k for k, n in enumerate(inputs) if n in saved]
        tensors = [n for n in nodes if n is not None]
        rest.saved += [-1 - k for k, n in enumerate(tensors) if n in saved]
        rest.constant = {k for k, n in enumerate(nodes) if n is not None and n in without}
        rest.sparse = not ctx._materialize and sum(n.aval.inexact for n in tensors) > 1

    def raw(value: Any) -> Any:
        return node_of(value).value if isinstance(value, Handle) else value

    def outputs(out: Any) -> Any:
        """The Tensors among the results; what else there is, is kept aside as it is."""
        many = isinstance(out, (tuple, list))
        results = list(out) if many else [out]
        rest.many = many
        rest.values = [None if isinstance(o, (Handle, jax.Array)) else o for o in results]
        rest.places = [i for i, o in enumerate(results) if isinstance(o, (Handle, jax.Array))]
        return tuple(raw(results[i]) for i in rest.places)

    @jax.custom_vjp
    def function(*arrays: Any) -> Any:
        return outputs(run(arrays)[0])

    def forward(*arrays: Any) -> Any:
        out, ctx = run(arrays)
        saved = ctx._saved
        state["ctx"] = ctx
        state["tensors"] = [isinstance(s, Handle) for s in saved]
        state["rest"] = [None if isinstance(s, Handle) else s for s in saved]
        state["kept"] = kept = [v for v in vars(ctx).values() if isinstance(v, Handle)]
        saved = [raw(s) for s in saved if isinstance(s, Handle)]
        return outputs(out), (saved, [value_of(node_of(k)) for k in kept], arrays)

    def backward(residuals: Any, cotangents: Any) -> Any:
        saved, kept, arrays = residuals
        ctx = state["ctx"]
        with TensorTrace(), autocast.within(None):
            tensors = iter([wrap(leaf_node(s)) for s in saved])
            ctx._saved = tuple(
                next(tensors) if is_tensor else rest
                for is_tensor, rest in zip(state["tensors"], state["rest"], strict=True)
            )
            grads: list[Any] = [None] * len(rest.values)
            for place, cotangent in zip(rest.places, cotangents, strict=True):
                grads[place] = wrap(leaf_node(conjugate(_plain(cotangent))))
            try:
                with _Kept(cls.__name__, state["kept"], kept):
                    results = listed(cls.__name__, cls.backward(ctx, *grads), len(args))
                rest.cut = {p for p in places if results[p] is None}
                pairs = zip(places, arrays, strict=True)
                return tuple(gradient(results[p], p, a) for p, a in pairs)
            except VALUES:
                raise
            except Exception as error:
                rest.mistake = error  # for the line that calls backward()
                raise

    def gradient(returned: Any, place: int, array: Any) -> Any:
        if not jnp.issubdtype(array.dtype, jnp.inexact):
            return np.zeros(array.shape, jax.dtypes.float0)
        if returned is None:
            return jnp.zeros_like(array)
        found = fitted(cls.__name__, place, raw(returned), array.shape)
        return conjugate(found.astype(array.dtype))

    function.defvjp(forward, backward)
    if cls.jvp is Function.jvp or not (mode.forward or cls.backward is Function.backward):
        return function

    def with_tangents(arrays: Any, tangents: Any) -> Any:
        out, ctx = run(arrays)
        given: list[Any] = [None] * len(args)
        for place, tangent in zip(places, tangents, strict=True):
            given[place] = None if tangent.dtype == jax.dtypes.float0 else wrap(leaf_node(tangent))
        with TensorTrace(), autocast.within(casts):
            found = cls.jvp(ctx, *given)
        arrays = outputs(out)
        found = list(found) if isinstance(found, (tuple, list)) else [found]
        moved = [raw(found[p]) for p in rest.places]
        return arrays, tuple(
            jnp.zeros_like(a) if t is None else t for a, t in zip(arrays, moved, strict=True)
        )

    forward_rule = jax.custom_jvp(lambda *arrays: outputs(run(arrays)[0]))
    forward_rule.defjvp(with_tangents)
    return forward_rule


def _plain(cotangent: Any) -> Any:
    if cotangent.dtype == jax.dtypes.float0:
        return jnp.zeros(cotangent.shape, jnp.float32)
    return cotangent


ONCE = "trying to differentiate twice a function that was marked with @once_differentiable"


@jax.custom_vjp
def _once(x: Any) -> Any:
    return x


def _refuse(*_: Any) -> Any:
    raise RuntimeError(ONCE)


_once.defvjp(lambda x: (x, None), _refuse)


def once_differentiable(function: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a `backward` that must not be differentiated itself: doing so raises RuntimeError."""

    @functools.wraps(function)
    def marked(ctx: Any, *grads: Any) -> Any:
        found = function(ctx, *grads)
        many = isinstance(found, (tuple, list))
        results = [_marked(g) for g in (found if many else [found])]
        return tuple(results) if many else results[0]

    return marked


def _marked(gradient: Any) -> Any:
    node = node_of(gradient) if isinstance(gradient, Handle) else None
    if node is None or not is_tracer(node.value) or not node.aval.inexact:
        return gradient
    return wrap(leaf_node(_once(node.value)))
