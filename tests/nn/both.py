"""Tests that run on PyTorch and on jtoolbox: what holds for one must hold for the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

import jtoolbox as jt

both = pytest.mark.parametrize("lib", [torch, jt], ids=["torch", "jtoolbox"])


def error(action: Callable[[Any], Any], lib: Any) -> tuple[type, str]:
    """The type and text of the exception that an action raises with this library."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action(lib)
    return caught.type, str(caught.value)


def same_error(action: Callable[[Any], Any]) -> None:
    """Both libraries raise the same exception with the same words."""
    assert error(action, jt) == error(action, torch)


def same(action: Callable[[Any], Any]) -> None:
    """Both libraries give the same result."""
    assert action(jt) == action(torch)


def layer(lib: Any) -> Any:
    """A module with a parameter, an absent parameter, and buffers of both kinds."""

    class Layer(lib.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = lib.nn.Parameter(lib.ones((2, 3)))
            self.register_parameter("bias", None)
            self.register_buffer("mean", lib.zeros(3))
            self.register_buffer("scratch", lib.zeros(1), persistent=False)

        def forward(self, x: Any) -> Any:
            return x * self.weight + self.mean

        def extra_repr(self) -> str:
            return "2, 3"

    return Layer()


def net(lib: Any) -> Any:
    """A module of modules, one of them shared, with a parameter of its own."""

    class Net(lib.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = layer(lib)
            self.rest = lib.nn.Sequential(layer(lib), lib.nn.ModuleList([layer(lib)]))
            self.again = self.first
            self.scale = lib.nn.Parameter(lib.ones(1))
            self.nothing = None
            self.register_module("absent", None)

        def forward(self, x: Any) -> Any:
            return self.first(x) * self.scale

    return Net()
