"""`torch.func`: modules and Tensor functions as pure functions, and JAX's transformations of them.

Functions may be written with Tensors or with arrays. Called with Tensors a transformed function
returns Tensors, called with arrays it returns arrays, so that it composes with `jax.jit` and the
rest of JAX.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine.graph import Handle, is_tracer, leaf_node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.engine.trace import TensorTrace
from jtoolbox.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "tree",
    "value_and_grad",
    "vjp",
    "vmap",
]


def _is_handle(value: Any) -> bool:
    return isinstance(value, Handle)


def to_arrays(tree: Any) -> Any:
    """The same structure with each Tensor replaced by its array; NumPy arrays stay."""
    return jax.tree.map(
        lambda v: value_of(node_of(v)) if _is_handle(v) else v, tree, is_leaf=_is_handle
    )


def to_tensors(tree: Any) -> Any:
    """The same structure with each array (or tracer) replaced by a Tensor that holds it."""

    def convert(value: Any) -> Any:
        return wrap(leaf_node(value)) if isinstance(value, (jax.Array, np.ndarray)) else value

    return jax.tree.map(convert, tree, is_leaf=_is_handle)


def _slots(module: Any) -> Iterator[tuple[str, dict[str, Any], str, Any]]:
    """(full name, the dict that holds it, name in it, Tensor) of all parameters and buffers."""
    for prefix, inner in module.named_modules(remove_duplicate=False):
        for table in (inner._parameters, inner._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield f"{prefix}.{name}" if prefix else name, table, name, tensor


@contextmanager
def _swapped(
    module: Any, values: Mapping[str, Any], tie_weights: bool, strict: bool
) -> Iterator[dict[str, Any]]:
    """Puts Tensors in the places of a module's parameters and buffers while the block runs."""
    slots = list(_slots(module))
    names = {name for name, *_ in slots}
    unexpected = [n for n in values if n not in names]
    if unexpected:
        raise RuntimeError(
            f"Error(s) in functional_call: unexpected key(s): {', '.join(map(repr, unexpected))}"
        )
    if strict:
        missing = [n for n in names if n not in values]
        if missing:
            raise RuntimeError(
                "Error(s) in functional_call: missing key(s): "
                f"{', '.join(sorted(map(repr, missing)))}"
            )
    given = {id(tensor): values[name] for name, _, _, tensor in slots if name in values}
    placed: dict[str, Any] = {}
    changed = []
    try:
        for full, table, name, tensor in slots:
            value = (
                values[full] if full in values else given.get(id(tensor)) if tie_weights else None
            )
            if value is not None:
                changed.append((table, name, tensor))
                table[name] = placed[full] = value
        yield placed
    finally:
        for table, name, tensor in changed:
            table[name] = tensor


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
    key: Any = None,
    return_buffers: bool = False,
) -> Any:
    """Calls a module with these values in place of its parameters and buffers, which stay.

    With arrays (or tracers) as values it is a pure function that returns arrays, for `jax.grad`,
    `jax.jit` and the rest:

        params = jtoolbox.tree(model)
        jax.grad(lambda p: loss(functional_call(model, p, x), y))(params)

    With Tensors as values it is an ordinary recorded call. What is not given keeps the module's
    value; `strict=True` raises for that. `key` (a `jax.random` key or uint32[2]) feeds dropout and
    other random operations; without one they draw from the default generator, which raises under a
    JAX transformation. `return_buffers=True` returns (output, buffers after the call).
    """
    if isinstance(parameter_and_buffer_dicts, Mapping):
        values = dict(parameter_and_buffer_dicts)
    else:
        values = {}
        for part in parameter_and_buffer_dicts:
            repeated = values.keys() & part.keys()
            if repeated:
                raise ValueError(f"{sorted(repeated)[0]} appears in more than one dictionary")
            values.update(part)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    kwargs = kwargs or {}
    arrays = [
        v for v in jax.tree.leaves((values, args, kwargs), is_leaf=_is_handle) if not _is_handle(v)
    ]
    if not any(isinstance(v, (jax.Array, np.ndarray)) for v in arrays):
        with _swapped(module, values, tie_weights, strict) as placed:
            output = module(*args, **kwargs)
            return (output, _buffers(module, placed)) if return_buffers else output
    words = None if key is None else jax.random.key_data(key) if _is_key(key) else key
    with TensorTrace(words, constant=not any(is_tracer(v) for v in arrays)):
        given = {name: v if _is_handle(v) else wrap(leaf_node(v)) for name, v in values.items()}
        # What is not given is a constant; a buffer written during the call must not keep a tracer.
        rest = {
            name: wrap(leaf_node(value_of(node_of(t)), node_of(t).aval.device))
            for name, table, _, t in _slots(module)
            if name not in given
            and not (tie_weights and any(t is o for n, _, _, o in _slots(module) if n in given))
        }
        with _swapped(module, {**rest, **given}, tie_weights, False) as placed:
            if strict and rest:
                raise RuntimeError(f"Error(s) in functional_call: missing key(s): {sorted(rest)}")
            output = to_arrays(module(*to_tensors(args), **to_tensors(kwargs)))
            return (output, to_arrays(_buffers(module, placed))) if return_buffers else output


def _buffers(module: Any, placed: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name, _ in module.named_buffers()]
    return {n: placed[n] if n in placed else module.get_buffer(n) for n in names}


def _is_key(key: Any) -> bool:
    return isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def tree(module: Any, buffers: bool = True) -> dict[str, jax.Array]:
    """The parameters (and buffers) of a module as a flat dict of arrays, to be used with
    `functional_call`. A snapshot: write it back with `module.load_state_dict`.

    int64 buffers become int32 where JAX's x64 mode is off, as JAX programs would have them.
    """
    found = dict(module.named_parameters())
    if buffers:
        found.update(module.named_buffers())
    return {name: _ordinary(tensor.array) for name, tensor in found.items()}


def _ordinary(array: jax.Array) -> jax.Array:
    """A copy in the type that JAX's present mode would give it."""
    dtype = dtypes.canonical(array.dtype)
    with jax.enable_x64(True):
        return jnp.array(array, dtype, copy=True)


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Parameters and buffers of equal modules, stacked along a new leading axis, for `vmap`."""
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    if any(m.training != models[0].training for m in models):
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )

    def stacked(items: list[dict[str, Any]], grad: bool) -> dict[str, Any]:
        with jax.enable_x64(True):
            arrays = {n: jnp.stack([d[n].array for d in items]) for n in items[0]}
        out = {n: wrap(leaf_node(a)) for n, a in arrays.items()}
        for name, tensor in out.items():
            tensor.requires_grad_(grad and items[0][name].requires_grad)
        return out

    return (
        stacked([dict(m.named_parameters()) for m in models], True),
        stacked([dict(m.named_buffers()) for m in models], False),
    )


def on_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of Tensors (or arrays) as a function of arrays, for JAX to transform.

    `tensors` says whether the function is given Tensors: yes, unless the user called with arrays.
    """

    @functools.wraps(function)
    def pure(tensors: bool, *args: Any, **kwargs: Any) -> Any:
        with TensorTrace():
            if tensors:
                args, kwargs = to_tensors(args), to_tensors(kwargs)
            return to_arrays(function(*args, **kwargs))

    return pure


def _transformed(
    make: Callable[[Callable[..., Any]], Callable[..., Any]], function: Callable[..., Any]
) -> Any:
    """`make(function)` as a function of Tensors or of arrays."""
    pure = on_arrays(function)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        leaves = jax.tree.leaves((args, kwargs), is_leaf=_is_handle)
        tensors = any(_is_handle(v) for v in leaves)
        outer = mode.functional is not None
        transformed = make(functools.partial(pure, tensors))
        with jax.enable_x64(True) if tensors and not outer else _nothing():
            result = transformed(*to_arrays(args), **to_arrays(kwargs))
        return to_tensors(result) if tensors else result

    return call


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _scalar_loss(function: Callable[..., Any], has_aux: bool) -> Callable[..., Any]:
    def checked(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        loss = result[0] if has_aux else result
        if jnp.size(loss) != 1:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor "
                f"with {jnp.ndim(loss)} dims. Maybe you wanted to use the vjp or jacrev APIs "
                "instead?"
            )
        loss = jnp.reshape(loss, ())
        return (loss, result[1]) if has_aux else loss

    return checked


def grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """The gradient of a function that returns one number, by its arguments `argnums`."""
    return _transformed(
        lambda f: jax.grad(_scalar_loss(f, has_aux), argnums, has_aux=has_aux), func
    )


def value_and_grad(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """(value, gradient) of a function, as `jax.value_and_grad`."""
    return _transformed(
        lambda f: jax.value_and_grad(_scalar_loss(f, has_aux), argnums, has_aux=has_aux), func
    )


def grad_and_value(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """(gradient, value) of a function, in PyTorch's order."""

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        both = jax.value_and_grad(_scalar_loss(f, has_aux), argnums, has_aux=has_aux)

        def call(*args: Any, **kwargs: Any) -> Any:
            value, gradient = both(*args, **kwargs)
            return gradient, value

        return call

    return _transformed(make, func)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function applied to each slice of its arguments along `in_dims`, at once.

    `randomness` is accepted; random operations need a key of their own for each slice here, as in
    JAX. `chunk_size` is not supported: NotImplementedError.
    """
    if chunk_size is not None:
        raise NotImplementedError(
            "vmap(chunk_size=...): use jax.lax.map(f, xs, batch_size=...) on arrays"
        )
    return _transformed(lambda f: jax.vmap(f, in_dims, out_dims), func)


def jacrev(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, *, has_aux: bool = False, **_: Any
) -> Callable[..., Any]:
    """The Jacobian by reverse mode: one pass for each output."""
    return _transformed(lambda f: jax.jacrev(f, argnums, has_aux=has_aux), func)


def jacfwd(
    func: Callable[..., Any], argnums: int | tuple[int, ...] = 0, has_aux: bool = False, **_: Any
) -> Callable[..., Any]:
    """The Jacobian by forward mode: one pass for each input."""
    return _transformed(lambda f: jax.jacfwd(f, argnums, has_aux=has_aux), func)


def hessian(func: Callable[..., Any], argnums: int | tuple[int, ...] = 0) -> Callable[..., Any]:
    """The second derivatives: forward mode over reverse mode."""
    return _transformed(lambda f: jax.hessian(f, argnums), func)


def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    has_aux: bool = False,
) -> Any:
    """(value, directional derivative along `tangents`), and aux if `has_aux`."""

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda p, t: jax.jvp(f, p, t, has_aux=has_aux)

    return _transformed(make, func)(tuple(primals), tuple(tangents))


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(value, function from a cotangent to the gradients of `primals`), and aux if `has_aux`."""
    tensors = any(_is_handle(v) for v in jax.tree.leaves(primals, is_leaf=_is_handle))
    pure = functools.partial(on_arrays(func), tensors)
    with jax.enable_x64(True) if tensors else _nothing():
        value, pull, *aux = jax.vjp(pure, *to_arrays(primals), has_aux=has_aux)

    def pullback(*cotangents: Any) -> Any:
        with jax.enable_x64(True) if tensors else _nothing():
            given = to_arrays(cotangents)
            result = pull(given[0] if len(given) == 1 else given)
        return to_tensors(result) if tensors else result

    parts = to_tensors((value, *aux)) if tensors else (value, *aux)
    return (parts[0], pullback, *parts[1:])


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """(value, function from tangents to the derivative along them), as `jax.linearize`.

    The function is linear and may be called many times; the value is computed once.
    """
    tensors = any(_is_handle(v) for v in jax.tree.leaves(primals, is_leaf=_is_handle))
    pure = functools.partial(on_arrays(func), tensors)
    with jax.enable_x64(True) if tensors else _nothing():
        value, push = jax.linearize(pure, *to_arrays(primals))

    def pushforward(*tangents: Any) -> Any:
        with jax.enable_x64(True) if tensors else _nothing():
            result = push(*to_arrays(tangents))
        return to_tensors(result) if tensors else result

    return (to_tensors(value) if tensors else value), pushforward


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """The function as it is: arrays never change here, in-place operations only rebind tensors."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}. "
            "Valid options are 'mutations' and 'mutations_and_views'."
        )
    return func


def replace_all_batch_norm_modules_(root: Any) -> Any:
    """Lets every BatchNorm layer in a module work without running statistics, in place.

    They then normalise each batch by itself, and `vmap` and `grad` meet no written buffer.
    """
    for module in root.modules():
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm)):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
