"""All parameters as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from jtoolbox.nn.registry import type_name
from jtoolbox.ops.joining import cat
from jtoolbox.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]

_DEVICES = (
    "Found two parameters on different devices, this is currently not supported. "
    "Move the model to one device with .to(device): got {first} and {other}."
)


def _on_one_device(parameters: Iterable[Tensor]) -> list[Tensor]:
    parameters = list(parameters)
    for param in parameters[1:]:
        if param.device != parameters[0].device:
            raise TypeError(_DEVICES.format(first=parameters[0].device, other=param.device))
    return parameters


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters, in order, as one vector; gradients flow through it.

    Raises TypeError when the parameters lie on different devices.
    """
    return cat([param.view(-1) for param in _on_one_device(parameters)])


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Cuts a vector into the parameters' values, in order.

    Raises TypeError for anything but a Tensor, and for parameters on different devices.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type_name(vec)}")
    start = 0
    for param in _on_one_device(parameters):
        size = math.prod(param.shape)
        param.data = vec.narrow(0, start, size).view_as(param).data
        start += size
