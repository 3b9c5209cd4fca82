"""Normalization without running statistics: the same in training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn import init
from jtoolbox.nn.functional.normalization import cross_map_lrn2d
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.ops.creation import empty
from jtoolbox.tensor import Tensor

__all__ = ["CrossMapLRN2d", "GroupNorm", "LayerNorm", "LocalResponseNorm", "RMSNorm"]


class _Normalization(Module):
    """A scale that starts at 1 and a shift that starts at 0, or neither."""

    weight: Parameter | None
    bias: Parameter | None

    def _register(self, shape: tuple[int, ...], place: dict[str, Any], **present: bool) -> None:
        for name, given in present.items():
            self.register_parameter(name, Parameter(empty(shape, **place)) if given else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets weight to 1 and bias to 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        bias = self._parameters.get("bias")  # RMSNorm has none
        if bias is not None:
            init.zeros_(bias)


def _as_shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    if isinstance(normalized_shape, int):
        return (normalized_shape,)
    return tuple(normalized_shape)


class LayerNorm(_Normalization):
    """Normalizes over the last dimensions, which have the shape `normalized_shape`.

    y = (x - mean) / sqrt(variance + eps) * weight + bias, with weight and bias of that shape. An
    int stands for the last dimension alone. Raises RuntimeError when the input ends differently.
    Paper: Layer Normalization (https://arxiv.org/abs/1607.06450).

        >>> nn.LayerNorm(10)(torch.randn(20, 5, 10)).shape
        torch.Size([20, 5, 10])
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        place = {"device": device, "dtype": dtype}
        affine = elementwise_affine
        self._register(self.normalized_shape, place, weight=affine, bias=affine and bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
            f", bias={self.bias is not None}"
        )


class RMSNorm(_Normalization):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions, of shape `normalized_shape`.

    `eps` None means the smallest step of the type at 1. Paper: Root Mean Square Layer Normalization
    (https://arxiv.org/abs/1910.07467).
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ):
        super().__init__()
        self.normalized_shape = _as_shape(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        place = {"device": device, "dtype": dtype}
        self._register(self.normalized_shape, place, weight=elementwise_affine)

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Normalization):
    """Normalizes each group of channels of each sample of (N, C, ...).

    The C = num_channels channels form `num_groups` groups of equal size; weight and bias are (C,).
    Raises ValueError when the groups do not divide the channels. Paper: Group Normalization
    (https://arxiv.org/abs/1803.08494).

        >>> nn.GroupNorm(3, 6)(torch.randn(20, 6, 10, 10)).shape
        torch.Size([20, 6, 10, 10])
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"num_channels ({num_channels}) must be divisible by num_groups ({num_groups})"
            )
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        place = {"device": device, "dtype": dtype}
        self._register((num_channels,), place, weight=affine, bias=affine and bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta, for (N, C, ...).

    Paper: ImageNet Classification with Deep Convolutional Neural Networks (NIPS 2012).
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class CrossMapLRN2d(Module):
    """x / (k + alpha / size * sum of x^2 over neighbouring channels)^beta, for (N, C, H, W).

    The neighbours are (size - 1) // 2 channels on both sides, and always channel 0, as PyTorch has
    it; its gradient is not that of its values, here it is. `LocalResponseNorm` has neither fault.
    Raises ValueError for another number of dimensions.
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1):
        super().__init__()
        self.size = size
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Tensor) -> Tensor:
        return cross_map_lrn2d(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
