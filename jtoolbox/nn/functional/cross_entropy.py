"""Losses of classifiers: cross entropy and negative log-likelihood.

NOTE: picking one score per sample. Indexing is cheap forwards, but its derivative is a scatter into
zeros, which is slow on a CPU; comparing all classes with the label is fast backwards, because it
fuses with the softmax. `_pick` and `_log_sum_exp` therefore index forwards and compare backwards.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import is_float, require_float, type_name, wide
from jtoolbox.nn.functional.reduction import choose_reduction, reduce_loss

__all__ = ["cross_entropy", "nll_loss"]

_LABEL_TYPE = (
    "expected target dtype to be Long or Byte, but got {found}: class indices are int64, so call "
    ".long() on them; for class probabilities give a float target of the input's shape {shape}"
)
_WEIGHT = (
    "weight tensor should be defined either for all {classes} classes or no classes but got weight "
    "tensor of shape: {shape}"
)
_OUT_OF_BOUNDS = (
    "Target {label} is out of bounds. The input has {classes} classes, so targets are 0 to {last} "
    "(or ignore_index={ignored}). Check the labels, or give the last layer more outputs."
)


# --- one score per sample ------------------------------------------------------------------------


@functools.partial(jax.custom_jvp, nondiff_argnums=(2,))
def _pick(x: Array, labels: Array, axis: int) -> Array:
    """The entry of each label along `axis`; any entry for a label that is out of range."""
    return jnp.take_along_axis(x, jnp.expand_dims(labels, axis), axis, mode="clip").squeeze(axis)


@_pick.defjvp
def _pick_tangent(axis: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, labels = primals
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    classes = jax.lax.iota(labels.dtype, x.shape[axis]).reshape(shape)
    hit = jnp.expand_dims(labels, axis) == classes
    tangent = jnp.sum(jnp.where(hit, tangents[0], jnp.zeros((), x.dtype)), axis)
    return _pick(x, labels, axis), tangent


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log_sum_exp(x: Array, axis: int) -> Array:
    """log(sum(exp(x))) along `axis`, of scores whose largest is 0."""
    return jnp.log(jnp.sum(jnp.exp(x), axis))


@_log_sum_exp.defjvp
def _log_sum_exp_tangent(axis: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    y = _log_sum_exp(x, axis)
    return y, jnp.sum(jnp.exp(x - jnp.expand_dims(y, axis)) * dx, axis)


def _shifted(x: Array, axis: int) -> Array:
    """The scores less the largest of each sample, which changes no probability."""
    return x - jax.lax.stop_gradient(jnp.max(x, axis, keepdims=True, initial=-jnp.inf))


# --- checks --------------------------------------------------------------------------------------


def _check_label(t: Any) -> None:
    """The errors of the label of scores (C,), which is () or (1,)."""
    if t.ndim == 1 and t.shape[0] != 1:
        raise ValueError(
            f"For 1D input, 1D target must have size 1, but got target size: {t.shape[0]}"
        )
    if t.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")


def _label_shape(x: Any, t: Any) -> tuple[int, ...]:
    """The shape that labels must have for scores (N, C) or (N, C, ...); else the error."""
    wanted = x.shape[:1] + x.shape[2:]
    if t.shape == wanted:
        return wanted
    batch = t.shape[0] if t.ndim else 0
    if batch != x.shape[0]:
        raise ValueError(
            f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({batch}): "
            f"the input is {list(x.shape)}, the target {list(t.shape)}."
        )
    if x.ndim == 2:
        raise RuntimeError(
            "0D or 1D target tensor expected, multi-target not supported: an input of shape "
            f"{list(x.shape)} takes labels of shape {list(wanted)}, got {list(t.shape)}. "
            "Call .squeeze(1) on labels (N, 1), .argmax(1) on one-hot rows."
        )
    if x.ndim == 4 and t.ndim != 3:
        raise RuntimeError(
            "only batches of spatial targets supported (3D tensors) but got targets of dimension: "
            f"{t.ndim}; an input of shape {list(x.shape)} takes targets of shape {list(wanted)}"
        )
    raise RuntimeError(
        f"Expected target size {list(wanted)}, got {list(t.shape)}: size mismatch "
        f"(got input: {list(x.shape)}, target: {list(t.shape)})"
    )


def _check_labels(x: Any, t: Any, ignore_index: int) -> None:
    """Raises IndexError for a label that names no class, where the labels are on the host."""
    if not isinstance(t, np.ndarray) or t.dtype.kind not in "iu" or not t.size or not x.ndim:
        return
    classes = x.shape[1] if x.ndim > 1 else x.shape[0]
    if t.size == 1:  # NumPy's reductions would cost more than the rest of the call
        if 0 <= t.item() < classes:
            return
    # One pass for both ends: as unsigned numbers, negative labels are the largest.
    elif t.dtype == np.int64 and t.view(np.uint64).max() < classes:
        return
    wrong = t[((t < 0) | (t >= classes)) & (t != ignore_index)]
    if wrong.size:
        raise IndexError(
            _OUT_OF_BOUNDS.format(
                label=wrong.flat[0], classes=classes, last=classes - 1, ignored=ignore_index
            )
        )


def _check(input, target, weight, size_average, ignore_index, *_) -> None:
    _check_labels(input, target, ignore_index)


def _check_weight(weight: Any, x: Array, classes: int) -> None:
    if weight is None:
        return
    if weight.shape != (classes,):
        raise RuntimeError(_WEIGHT.format(classes=classes, shape=list(weight.shape)))
    if weight.dtype != x.dtype:
        raise RuntimeError(
            f"expected scalar type {type_name(x)} but found {type_name(weight)} for the class "
            "weights; convert them with .to(input.dtype)"
        )


# --- the losses ----------------------------------------------------------------------------------


def _mean_over_labels(
    loss: Array, labels: Array, weight: Any, classes: int, ignore_index: int, reduction: str
) -> Array:
    """Masks ignored labels, gives NaN for impossible ones, and reduces by the labels' weights."""
    ignored = labels == ignore_index
    possible = (labels >= 0) & (labels < classes)
    loss = jnp.where(possible, loss, jnp.full((), jnp.nan, loss.dtype))
    loss = jnp.where(ignored, jnp.zeros((), loss.dtype), loss)
    if reduction != "mean":
        return reduce_loss(loss, reduction)
    if weight is None:
        counts = jnp.where(ignored, 0, 1).astype(loss.dtype)
    else:
        counts = jnp.where(ignored, jnp.zeros((), weight.dtype), _of_class(weight, labels))
    return jnp.sum(loss) / jnp.sum(counts)


def _as_labels(x: Array, t: Array) -> tuple[Array, int]:
    """Labels as int32 (faster to compare) or wider, and the axis of the classes."""
    shape = _label_shape(x, t) if x.ndim > 1 else ()
    if t.dtype not in (np.int64, np.uint8) and not (t.dtype == np.int32 and _narrow()):
        raise RuntimeError(_LABEL_TYPE.format(found=type_name(t), shape=list(x.shape)))
    if x.ndim == 1:
        _check_label(t)
    axis = min(x.ndim - 1, 1)
    # Narrowing keeps labels beyond 32 bits impossible: they are moved to -2**31 first.
    if t.dtype == np.int64:
        low, high = -(2**31), 2**31 - 1
        t = jnp.where((t < low) | (t > high), low, t)
    return t.reshape(shape).astype(np.int32), axis


def _narrow() -> bool:
    """Whether JAX runs without 64-bit types, where labels can only be int32."""
    return dtypes.index_dtype() == np.int32


def _of_class(weight: Array, labels: Array) -> Array:
    """The weight of each label's class."""
    return jnp.take(weight, labels, mode="clip")


@op(check=_check)
def nll_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """-input[target] for log-probabilities (C,), (N, C) or (N, C, d1, ...) and class indices.

    Shapes, weights, `ignore_index` and errors are those of `cross_entropy`.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if input.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    labels, axis = _as_labels(input, target)
    require_float("nll_loss", input)
    classes = input.shape[axis]
    _check_weight(weight, input, classes)
    x, w = wide(input), None if weight is None else wide(weight)
    loss = -_pick(x, labels, axis)
    loss = loss if w is None else loss * _of_class(w, labels)
    loss = _mean_over_labels(loss, labels, w, classes, ignore_index, reduction)
    return loss.astype(input.dtype)


@op(check=_check)
def cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Array:
    """-log(softmax(input))[target]: the loss of unnormalized scores against the right classes.

    The input is (C,), (N, C) or (N, C, d1, ...). The target holds class indices (int64, without the
    class dimension), or class probabilities (float, of the input's shape). `weight` (C,) weighs the
    classes; the mean divides by the weights of the targets. Targets equal to `ignore_index` count
    nothing. `label_smoothing` moves that share of each target to all classes evenly.

    Raises IndexError for an index that is no class; where the indices cannot be looked at, on an
    accelerator, the loss is NaN instead. Raises RuntimeError for a wrong dtype, RuntimeError or
    ValueError for wrong shapes.

        loss = F.cross_entropy(model(x), labels, label_smoothing=0.1)
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if target.shape == input.shape and (is_float(target) or input.ndim != 1):
        return _soft_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    labels, axis = _as_labels(input, target)
    require_float("cross_entropy", input)
    classes = input.shape[axis]
    _check_weight(weight, input, classes)
    w = None if weight is None else wide(weight)
    scores = _shifted(wide(input), axis)
    total = _log_sum_exp(scores, axis)
    loss = total - _pick(scores, labels, axis)
    loss = loss if w is None else loss * _of_class(w, labels)
    if label_smoothing:
        smooth = _against_all(scores, total, w, axis)
        loss = (1 - label_smoothing) * loss + (label_smoothing / classes) * smooth
    loss = _mean_over_labels(loss, labels, w, classes, ignore_index, reduction)
    return loss.astype(input.dtype)


def _against_all(scores: Array, total: Array, weight: Any, axis: int) -> Array:
    """The sum over all classes of -weight * log-probability."""
    if weight is None:
        return scores.shape[axis] * total - jnp.sum(scores, axis)
    weight = weight.reshape((-1,) + (1,) * (scores.ndim - 1 - axis))
    return jnp.sum(weight * (jnp.expand_dims(total, axis) - scores), axis)


def _soft_cross_entropy(
    input: Array, target: Array, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Array:
    """Cross entropy against class probabilities; the mean is over samples."""
    if not is_float(target):
        raise RuntimeError(
            "Expected floating point type for target with class probabilities, got "
            f"{type_name(target)}. A target of the input's shape {list(input.shape)} holds "
            "probabilities; class indices leave out the class dimension (call .argmax(1))."
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    require_float("cross_entropy", input)
    axis = min(input.ndim - 1, 1)
    classes = input.shape[axis]
    _check_weight(weight, input, classes)
    result = jnp.promote_types(input.dtype, target.dtype)
    x, t = wide(input), wide(target)
    if smoothing:
        t = t * (1 - smoothing) + smoothing / classes
    if weight is not None:
        t = t * wide(weight).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    loss = -jnp.sum(jax.nn.log_softmax(x, axis) * t, axis)
    return reduce_loss(loss, reduction).astype(result)
