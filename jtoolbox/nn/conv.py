"""Convolutions and transposed convolutions over one to three dimensions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn import init
from jtoolbox.nn.functional.windows import Ints
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.nn.sizes import ntuple
from jtoolbox.ops.creation import empty
from jtoolbox.tensor import Tensor

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class ConvNd(Module):
    """What all convolutions share: settings, parameters, and their initial values.

    `weight` and `bias` start uniform within ±1/sqrt(k), where k is the number of weights that each
    output element meets (of `weight` in the second and all further dimensions).
    """

    _dims: int
    _function: Callable[..., Tensor]
    transposed = False
    weight: Tensor
    bias: Tensor | None

    def _set_up(
        self,
        channels: tuple[int, int],
        kernel_size: Ints,
        stride: Ints,
        padding: Any,
        dilation: Ints,
        output_padding: Ints,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        n = self._dims
        self.in_channels, self.out_channels = channels
        self.kernel_size = ntuple(kernel_size, n)
        self.stride = ntuple(stride, n)
        self.padding = padding if isinstance(padding, str) else ntuple(padding, n)
        self.dilation = ntuple(dilation, n)
        self.output_padding = ntuple(output_padding, n)
        self.groups = groups
        self.padding_mode = padding_mode
        self._check_settings()
        self.weight = Parameter(empty(self._weight_shape(), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(self.out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _weight_shape(self) -> tuple[int, ...]:
        channels = (self.out_channels, self.in_channels)
        first, second = channels[::-1] if self.transposed else channels
        return (first, second // self.groups, *self.kernel_size)

    def _check_settings(self) -> None:
        if self.groups <= 0:
            raise ValueError(f"groups must be a positive integer, got {self.groups}")
        for name in ("in_channels", "out_channels"):
            if getattr(self, name) % self.groups:
                raise ValueError(
                    f"{name} must be divisible by groups, got {getattr(self, name)} channels and "
                    f"{self.groups} groups"
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {self.padding!r}, should be one of 'same', 'valid'"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ValueError(
                    "padding='same' is not supported for strided convolutions: give the padding as "
                    "a number"
                )
        if self.padding_mode not in PADDING_MODES:
            raise ValueError(
                f"padding_mode must be one of {PADDING_MODES}, but got "
                f"padding_mode='{self.padding_mode}'"
            )

    def reset_parameters(self) -> None:
        """Draws new values for weight and bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        fan_in = math.prod(self.weight.shape[1:])
        if self.bias is not None and fan_in:
            init.uniform_(self.bias, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        )
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (usual,) * len(value):
                text += f", {name}={value}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class _Convolution(ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: str | Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        channels = (in_channels, out_channels)
        settings = (kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode)
        self._set_up(channels, *settings, device, dtype)

    def _border(self) -> list[int]:
        """The padding as `F.pad` takes it: (before, after), the last dimension first."""
        if not isinstance(self.padding, str):
            return [p for p in reversed(self.padding) for _ in range(2)]
        if self.padding == "valid":
            return [0, 0] * self._dims
        totals = [d * (k - 1) for k, d in zip(self.kernel_size, self.dilation, strict=True)]
        return [v for t in reversed(totals) for v in (t // 2, t - t // 2)]

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._border(), mode=self.padding_mode), 0
        return type(self)._function(
            input, weight, bias, self.stride, padding, self.dilation, self.groups
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._conv_forward(input, self.weight, self.bias)


class Conv1d(_Convolution):
    """Slides `out_channels` filters along one dimension.

    Shapes: input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') with
    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1. `weight` is (out_channels,
    in_channels / groups, kernel_size), `bias` (out_channels). `padding` may be "valid" (none) or
    "same" (L' = L); `padding_mode` fills it with "zeros", or by "reflect", "replicate" or
    "circular" as in `F.pad`. `groups` convolutions stand side by side, each on its own channels.

        >>> nn.Conv1d(16, 33, 3, stride=2)(torch.randn(20, 16, 50)).shape
        torch.Size([20, 33, 24])
    """

    _dims = 1
    _function = staticmethod(F.conv1d)


class Conv2d(_Convolution):
    """Slides `out_channels` filters over two dimensions.

    Shapes: input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W').
    `weight` is (out_channels, in_channels / groups, KH, KW), `bias` (out_channels). Settings are
    numbers or one per dimension, with the meaning that they have in `Conv1d`.

        >>> nn.Conv2d(16, 33, (3, 5), stride=(2, 1), padding=2)(torch.randn(8, 16, 50, 100)).shape
        torch.Size([8, 33, 26, 100])
    """

    _dims = 2
    _function = staticmethod(F.conv2d)


class Conv3d(_Convolution):
    """Slides `out_channels` filters over three dimensions.

    Shapes: input (N, in_channels, D, H, W) or (in_channels, D, H, W), output (N, out_channels, D',
    H', W'). `weight` is (out_channels, in_channels / groups, KD, KH, KW), `bias` (out_channels).
    Settings are numbers or one per dimension, with the meaning that they have in `Conv1d`.
    """

    _dims = 3
    _function = staticmethod(F.conv3d)


class _TransposedConvolution(ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Ints = 0,
        output_padding: Ints = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Ints = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        channels = (in_channels, out_channels)
        sizes = (kernel_size, stride, padding, dilation, output_padding)
        self._set_up(channels, *sizes, groups, bias, padding_mode, device, dtype)

    def _output_padding(self, input: Tensor, output_size: Sequence[int] | None) -> Sequence[int]:
        """What to add at the end to reach `output_size`; ValueError if it is out of reach."""
        if output_size is None:
            return self.output_padding
        n = self._dims
        lead = input.ndim - n
        if len(output_size) not in (n, n + lead):
            raise ValueError(
                f"ConvTranspose{n}D: for {input.ndim}D input, output_size must have {n} or "
                f"{n + lead} elements (got {len(output_size)})"
            )
        wanted = tuple(output_size[-n:])
        settings = (self.stride, self.padding, self.dilation, self.kernel_size)
        least = [
            (size - 1) * s - 2 * p + d * (k - 1) + 1
            for size, s, p, d, k in zip(input.shape[lead:], *settings, strict=True)
        ]
        most = [size + s - 1 for size, s in zip(least, self.stride, strict=True)]
        if any(not a <= w <= b for a, w, b in zip(least, wanted, most, strict=True)):
            raise ValueError(
                f"requested an output size of {wanted}, but valid sizes range from {least} to "
                f"{most} (for an input of {list(input.shape[lead:])})"
            )
        return tuple(w - a for w, a in zip(wanted, least, strict=True))

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self._output_padding(input, output_size)
        settings = (self.stride, self.padding, extra, self.groups, self.dilation)
        return type(self)._function(input, self.weight, self.bias, *settings)


class ConvTranspose1d(_TransposedConvolution):
    """The transpose of `Conv1d`: every input element spreads a scaled filter over the output.

    Shapes: input (N, in_channels, L) or (in_channels, L), output (N, out_channels, L') with
    L' = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1. `weight` is
    (in_channels, out_channels / groups, kernel_size), `bias` (out_channels). A stride makes several
    L' possible; `output_padding`, or `output_size` in the call, chooses.

        >>> nn.ConvTranspose1d(8, 4, 4, stride=2, padding=1)(torch.randn(1, 8, 10)).shape
        torch.Size([1, 4, 20])
    """

    _dims = 1
    _function = staticmethod(F.conv_transpose1d)


class ConvTranspose2d(_TransposedConvolution):
    """The transpose of `Conv2d`.

    Shapes: input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W').
    `weight` is (in_channels, out_channels / groups, KH, KW), `bias` (out_channels). Settings are
    numbers or one per dimension, with the meaning that they have in `ConvTranspose1d`.

        >>> nn.ConvTranspose2d(8, 4, 2, stride=2)(torch.randn(1, 8, 6, 6)).shape
        torch.Size([1, 4, 12, 12])
    """

    _dims = 2
    _function = staticmethod(F.conv_transpose2d)


class ConvTranspose3d(_TransposedConvolution):
    """The transpose of `Conv3d`.

    Shapes: input (N, in_channels, D, H, W) or (in_channels, D, H, W), output (N, out_channels, D',
    H', W'). `weight` is (in_channels, out_channels / groups, KD, KH, KW), `bias` (out_channels).
    Settings are numbers or one per dimension, with the meaning that they have in
    `ConvTranspose1d`.
    """

    _dims = 3
    _function = staticmethod(F.conv_transpose3d)
