"""Making modules without drawing their initial values, and requests about memory layouts."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from jtoolbox.nn.module import Module

__all__ = [
    "convert_conv2d_weight_memory_format",
    "convert_conv3d_weight_memory_format",
    "skip_init",
]

M = TypeVar("M", bound=Module)


def skip_init(module_cls: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A module whose initial values do not matter, since others will be loaded.

    PyTorch leaves the values undefined; here they are the usual ones. RuntimeError unless
    `module_cls` is a Module class that takes `device`.
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    return module_cls(*args, **kwargs)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """The module as it is: layouts in memory are XLA's business."""
    return module


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """The module as it is: layouts in memory are XLA's business."""
    return module
