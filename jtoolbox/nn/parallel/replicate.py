"""A module once for each device."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, TypeVar

from jtoolbox.nn.module import Module
from jtoolbox.nn.parallel.scatter_gather import _place
from jtoolbox.ops.conversion import to

__all__ = ["replicate"]

M = TypeVar("M", bound=Module)


def replicate(network: M, devices: Sequence[Any], detach: bool = False) -> list[M]:
    """Copies of a module for several devices; on its own device they share its parameters.

    RuntimeError when gradients would have to pass between devices, unless `detach`: use
    `nn.DataParallel`, which places one module on all of them.
    """
    return [_copied(network, _place(d), detach, {}) for d in devices]


def _copied(module: Any, device: Any, detach: bool, memo: dict[int, Any]) -> Any:
    if id(module) in memo:
        return memo[id(module)]
    twin = memo[id(module)] = copy.copy(module)
    twin.__dict__ = dict(module.__dict__)

    def moved(tensor: Any) -> Any:
        return None if tensor is None else to(tensor.detach() if detach else tensor, device)

    twin._parameters = {n: moved(p) for n, p in module._parameters.items()}
    twin._buffers = {n: moved(b) for n, b in module._buffers.items()}
    twin._modules = {n: None if m is None else _copied(m, device, detach, memo)
                     for n, m in module._modules.items()}  # fmt: skip
    return twin
