"""PyTorch's `nn.modules.fold`: the names that programs import from there."""

from jtoolbox.nn.fold import Fold, Unfold

__all__ = [
    "Fold",
    "Unfold",
]
