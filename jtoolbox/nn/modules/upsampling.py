"""PyTorch's `nn.modules.upsampling`: the names that programs import from there."""

from jtoolbox.nn.upsampling import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d

__all__ = [
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]
