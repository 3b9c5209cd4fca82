"""The last layer of a classifier and its loss as one layer."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn.functional.linear_cross_entropy import LinearCrossEntropyOptions
from jtoolbox.nn.linear import Linear
from jtoolbox.nn.loss import _WeightedLoss
from jtoolbox.tensor import Tensor

__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions"]


class LinearCrossEntropyLoss(_WeightedLoss):
    """Cross entropy of a linear map of the input: CrossEntropyLoss()(linear(input), target).

    Shapes: input (N, in_features) or (in_features), target (N, d1, ...) of class indices or (N,
    num_classes, d1, ...) of probabilities, where (d1, ...) = `out_features`; `linear.weight` is
    (num_classes * d1 * ..., in_features). `weight`, `ignore_index` and `label_smoothing` as for
    `CrossEntropyLoss`, but `ignore_index` None beside probabilities. `options` are checked and
    change nothing. Raises RuntimeError where shapes or settings do not fit.

        >>> criterion = nn.LinearCrossEntropyLoss(512, 10_000)
        >>> loss = criterion(features, labels)
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ):
        super().__init__(weight, None, None, reduction)
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise RuntimeError(
                f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise RuntimeError(
                f"expected label_smoothing to be in range [0, 1], got {label_smoothing}"
            )
        self.num_classes = num_classes
        self.out_features = out_features
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing
        self.options = options
        outputs = num_classes * math.prod(out_features)
        self.linear = Linear(in_features, outputs, bias=bias, device=device, dtype=dtype)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        weight, bias = self.linear.weight, self.linear.bias
        if self.out_features:
            shape = (self.num_classes, *self.out_features)
            weight = weight.reshape(*shape, -1)
            bias = None if bias is None else bias.reshape(shape)
        return F.linear_cross_entropy(
            input,
            weight,
            target,
            linear_bias=bias,
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        return (
            f"in_features={self.linear.in_features}, num_classes={self.num_classes}, "
            f"out_features={self.out_features}, bias={self.linear.bias is not None}, "
            f"reduction={self.reduction}, ignore_index={self.ignore_index}, "
            f"label_smoothing={self.label_smoothing}, options={self.options}"
        )
