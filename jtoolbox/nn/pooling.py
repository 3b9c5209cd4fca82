"""Pooling layers: the greatest element, the mean or the p-norm of every window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn.functional.windows import Ints
from jtoolbox.nn.module import Module
from jtoolbox.nn.sizes import ntuple
from jtoolbox.tensor import Tensor

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _Pool(Module):
    _function: Callable[..., Any]


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        dilation: Ints = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Any:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return type(self)._function(input, *window, self.ceil_mode, self.return_indices)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The greatest element of every window: (N, C, L) or (C, L) to (N, C, L').

    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1, rounded up instead of down
    with `ceil_mode`. `stride` is `kernel_size` unless given; the padding never wins. With
    `return_indices` the result is (values, positions), as `MaxUnpool1d` takes them.

        >>> nn.MaxPool1d(3, stride=2)(torch.randn(20, 16, 50)).shape
        torch.Size([20, 16, 24])
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The greatest element of every window: (N, C, H, W) or (C, H, W) to (N, C, H', W').

    Settings are numbers or one per dimension, with the meaning that they have in `MaxPool1d`.
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The greatest element of every window: (N, C, D, H, W) or (C, D, H, W) to (N, C, D', H', W').

    Settings are numbers or one per dimension, with the meaning that they have in `MaxPool1d`.
    """

    _function = staticmethod(F.max_pool3d)


class _AvgPool(_Pool):
    kernel_size: Any
    stride: Any
    padding: Any

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPool):
    """The mean of every window: (N, C, L) or (C, L) to (N, C, L').

    L' = (L + 2 padding - kernel_size) // stride + 1, rounded up instead of down with `ceil_mode`.
    `stride` is `kernel_size` unless given. With `count_include_pad` the padding's zeros count.
    """

    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__()
        self.kernel_size = ntuple(kernel_size, 1)
        self.stride = ntuple(kernel_size if stride is None else stride, 1)
        self.padding = ntuple(padding, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding)
        return F.avg_pool1d(input, *window, self.ceil_mode, self.count_include_pad)


class _AvgPoolNd(_AvgPool):
    def __init__(
        self,
        kernel_size: Ints,
        stride: Ints | None = None,
        padding: Ints = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding, self.ceil_mode)
        return type(self)._function(input, *window, self.count_include_pad, self.divisor_override)


class AvgPool2d(_AvgPoolNd):
    """The mean of every window: (N, C, H, W) or (C, H, W) to (N, C, H', W').

    Settings are numbers or one per dimension, with the meaning that they have in `AvgPool1d`;
    `divisor_override` divides every window's sum instead of its number of elements.
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolNd):
    """The mean of every window: (N, C, D, H, W) or (C, D, H, W) to (N, C, D', H', W').

    Settings as in `AvgPool2d`.
    """

    _function = staticmethod(F.avg_pool3d)


class _LPPool(_Pool):
    def __init__(
        self,
        norm_type: float,
        kernel_size: Ints,
        stride: Ints | None = None,
        ceil_mode: bool = False,
    ):
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        settings = (float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)
        return type(self)._function(input, *settings)

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """(sum x^p)^(1/p) of every window: (N, C, L) or (C, L) to (N, C, L'). p is `norm_type`."""

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """(sum x^p)^(1/p) of every window: (N, C, H, W) or (C, H, W) to (N, C, H', W')."""

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """(sum x^p)^(1/p) of every window: (N, C, D, H, W) or (C, D, H, W) to (N, C, D', H', W')."""

    _function = staticmethod(F.lp_pool3d)


class _AdaptiveAvgPool(_Pool):
    def __init__(self, output_size: Any):
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        return type(self)._function(input, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """The mean of `output_size` windows that divide (N, C, L) or (C, L) as evenly as they can."""

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """The mean of windows that divide a plane as evenly as they can: (N, C, *output_size).

    Input (N, C, H, W) or (C, H, W). `output_size` is one number or two; None keeps a size.

        >>> nn.AdaptiveAvgPool2d((5, None))(torch.randn(1, 64, 10, 9)).shape
        torch.Size([1, 64, 5, 9])
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """The mean of windows that divide a volume as evenly as they can: (N, C, *output_size).

    Input (N, C, D, H, W) or (C, D, H, W). `output_size` is one number or three; None keeps a size.
    """

    _function = staticmethod(F.adaptive_avg_pool3d)


class _AdaptiveMaxPool(_AdaptiveAvgPool):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The greatest element of `output_size` windows over L: (N, C, L) or (C, L)."""

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The greatest element of windows that divide a plane: sizes as in `AdaptiveAvgPool2d`."""

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The greatest element of windows that divide a volume: sizes as in `AdaptiveAvgPool3d`."""

    _function = staticmethod(F.adaptive_max_pool3d)


class _MaxUnpool(_Pool):
    _dims: int

    def __init__(self, kernel_size: Ints, stride: Ints | None = None, padding: Ints = 0):
        super().__init__()
        self.kernel_size = ntuple(kernel_size, self._dims)
        self.stride = ntuple(kernel_size if stride is None else stride, self._dims)
        self.padding = ntuple(padding, self._dims)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        window = (self.kernel_size, self.stride, self.padding)
        return type(self)._function(input, indices, *window, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Puts the results of `MaxPool1d` back to their positions, zeros elsewhere.

    The call takes values, positions, and `output_size` where several sizes give the same result.
    """

    _dims = 1
    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """Puts the results of `MaxPool2d` back to their positions: see `MaxUnpool1d`."""

    _dims = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """Puts the results of `MaxPool3d` back to their positions: see `MaxUnpool1d`."""

    _dims = 3
    _function = staticmethod(F.max_unpool3d)
