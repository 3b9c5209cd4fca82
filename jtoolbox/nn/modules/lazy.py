"""PyTorch's `nn.modules.lazy`: the names that programs import from there."""

from jtoolbox.nn.lazy import LazyModuleMixin

__all__ = [
    "LazyModuleMixin",
]
