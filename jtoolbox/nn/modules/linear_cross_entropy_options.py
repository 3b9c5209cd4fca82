"""PyTorch's `nn.modules.linear_cross_entropy_options`: the name that programs import."""

from jtoolbox.nn.functional.linear_cross_entropy import LinearCrossEntropyOptions

__all__ = [
    "LinearCrossEntropyOptions",
]
