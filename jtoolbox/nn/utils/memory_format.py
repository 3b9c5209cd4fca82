"""The memory layout of convolutions' weights, which is the compiler's affair here."""

from __future__ import annotations

from typing import Any, TypeVar

from jtoolbox.nn.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

M = TypeVar("M", bound=Module)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Returns the module as it is: XLA chooses how a weight lies in memory, and values stay."""
    return module


def convert_conv3d_weight_memory_format(module: M, memory_format: Any) -> M:
    """Returns the module as it is: XLA chooses how a weight lies in memory, and values stay."""
    return module
