"""PyTorch's `nn.modules.adaptive`: the names that programs import from there."""

from jtoolbox.nn.adaptive import AdaptiveLogSoftmaxWithLoss

__all__ = [
    "AdaptiveLogSoftmaxWithLoss",
]
