"""Limiting gradients before the optimizer's step.

NOTE: inside the step. Gradients are usually still pending when they are clipped, and nothing here
asks for their values (`error_if_nonfinite` does): the clipping becomes part of the program that
`optimizer.step()` runs. For the same reason there is no `no_grad` here, whose end may run what was
written inside; the gradients are detached instead.
"""

from __future__ import annotations

import math
import types
import warnings
import weakref
from collections.abc import Iterable
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Node
from jtoolbox.engine.record import wrap
from jtoolbox.ops.joining import stack
from jtoolbox.tensor import Tensor, from_host

__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
]

Tensors = Tensor | Iterable[Tensor]

_NON_FINITE = (
    "The total norm of order {order} for gradients from `parameters` is non-finite, so it cannot "
    "be clipped. To disable this error and scale the gradients by the non-finite norm anyway, set "
    "`error_if_nonfinite=False`"
)
_EMPTY = "`parameters` is an empty generator, no gradient clipping will occur."


def _listed(tensors: Tensors) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _with_grad(parameters: Tensors) -> list[Any]:
    return [p for p in _listed(parameters) if p._grad is not None]


def _grad(param: Any) -> Any:
    """The gradient as a Tensor without history; `.grad` stays one that nobody has looked at."""
    node = param._grad
    if node.__class__ is not Node:
        return param.grad.detach()
    tensor = wrap(node)
    node.owner = weakref.ref(param)
    return tensor.detach() if node.requires_grad else tensor


def _set(param: Any, result: Any) -> None:
    """Gives a parameter's gradient a new value, in the handle that the user may hold."""
    if param._grad.__class__ is Node:
        param._grad = node = result._node
        node.owner = weakref.ref(param)
    else:
        param.grad._assign(result)


def _norm(x: Any, order: float) -> Any:
    """The vector norm of all elements."""
    x = (x.detach() if x.requires_grad else x).abs()
    if order == math.inf:
        return x.amax() if math.prod(x.shape) else x.sum()
    if order == -math.inf:
        return x.amin()
    if order == 0:
        return (x != 0).sum().to(x.dtype)
    if order == 1:
        return x.sum()
    if order == 2:
        return (x * x).sum().sqrt()
    return (x**order).sum() ** (1.0 / order)


def get_total_norm(
    tensors: Tensors,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors' elements together, as if they were one vector.

    `norm_type` is the order, `inf` included. With `error_if_nonfinite`, a NaN or infinite norm
    raises RuntimeError; finding out ends the step's program. `foreach` changes nothing here.
    """
    tensors = _listed(tensors)
    order = float(norm_type)
    if not tensors:
        return from_host(np.zeros((), dtypes.default_float()))
    norms = [_norm(t, order) for t in tensors]
    device = norms[0].device
    total = _norm(stack([n.to(device) for n in norms]), order)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(_NON_FINITE.format(order=order))
    return total


def clip_grads_with_norm_(
    parameters: Tensors, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Multiplies all gradients in place by `min(1, max_norm / (total_norm + 1e-6))`."""
    factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
    for p in _with_grad(parameters):
        grad = _grad(p)
        _set(p, grad * factor.to(grad.device).to(grad.dtype))


def clip_grad_norm_(
    parameters: Tensors,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales all gradients down in place so that their total norm is at most `max_norm`.

    Returns the norm before clipping. The arguments are those of `get_total_norm`.

        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    """
    generator = isinstance(parameters, types.GeneratorType)
    parameters = _listed(parameters)
    if generator and not parameters:
        warnings.warn(_EMPTY, stacklevel=2)
    total_norm = get_total_norm(
        [_grad(p) for p in _with_grad(parameters)], norm_type, error_if_nonfinite, foreach
    )
    clip_grads_with_norm_(parameters, max_norm, total_norm, foreach)
    return total_norm


def clip_grad_norm(*args: Any, **kwargs: Any) -> Tensor:
    """The deprecated name of `clip_grad_norm_`."""
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(*args, **kwargs)


def clip_grad_value_(parameters: Tensors, clip_value: float, foreach: bool | None = None) -> None:
    """Limits every element of all gradients in place to [-clip_value, clip_value]."""
    limit = float(clip_value)
    for p in _with_grad(parameters):
        _set(p, _grad(p).clamp(min=-limit, max=limit))
