"""`torch.func`: modules and Tensor functions as pure functions, and JAX's transformations of them.

Functions may be written with Tensors or with arrays. Called with Tensors a transformed function
returns Tensors, called with arrays it returns arrays, so that it composes with `jax.jit` and the
rest of JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.derivatives import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    vjp,
)
from jtoolbox.engine.graph import is_tracer, leaf_node
from jtoolbox.engine.record import node_of, value_of, wrap
from jtoolbox.engine.trace import TensorTrace
from jtoolbox.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, SyncBatchNorm
from jtoolbox.tracing import is_handle, to_arrays, to_tensors
from jtoolbox.vectorize import vmap

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
    elif not isinstance(parameter_and_buffer_dicts, (list, tuple)):
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(parameter_and_buffer_dicts)}"
        )
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
        v for v in jax.tree.leaves((values, args, kwargs), is_leaf=is_handle) if not is_handle(v)
    ]
    if not any(isinstance(v, (jax.Array, np.ndarray)) for v in arrays):
        with _swapped(module, values, tie_weights, strict) as placed:
            output = module(*args, **kwargs)
            return (output, _buffers(module, placed)) if return_buffers else output
    words = None if key is None else jax.random.key_data(key) if _is_key(key) else key
    with TensorTrace(words, constant=not any(is_tracer(v) for v in arrays)):
        given = {name: v if is_handle(v) else wrap(leaf_node(v)) for name, v in values.items()}
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
