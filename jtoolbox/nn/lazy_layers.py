"""Layers that take their number of input features or channels from the first call."""

from __future__ import annotations

from typing import Any

from jtoolbox import dtypes
from jtoolbox.nn.batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d, NormBase
from jtoolbox.nn.conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvNd,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from jtoolbox.nn.functional.windows import Ints
from jtoolbox.nn.instancenorm import InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from jtoolbox.nn.lazy import LazyModuleMixin
from jtoolbox.nn.linear import Linear
from jtoolbox.nn.parameter import UninitializedBuffer, UninitializedParameter, is_lazy
from jtoolbox.ops.creation import zeros
from jtoolbox.tensor import Tensor

__all__ = [
    *("LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d"),
    *("LazyConv3d", "LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d"),
    *("LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d", "LazyLinear"),
]

# --- linear --------------------------------------------------------------------------------------


class LazyLinear(LazyModuleMixin, Linear):
    """A `Linear` whose `in_features` is the last size of its first input.

    Raises AssertionError in the first call when loaded weights have another size.

        >>> nn.LazyLinear(30)(torch.randn(128, 20)).shape
        torch.Size([128, 30])
    """

    cls_to_become = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(0, 0, False)
        self.out_features = out_features
        place = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**place)
        if bias:
            self.bias = UninitializedParameter(**place)

    def reset_parameters(self) -> None:
        """Draws new values, once there are shapes."""
        if self.in_features and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes `in_features` from the input; weights that were loaded before must agree."""
        found = input.shape[-1]
        if self.has_uninitialized_params():
            self.in_features = found
            if is_lazy(self.weight):
                self.weight.materialize((self.out_features, found))
            if self.bias is not None and is_lazy(self.bias):
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        if found != self.weight.shape[-1]:
            raise AssertionError(
                f"The in_features inferred from input: {found} is not equal to in_features from "
                f"self.weight: {self.weight.shape[-1]}"
            )
        self.in_features = found


# --- convolutions --------------------------------------------------------------------------------


class _LazyConvolution(LazyModuleMixin, ConvNd):
    """Parameters without shape, and the shapes for so many input channels."""

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        self.out_channels = out_channels
        place = {"device": device, "dtype": dtype}
        self.weight = UninitializedParameter(**place)
        if bias:
            self.bias = UninitializedParameter(**place)

    def reset_parameters(self) -> None:
        """Draws new values, once there are shapes."""
        if self.in_channels and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Takes `in_channels` from the input, in its place after the batch if there is one."""
        n = self._dims
        if input.ndim not in (n + 1, n + 2):
            raise RuntimeError(
                f"Expected {n + 1}D (unbatched) or {n + 2}D (batched) input to "
                f"{type(self).__name__}, but got input of size: {input.shape}"
            )
        self.in_channels = input.shape[input.ndim - n - 1]
        if not self.has_uninitialized_params():
            return
        self._check_settings()
        if is_lazy(self.weight):
            self.weight.materialize(self._weight_shape())
        if self.bias is not None and is_lazy(self.bias):
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()


class _LazyForward(_LazyConvolution):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Any = 0,
        dilation: Ints = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ):
        settings = (kernel_size, stride, padding, dilation, groups, False, padding_mode)
        super().__init__(0, 0, *settings)
        self._make_lazy(out_channels, bias, device, dtype)


class _LazyTransposed(_LazyConvolution):
    def __init__(
        self,
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
        settings = (kernel_size, stride, padding, output_padding, groups, False, dilation)
        super().__init__(0, 0, *settings, padding_mode)
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyForward, Conv1d):
    """A `Conv1d` that takes `in_channels` from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    """A `Conv2d` that takes `in_channels` from its first input.

    >>> nn.LazyConv2d(33, 3)(torch.randn(8, 16, 50, 100)).shape
    torch.Size([8, 33, 48, 98])
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    """A `Conv3d` that takes `in_channels` from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """A `ConvTranspose1d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """A `ConvTranspose2d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """A `ConvTranspose3d` that takes `in_channels` from its first input."""

    cls_to_become = ConvTranspose3d


# --- normalization -------------------------------------------------------------------------------


class _LazyNorm(LazyModuleMixin, NormBase):
    """Weights and statistics without shape. Instance norms are affine and track them here too."""

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__(0, eps, momentum, False, False, device, dtype, bias=bias)
        self.affine = affine
        self.track_running_stats = track_running_stats
        place = {"device": device, "dtype": dtype}
        if affine:
            self.weight = UninitializedParameter(**place)
        if affine and bias:
            self.bias = UninitializedParameter(**place)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(**place)
            self.running_var = UninitializedBuffer(**place)
            self.num_batches_tracked = zeros((), dtype=dtypes.int64, device=device)

    def reset_parameters(self) -> None:
        """Sets the values to their start, once there are shapes."""
        if self.num_features and not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor) -> None:
        """Takes `num_features` from dimension 1 of the input."""
        self.num_features = input.shape[1]
        if not self.has_uninitialized_params():
            return
        for value in (self.weight, self.bias, self.running_mean, self.running_var):
            if value is not None and is_lazy(value):
                value.materialize((self.num_features,))
        self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` that takes `num_features` from its first input."""

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An `InstanceNorm1d` that takes `num_features` from its first input, which has a batch.

    Unlike that class, it has weights and running statistics unless told otherwise, as PyTorch's.
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An `InstanceNorm2d` that takes `num_features` from its first input; see the 1-d one."""

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An `InstanceNorm3d` that takes `num_features` from its first input; see the 1-d one."""

    cls_to_become = InstanceNorm3d
