"""Losses by margins: a score or distance must be better than another by some amount.

Where a margin is just met the gradient is PyTorch's: that of a violated one, but 0 for the two that
compare classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.record import check_broadcast
from jtoolbox.nn.functional.checks import clamp_min, is_float, require_float, size, type_name, wide
from jtoolbox.nn.functional.distance import distance, pairwise_distance
from jtoolbox.nn.functional.reduction import (
    REDUCTIONS,
    check_reduction,
    choose_reduction,
    reduce_loss,
)
from jtoolbox.ops.elementwise import as_float
from jtoolbox.ops.halves import rounded

__all__ = [
    *("cosine_embedding_loss", "hinge_embedding_loss", "margin_ranking_loss", "multi_margin_loss"),
    *("multilabel_margin_loss", "triplet_margin_loss", "triplet_margin_with_distance_loss"),
]


@op
def hinge_embedding_loss(
    input: Array,
    target: Array,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = choose_reduction(size_average, reduce, reduction)
    require_float("hinge_embedding_loss", input)
    check_broadcast([target.shape, input.shape])
    zero = jnp.zeros((), input.dtype)
    apart = jnp.where(target != 1, clamp_min(margin - input, 0), zero)
    return reduce_loss(apart + jnp.where(target != -1, input, zero), reduction)


@op
def cosine_embedding_loss(
    input1: Array,
    input2: Array,
    target: Array,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1.

    Inputs are (N, D) with targets (N,), or (D,) with a target ().
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if input1.shape != input2.shape:
        raise RuntimeError(
            f"The size of tensor a {list(input1.shape)} must match the size of tensor b "
            f"{list(input2.shape)}"
        )
    if input1.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found "
            f"inputs with sizes {list(input1.shape)} and {list(input2.shape)}."
        )
    x1, x2 = wide(as_float(input1)), wide(as_float(input2))
    product = jnp.sum(x1 * x2, -1)
    squares = [jnp.sum(x * x, -1) + 1e-12 for x in (x1, x2)]
    cosine = product / jnp.sqrt(squares[0] * squares[1])
    zero = jnp.zeros((), cosine.dtype)
    near = jnp.where(target == 1, 1 - cosine, zero)
    far = jnp.where(target == -1, clamp_min(cosine - margin, 0), zero)
    return rounded(reduce_loss(near + far, reduction), input1, input2)


@op
def margin_ranking_loss(
    input1: Array,
    input2: Array,
    target: Array,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """max(0, margin - y (x1 - x2)): the target y is 1 where x1 should be larger, else -1."""
    reduction = choose_reduction(size_average, reduce, reduction)
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {size(input1)}, input2: {size(input2)}, target: {size(target)}"
        )
    check_broadcast([input1.shape, input2.shape, target.shape])
    apart = -target * (input1 - input2)
    if not is_float(apart) and isinstance(margin, float):
        apart = apart.astype(dtypes.default_float())
    return reduce_loss(clamp_min(apart + margin, 0), reduction)


def _excess(x: Array) -> Array:
    """max(0, x) with gradient 0 at 0, unlike that of `clamp_min`."""
    return jnp.where(x <= 0, jnp.zeros((), x.dtype), x)


def _check_multi_margin(input, target, p, margin, weight, *reduction) -> None:
    check_reduction(*reduction)
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported, got {p}")
    if weight is not None and weight.ndim != 1:
        raise ValueError(f"weight must be one-dimensional, got {list(weight.shape)}")
    if isinstance(target, np.ndarray) and target.dtype.kind in "iu" and target.size:
        classes = input.shape[-1] if input.ndim else 1
        if target.min() < 0 or target.max() >= classes:
            raise RuntimeError(
                f"target out of range: found {target.min()} to {target.max()} for {classes} classes"
            )


@op(check=_check_multi_margin)
def multi_margin_loss(
    input: Array,
    target: Array,
    p: int = 1,
    margin: float = 1.0,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """sum over the wrong classes j of max(0, margin - x[y] + x[j])^p / C, times weight[y].

    The input is (N, C) or (C,), the target (N,) or () holds class indices. Raises RuntimeError for
    an index out of range (NaN where it cannot be looked at), ValueError unless p is 1 or 2.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    x, t = jnp.atleast_2d(input), jnp.atleast_1d(target)
    _check_multi_margin_shapes(x, t, weight)
    require_float("multi_margin_loss", x)
    classes = x.shape[1]
    is_label = t[:, None] == jnp.arange(classes, dtype=t.dtype)
    zero = jnp.zeros((), x.dtype)
    score = jnp.sum(jnp.where(is_label, x, zero), 1, keepdims=True)
    violation = jnp.where(is_label, zero, _excess(margin - score + x))
    loss = jnp.sum(violation if p == 1 else violation * violation, 1) / classes
    if weight is not None:
        loss = loss * jnp.sum(jnp.where(is_label, weight, zero), 1)
    loss = jnp.where(is_label.any(1), loss, jnp.full((), jnp.nan, x.dtype))
    return reduce_loss(loss.reshape(target.shape) if input.ndim < 2 else loss, reduction)


def _check_multi_margin_shapes(x: Array, t: Array, weight: Any) -> None:
    if t.shape != x.shape[:1]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input "
            f"samples (batch size). Expected target size [{x.shape[0]}], but got {list(t.shape)}."
        )
    if not jnp.issubdtype(t.dtype, jnp.integer):
        raise RuntimeError(f"expected scalar type Long but found {type_name(t)} for the target")
    if weight is not None and weight.shape != (x.shape[1],):
        raise RuntimeError(
            f"inconsistent weight size, expected {x.shape[1]} but got {list(weight.shape)}"
        )


def _check_multilabel(input, target, *reduction) -> None:
    check_reduction(*reduction)
    if not isinstance(target, np.ndarray) or not target.size or not input.ndim:
        return
    if target.dtype.kind not in "iu":
        return
    if target.min() < -1 or target.max() >= input.shape[-1]:
        raise RuntimeError(
            "argument #2 'target' is out of range: labels are class indices, and -1 after the "
            f"last; found {target.min()} to {target.max()} for {input.shape[-1]} classes"
        )


@op(check=_check_multilabel)
def multilabel_margin_loss(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """sum over labels j and other classes i of max(0, 1 - (x[j] - x[i])) / C.

    Input and target are (N, C) or (C,); a row of the target lists the indices of its classes, and
    ends at the first -1. Takes memory of N C^2. Raises RuntimeError for an index out of range.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise RuntimeError(
            f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}"
        )
    if not jnp.issubdtype(target.dtype, jnp.integer):
        raise RuntimeError(
            f"expected scalar type Long but found {type_name(target)} for the target"
        )
    require_float("multilabel_margin_loss", input)
    x, t = jnp.atleast_2d(input), jnp.atleast_2d(target)
    classes = x.shape[1]
    listed = jnp.cumprod((t >= 0).astype(np.int32), 1).astype(bool)
    hit = listed[:, :, None] & (t[:, :, None] == jnp.arange(classes, dtype=t.dtype))
    other = ~hit.any(1)
    score = jnp.sum(jnp.where(hit, x[:, None, :], jnp.zeros((), x.dtype)), 2)
    violation = _excess(1 - (score[:, :, None] - x[:, None, :]))
    counted = listed[:, :, None] & other[:, None, :]
    loss = jnp.sum(jnp.where(counted, violation, jnp.zeros((), x.dtype)), (1, 2)) / classes
    bad = (listed & ((t >= classes) | (t < -1))).any(1)
    loss = jnp.where(bad, jnp.full((), jnp.nan, x.dtype), loss)
    return reduce_loss(loss[0] if input.ndim < 2 else loss, reduction)


# --- triplets ------------------------------------------------------------------------------------


def _check_triplet(anchor: Any, positive: Any, negative: Any, margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {anchor.ndim}D, positive {positive.ndim}D, and negative "
            f"{negative.ndim}D inputs"
        )


def _triplet(near: Array, far: Array, swapped: Any, margin: float, reduction: str) -> Array:
    far = far if swapped is None else jnp.minimum(far, swapped)
    return reduce_loss(clamp_min(margin + near - far, 0), reduction)


@op
def triplet_margin_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """max(0, margin + d(a, p) - d(a, n)) for vectors (N, D) or (D,), d the p-norm distance.

    With `swap`, d(p, n) is taken where it is smaller than d(a, n). Raises ValueError unless
    margin > 0. Paper: Learning shallow convolutional feature descriptors with triplet losses
    (https://bmva-archive.org.uk/bmvc/2016/papers/paper119/index.html).
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    _check_triplet(anchor, positive, negative, margin)
    for one, other in ((anchor, positive), (anchor, negative)):
        check_broadcast([one.shape, other.shape])
    near, far = (distance(anchor, other, p, eps) for other in (positive, negative))
    swapped = distance(positive, negative, p, eps) if swap else None
    return _triplet(near, far, swapped, margin, reduction)


@op(name="triplet_margin_with_distance_loss")
def _triplet_of_distances(
    near: Array, far: Array, swapped: Array | None, margin: float, reduction: str
) -> Array:
    return _triplet(near, far, swapped, margin, reduction)


def triplet_margin_with_distance_loss(
    anchor: Array,
    positive: Array,
    negative: Array,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """`triplet_margin_loss` with any function of two tensors as distance, by default the 2-norm."""
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{reduction} is not a valid value for reduction; choose from {REDUCTIONS}"
        )
    _check_triplet(anchor, positive, negative, margin)
    d = pairwise_distance if distance_function is None else distance_function
    swapped = d(positive, negative) if swap else None
    return _triplet_of_distances(
        d(anchor, positive), d(anchor, negative), swapped, margin, reduction
    )
