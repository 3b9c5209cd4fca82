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


# Full name, the table of a module that holds a tensor, its name there, and the tensor.
Slot = tuple[str, dict[str, Any], str, Any]


def _slots(module: Any) -> Iterator[Slot]:
    """(full name, the dict that holds it, name in it, Tensor) of all parameters and buffers."""
    for prefix, inner in module.named_modules(remove_duplicate=False):
        for table in (inner._parameters, inner._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield f"{prefix}.{name}" if prefix else name, table, name, tensor


def _extra_places(
    module: Any, values: Mapping[str, Any], names: set[str]
) -> list[tuple[dict[str, Any], str, str]]:
    """(attributes of the module, name in them, full name) of values for what is no parameter.

    As PyTorch: the value is an attribute while the call runs, in the place of a Tensor if one is
    there. KeyError for an empty name, AttributeError for an unknown module, TypeError for an
    attribute that is no Tensor.
    """
    places = []
    for full in values:
        if full in names:
            continue
        *path, name = full.split(".")
        if not full or not name:
            raise KeyError('tensor name can\'t be empty string ""')
        inner = module
        for step in path:
            if step not in inner._modules:
                raise AttributeError(f"{type(inner).__name__} has no attribute `{step}`")
            inner = inner._modules[step]
        if name in inner.__dict__ and not is_handle(inner.__dict__[name]):
            raise TypeError(f"attribute `{name}` is not an instance of torch.Tensor")
        places.append((inner.__dict__, name, full))
    return places


def _check(
    module: Any, slots: list[Slot], values: Mapping[str, Any], tie_weights: bool, strict: bool
) -> None:
    """TypeError for values that are no tensors, ValueError for tied parameters that are given
    several, and with `strict` RuntimeError for names too many or too few."""
    names: dict[int, list[str]] = {}
    for name, _, _, tensor in slots:
        if name in values:
            names.setdefault(id(tensor), []).append(name)
    for value in values.values():
        if not isinstance(value, (jax.Array, np.ndarray)) and not is_handle(value):
            raise TypeError(f"{value} is not an instance of torch.Tensor")
    for tied in names.values() if tie_weights else ():
        if any(values[n] is not values[tied[0]] for n in tied):
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(tied)}, which are tied. "
                "Consider using tie_weights=False"
            )
    if not strict:
        return
    said = []
    known = {name for name, *_ in slots}
    if unexpected := [n for n in values if n not in known]:
        said.append(f"Unexpected key(s): {', '.join(map(repr, unexpected))}.")
    untied = [n for n, _, _, t in slots if not (tie_weights and id(t) in names)]
    if missing := [n for n in untied if n not in values]:
        said.append(f"Missing key(s): {', '.join(map(repr, missing))}.")
    if said:
        lines = "\n\t".join(said)
        kind = type(module).__name__
        raise RuntimeError(f"Error(s) in reparametrizing for {kind}:\n\t{lines}")


_ABSENT = object()


@contextmanager
def _swapped(
    module: Any, slots: list[Slot], values: Mapping[str, Any], tie_weights: bool
) -> Iterator[dict[str, Any]]:
    """Puts Tensors in the places of a module's parameters and buffers while the block runs."""
    tied = {id(tensor): values[name] for name, _, _, tensor in slots if name in values}
    extra = _extra_places(module, values, {name for name, *_ in slots})
    placed: dict[str, Any] = {}
    changed = []
    try:
        for full, table, name, tensor in slots:
            value = (
                values[full] if full in values else tied.get(id(tensor)) if tie_weights else None
            )
            if value is not None:
                changed.append((table, name, tensor))
                table[name] = placed[full] = value
        for table, name, full in extra:
            changed.append((table, name, table.get(name, _ABSENT)))
            table[name] = values[full]
        yield placed
    finally:
        for table, name, tensor in changed:
            if tensor is _ABSENT:
                del table[name]
            else:
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
    value, and a name that the module does not have is an attribute of it during the call;
    `strict=True` raises RuntimeError for both. ValueError for tied parameters given several values,
    unless `tie_weights=False`. `key` (a `jax.random` key or uint32[2]) feeds dropout and
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
                raise ValueError(
                    f"{sorted(repeated)} appeared in multiple dictionaries; behavior of functional "
                    "call is ambiguous"
                )
            values.update(part)
    slots = list(_slots(module))
    _check(module, slots, values, tie_weights, strict)
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    kwargs = kwargs or {}
    arrays = [
        v for v in jax.tree.leaves((values, args, kwargs), is_leaf=is_handle) if not is_handle(v)
    ]
    if not any(isinstance(v, (jax.Array, np.ndarray)) for v in arrays):
        with _swapped(module, slots, values, tie_weights) as placed:
            output = module(*args, **kwargs)
            return (output, _buffers(module, placed)) if return_buffers else output
    words = None if key is None else jax.random.key_data(key) if _is_key(key) else key
    with TensorTrace(words, constant=not any(is_tracer(v) for v in arrays)):
        given = {name: v if is_handle(v) else wrap(leaf_node(v)) for name, v in values.items()}
        # What is not given is a constant; a buffer written during the call must not keep a tracer.
        tied = {id(t) for name, _, _, t in slots if tie_weights and name in given}
        rest = {
            name: wrap(leaf_node(value_of(node_of(t)), node_of(t).aval.device))
            for name, _, _, t in slots
            if name not in given and id(t) not in tied
        }
        with _swapped(module, slots, {**rest, **given}, tie_weights) as placed:
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
