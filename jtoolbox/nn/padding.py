"""Layers that extend the last one, two or three dimensions at both ends."""

from __future__ import annotations

from jtoolbox.nn import functional as F
from jtoolbox.nn.functional.windows import Ints
from jtoolbox.nn.module import Module
from jtoolbox.nn.sizes import ntuple
from jtoolbox.tensor import Tensor

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _Pad(Module):
    """`padding` is one number, or (before, after) of the last dimension, then of the next to it."""

    _dims: int
    _mode: str

    def __init__(self, padding: Ints):
        super().__init__()
        self.padding = ntuple(padding, 2 * self._dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    _mode = "constant"

    def __init__(self, padding: Ints, value: float):
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Fills both ends of the last dimension with `value`: input (*, W), padding (left, right)."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Fills with `value`: input (*, H, W), padding (left, right, top, bottom)."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Fills with `value`: input (*, D, H, W), padding (left, right, top, bottom, front, back)."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Ints):
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPad):
    """Fills both ends of the last dimension with zeros: input (*, W), padding (left, right)."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Fills with zeros: input (*, H, W), padding (left, right, top, bottom)."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Fills with zeros: input (*, D, H, W), padding (left, right, top, bottom, front, back)."""

    _dims = 3


class _ReflectionPad(_Pad):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPad):
    """Mirrors the input at its borders: input (N, C, W) or (C, W), padding (left, right)."""

    _dims = 1


class ReflectionPad2d(_ReflectionPad):
    """Mirrors the input at its borders: (N, C, H, W) or (C, H, W), padding from left to bottom."""

    _dims = 2


class ReflectionPad3d(_ReflectionPad):
    """Mirrors the input at its borders: (N, C, D, H, W) or (C, D, H, W), from left to back."""

    _dims = 3


class _ReplicationPad(_Pad):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPad):
    """Repeats the border elements: input (N, C, W) or (C, W), padding (left, right)."""

    _dims = 1


class ReplicationPad2d(_ReplicationPad):
    """Repeats the border elements: (N, C, H, W) or (C, H, W), padding from left to bottom."""

    _dims = 2


class ReplicationPad3d(_ReplicationPad):
    """Repeats the border elements: (N, C, D, H, W) or (C, D, H, W), from left to back."""

    _dims = 3


class _CircularPad(_Pad):
    _mode = "circular"

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim - self._dims not in (1, 2):
            raise ValueError(
                f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.ndim}D input)"
            )
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """Continues at the other end: input (N, C, W) or (C, W), padding (left, right)."""

    _dims = 1


class CircularPad2d(_CircularPad):
    """Continues at the other end: (N, C, H, W) or (C, H, W), padding from left to bottom."""

    _dims = 2


class CircularPad3d(_CircularPad):
    """Continues at the other end: (N, C, D, H, W) or (C, D, H, W), from left to back."""

    _dims = 3
