"""PyTorch's `nn.modules.channelshuffle`: the names that programs import from there."""

from jtoolbox.nn.pixelshuffle import ChannelShuffle

__all__ = [
    "ChannelShuffle",
]
