"""PyTorch's `nn.modules.linear`: the names that programs import from there."""

from jtoolbox.nn.lazy_layers import LazyLinear
from jtoolbox.nn.linear import Bilinear, Identity, Linear
from jtoolbox.nn.multihead_attention import NonDynamicallyQuantizableLinear

__all__ = [
    "Bilinear",
    "Identity",
    "LazyLinear",
    "Linear",
    "NonDynamicallyQuantizableLinear",
]
