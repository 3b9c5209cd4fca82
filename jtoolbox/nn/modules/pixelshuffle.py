"""PyTorch's `nn.modules.pixelshuffle`: the names that programs import from there."""

from jtoolbox.nn.pixelshuffle import PixelShuffle, PixelUnshuffle

__all__ = [
    "PixelShuffle",
    "PixelUnshuffle",
]
