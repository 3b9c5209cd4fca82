"""PyTorch's `nn.modules.flatten`: the names that programs import from there."""

from jtoolbox.nn.flatten import Flatten, Unflatten

__all__ = [
    "Flatten",
    "Unflatten",
]
