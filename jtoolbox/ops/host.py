"""Operations whose result has a shape that depends on values: computed at once, on the host."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine.graph import Handle, is_tracer, leaf_node
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import node_of, value_of, wrap

__all__ = ["host_value", "is_tensor", "like", "needs_graph", "on_host"]

_TRACED = (
    "{name}: the shape of the result depends on values, which a traced function (jit, grad, vmap) "
    "does not have. Use a form of fixed shape, such as where(mask, a, b), or call it outside."
)


def host_value(x: Any, name: str) -> np.ndarray:
    """The values of a Tensor, array or list; runs what is pending. RuntimeError for a tracer."""
    value = value_of(node_of(x)) if isinstance(x, Handle) else x
    if is_tracer(value):
        raise RuntimeError(_TRACED.format(name=name))
    return np.asarray(value)


def like(x: Any, value: np.ndarray) -> Any:
    """A host result as what `x` is: a Tensor on the device of `x`, or an array."""
    if not isinstance(x, Handle):
        return jnp.asarray(value)
    device = node_of(x).aval.device
    return wrap(leaf_node(value if device is None else jax.device_put(value, device), device))


def is_tensor(x: Any) -> bool:
    """Whether `x` is a Tensor, rather than an array or a number."""
    return isinstance(x, Handle)


def needs_graph(x: Any) -> bool:
    """Whether results made from `x` must be recorded: gradients flow to it, or JAX traces it."""
    if isinstance(x, Handle):
        node = node_of(x)
        return (node.requires_grad and mode.grad) or is_tracer(node.value)
    return is_tracer(x)


def on_host(x: Any) -> bool:
    """Whether the values of `x` lie in the host's memory, so that reading them copies nothing."""
    if isinstance(x, Handle):
        x = value_of(node_of(x))
    return isinstance(x, np.ndarray) or all(d.platform == "cpu" for d in x.devices())
