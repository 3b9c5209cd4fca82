"""Parameters and buffers: Tensors that a module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.tensor import Tensor, from_host

__all__ = ["Buffer", "Parameter"]


def _empty() -> Tensor:
    return from_host(np.zeros(0, dtypes.default_float()))


class Parameter(Tensor):
    """A Tensor that a module trains.

    Assigned to an attribute of a `Module`, it appears in `parameters()` and `state_dict()`. It
    shares its value with `data`, and requires grad unless told otherwise, whatever the grad mode.

        self.scale = nn.Parameter(torch.ones(features))
    """

    def __init__(self, data: Any = None, requires_grad: bool = True):
        super().__init__(_empty() if data is None else data)
        self.requires_grad = requires_grad

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        twin = super().__deepcopy__(memo)
        twin.grad = None
        return twin

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A Tensor that is part of a module's state but is not trained.

    Assigned to an attribute of a `Module`, it is registered as by `register_buffer`.
    """

    persistent: bool

    def __init__(self, data: Any = None, *, persistent: bool = True):
        super().__init__(_empty() if data is None else data)
        self.persistent = persistent
