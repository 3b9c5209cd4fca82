"""Linear maps of the last dimension."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
from jax import lax

from jtoolbox.engine import Array, op
from jtoolbox.engine.record import spread
from jtoolbox.nn.functional.checks import type_name

__all__ = ["bilinear", "linear"]


def _flattening_hint(shape: tuple[int, ...], features: int) -> str:
    """Says which flattening would make the last dimension fit, if one does."""
    for dim in (*range(1, len(shape) - 1), 0):
        if dim < len(shape) - 1 and math.prod(shape[dim:]) == features:
            return (
                f" Flattening from axis {dim} would fit: x.flatten({dim}), or nn.Flatten({dim}) "
                "before this layer."
            )
    return ""


def _check_linear(x: Any, weight: Any, bias: Any) -> None:
    if x.ndim == 0 or weight.ndim == 0:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are "
            f"{x.ndim}D and {weight.ndim}D"
        )
    if weight.ndim > 2:
        raise RuntimeError(
            "linear expects a weight of shape (out_features, in_features), got a weight of shape "
            f"{list(weight.shape)}"
        )
    if x.dtype != weight.dtype:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, but got "
            f"{type_name(x)} and {type_name(weight)}: convert the input with "
            ".to(weight.dtype), or the layer with .to(dtype)"
        )
    features = weight.shape[-1]
    if x.shape[-1] != features:
        rows = math.prod(x.shape[:-1])
        outputs = weight.shape[0] if weight.ndim == 2 else 1
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{x.shape[-1]} and "
            f"{features}x{outputs}): expected {features} features last, received shape "
            f"{list(x.shape)}.{_flattening_hint(tuple(x.shape), features)}"
        )
    if bias is not None and bias.dtype != x.dtype:
        raise RuntimeError(
            "self and mat2 must have the same dtype, but got "
            f"{type_name(bias)} and {type_name(x)}: the bias and the weight differ"
        )


@op
def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """Multiplies the last dimension by a matrix: y = x Wᵀ + b.

    Shapes: input (*, in_features) with any leading dimensions, weight (out_features, in_features)
    or (in_features), bias (out_features); the result is (*, out_features) or (*). In half types
    the product is rounded before the bias is added, where PyTorch rounds once: a float32 product
    would take its gradients out of the fast units for halves. Raises RuntimeError when the feature
    counts or the dtypes differ.

        >>> F.linear(torch.ones(2, 3), torch.ones(4, 3)).shape
        torch.Size([2, 4])
    """
    x, weight = jnp.asarray(input), jnp.asarray(weight)
    bias = None if bias is None else jnp.asarray(bias)
    _check_linear(x, weight, bias)
    y = lax.dot_general(x, weight, (((x.ndim - 1,), (weight.ndim - 1,)), ((), ())))
    if bias is None:
        return y
    if bias.ndim == 1 and bias.shape[0] not in (1, y.shape[-1]):
        raise RuntimeError(
            f"linear expects a bias of shape {list(y.shape[-1:])}, got {list(bias.shape)}"
        )
    return y + spread(bias, y.shape)


@op
def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """Applies a bilinear form per output feature: y_k = x1ᵀ A_k x2 + b_k.

    Shapes: input1 (*, in1_features), input2 (*, in2_features) with the same leading dimensions,
    weight (out_features, in1_features, in2_features), bias (out_features); the result is
    (*, out_features). Raises RuntimeError where they do not fit.
    """
    _check_bilinear(input1, input2, weight, bias)
    y = jnp.einsum("...i,kij,...j->...k", input1, weight, input2)
    return y if bias is None else y + spread(bias, y.shape)


def _check_bilinear(input1: Any, input2: Any, weight: Any, bias: Any) -> None:
    if input1.ndim != input2.ndim:
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.ndim} and {input2.ndim}"
        )
    for dim, (a, b) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if a != b:
            raise RuntimeError(
                f"bilinear(): input batch dimensions do not match at dim {dim}: got {a} and {b}"
            )
    for name, x, features in (
        ("input1", input1, weight.shape[1]),
        ("input2", input2, weight.shape[2]),
    ):
        if x.shape[-1] != features:
            raise RuntimeError(
                f"bilinear(): {name} size does not match weight size: got {x.shape[-1]} but "
                f"expected {features}; {name} has shape {list(x.shape)}, the weight "
                f"{list(weight.shape)}"
            )
    if bias is not None and bias.shape[-1] != weight.shape[0]:
        raise RuntimeError(
            f"bilinear(): bias size does not match weight size: got {bias.shape[-1]} but "
            f"expected {weight.shape[0]}"
        )
