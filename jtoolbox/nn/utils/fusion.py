"""Folding a BatchNorm that is in eval mode into the layer before it."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.ops import ones_like, rsqrt, zeros_like

__all__ = [
    "fuse_conv_bn_eval",
    "fuse_conv_bn_weights",
    "fuse_linear_bn_eval",
    "fuse_linear_bn_weights",
]

M = TypeVar("M", bound=Module)
_EVAL = "Fusion only for eval!"
_SIZES = (
    "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, got "
    "linear.out_features={outputs} and bn.num_features={features}"
)


def _fused(
    weight: Any, bias: Any, mean: Any, var: Any, eps: float, w: Any, b: Any, dim: int
) -> tuple[Parameter, Parameter]:
    """(w x + bias - mean) / sqrt(var + eps) * w + b, as a weight and a bias."""
    bias = zeros_like(mean) if bias is None else bias
    w = ones_like(mean) if w is None else w
    b = zeros_like(mean) if b is None else b
    scale = w * rsqrt(var + eps)
    shape = [1] * weight.ndim
    shape[dim] = -1
    new = (weight * scale.reshape(shape)).to(weight.dtype)
    shift = ((bias - mean) * scale + b).to(bias.dtype)
    return Parameter(new, weight.requires_grad), Parameter(shift, bias.requires_grad)


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Parameter, Parameter]:
    """Weight and bias of the one convolution that does what a convolution and a BatchNorm do.

    conv_w is (C_out, C_in, ...), with `transpose` (C_in, C_out, ...); the statistics `bn_rm` and
    `bn_rv` and the affine `bn_w` and `bn_b` are (C_out). None stands for no bias, or no affine.
    """
    dim = 1 if transpose else 0
    return _fused(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, dim)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """The same for a linear layer, whose weight is (out_features, in_features)."""
    return _fused(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, 0)


def fuse_conv_bn_eval(conv: M, bn: Any, transpose: bool = False) -> M:
    """A copy of a convolution that also does what the BatchNorm behind it does in eval mode.

    Both must be in eval mode (AssertionError), and the BatchNorm must keep running statistics.
    """
    if conv.training or bn.training:
        raise AssertionError(_EVAL)
    fused: Any = copy.deepcopy(conv)
    fused.weight, fused.bias = fuse_conv_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias,
        transpose,
    )  # fmt: skip
    return fused


def fuse_linear_bn_eval(linear: M, bn: Any) -> M:
    """A copy of a linear layer that also does what the BatchNorm behind it does in eval mode.

    Both must be in eval mode, and the features of both agree, or the BatchNorm has one
    (AssertionError).
    """
    if linear.training or bn.training:
        raise AssertionError(_EVAL)
    fused: Any = copy.deepcopy(linear)
    if fused.out_features != bn.num_features and bn.num_features != 1:
        raise AssertionError(_SIZES.format(outputs=fused.out_features, features=bn.num_features))
    fused.weight, fused.bias = fuse_linear_bn_weights(
        fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
    )
    return fused
