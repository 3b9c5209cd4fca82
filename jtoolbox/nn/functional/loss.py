"""Losses of regression, of binary decisions, and of distributions.

Each body is the formula for one element, and then `reduce_loss`. Cross entropy, margins and
sequences have files of their own.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.record import check_broadcast
from jtoolbox.nn.functional.checks import (
    clamp_min,
    is_float,
    require_float,
    size,
    type_name,
    warn_user,
    wide,
)
from jtoolbox.nn.functional.reduction import (
    REDUCTIONS,
    choose_reduction,
    reduce_loss,
    warn_if_broadcast,
)
from jtoolbox.ops.elementwise import magnitude

__all__ = [
    *("binary_cross_entropy", "binary_cross_entropy_with_logits", "gaussian_nll_loss"),
    *("huber_loss", "kl_div", "l1_loss", "mse_loss", "multilabel_soft_margin_loss"),
    *("poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss"),
]


# --- regression ----------------------------------------------------------------------------------

_pair = op(promote=("input", "target"))


def _weighted(loss: Array, weight: Any, input: Array, reduction: str, divide: bool = True) -> Array:
    """Reduces losses that may have weights, by whose sum the mean divides if `divide`."""
    if weight is None:
        return reduce_loss(loss, reduction)
    if weight.shape != input.shape:
        raise ValueError(
            f"Weights and input must have the same size. Got {size(weight)} and {size(input)}."
        )
    if reduction == "mean" and divide:
        return jnp.sum(loss * weight) / jnp.sum(weight)
    return reduce_loss(loss * weight, reduction)


def _times_fitting(x: Array, name: str, weight: Any) -> Array:
    """x times a weight that broadcasts to the shape of x, or the error."""
    if weight is None:
        return x
    check_broadcast([weight.shape, x.shape])
    if np.broadcast_shapes(weight.shape, x.shape) != x.shape:
        raise RuntimeError(
            f"output with shape {list(x.shape)} doesn't match the broadcast shape "
            f"{list(np.broadcast_shapes(weight.shape, x.shape))}: {name} {list(weight.shape)} must "
            "broadcast to the input's shape"
        )
    return x * weight


def _type_of(*operands: Array | None) -> Any:
    """The common type of the operands that are given."""
    return dtypes.result_type(*[x for x in operands if x is not None])


@_pair
def mse_loss(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Array | None = None,
) -> Array:
    """(x - y)^2. With `weight`, of the input's shape, the mean divides by the sum of the weights.

    Warns when the shapes differ and therefore broadcast.
    """
    warn_if_broadcast(input, target)
    reduction = choose_reduction(size_average, reduce, reduction)
    require_float("mse_loss", input)
    return _weighted(jnp.square(input - target), weight, input, reduction)


@_pair
def l1_loss(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Array | None = None,
) -> Array:
    """|x - y|. `weight` as in `mse_loss`. Warns when the shapes differ."""
    warn_if_broadcast(input, target)
    reduction = choose_reduction(size_average, reduce, reduction)
    if reduction == "mean" and not is_float(input):
        raise RuntimeError(
            "mean(): could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {type_name(input)}; call .float() first"
        )
    return _weighted(magnitude(input - target), weight, input, reduction)


@_pair
def smooth_l1_loss(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Array:
    """(x - y)^2 / (2 beta) where |x - y| < beta, |x - y| - beta / 2 elsewhere.

    Raises RuntimeError for beta < 0. Paper: Fast R-CNN (https://arxiv.org/abs/1504.08083).
    """
    warn_if_broadcast(input, target)
    reduction = choose_reduction(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError(f"smooth_l1_loss does not support negative values for beta. Got: {beta}")
    require_float("smooth_l1_loss", input)
    error = magnitude(input - target)
    if beta == 0:
        return reduce_loss(error, reduction)
    loss = jnp.where(error < beta, 0.5 * error * error / beta, error - 0.5 * beta)
    return reduce_loss(loss, reduction)


@_pair
def huber_loss(
    input: Array,
    target: Array,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Array | None = None,
) -> Array:
    """(x - y)^2 / 2 where |x - y| < delta, delta * (|x - y| - delta / 2) elsewhere.

    `weight` has the input's shape; the mean divides by the number of elements. Raises RuntimeError
    for delta <= 0.
    """
    warn_if_broadcast(input, target)
    if delta <= 0:
        raise RuntimeError(
            f"huber_loss does not support non-positive values for delta. Got: {delta}"
        )
    reduction = choose_reduction(None, None, reduction)
    require_float("huber_loss", input)
    error = magnitude(input - target)
    loss = jnp.where(error < delta, 0.5 * error * error, delta * (error - 0.5 * delta))
    return _weighted(loss, weight, input, reduction, divide=False)


# --- binary decisions ----------------------------------------------------------------------------


@jax.custom_jvp
def _binary_cross_entropy(x: Array, t: Array) -> Array:
    """-(t log x + (1 - t) log(1 - x)), each logarithm at least -100."""
    log_x, log_rest = (jnp.maximum(v, -100) for v in (jnp.log(x), jnp.log1p(-x)))
    return (t - 1) * log_rest - t * log_x


@_binary_cross_entropy.defjvp
def _binary_cross_entropy_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    # As PyTorch's: the slope at 0 and 1 is large and finite, although the value is clamped.
    (x, t), (dx, dt) = primals, tangents
    slope = (x - t) / clamp_min((1 - x) * x, 1e-12)
    return _binary_cross_entropy(x, t), slope * dx + (jnp.log1p(-x) - jnp.log(x)) * dt


def _check_probabilities(input, target, *_) -> None:
    for name, v in (("input", input), ("target", target)):
        if isinstance(v, np.ndarray) and v.size and not (v.min() >= 0 and v.max() <= 1):
            raise RuntimeError(
                f"all elements of {name} should be between 0 and 1, got {v.min():g} to {v.max():g}."
                " For scores of any size use binary_cross_entropy_with_logits."
            )


@op(check=_check_probabilities)
def binary_cross_entropy(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """-(t log x + (1 - t) log(1 - x)) for probabilities x, with logarithms kept above -100.

    Raises ValueError for different shapes, RuntimeError for values outside [0, 1]; where the values
    cannot be looked at, the loss is NaN. `binary_cross_entropy_with_logits` is more accurate.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"Using a target size ({size(target)}) that is different to the input size "
            f"({size(input)}) is deprecated. Please ensure they have the same size, for example by "
            "target.unsqueeze(1)."
        )
    require_float("binary_cross_entropy", input)
    if target.dtype != input.dtype:
        raise RuntimeError(
            f"Found dtype {type_name(target)} but expected {type_name(input)}: "
            "convert the target with .to(input.dtype)"
        )
    loss = _binary_cross_entropy(wide(input), wide(target))
    loss = _times_fitting(loss, "weight", weight)
    return reduce_loss(loss, reduction).astype(input.dtype)


@op
def binary_cross_entropy_with_logits(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Array | None = None,
) -> Array:
    """Binary cross entropy of sigmoid(x), without overflow for any x.

    -(pos_weight * t * log(sigmoid(x)) + (1 - t) * log(1 - sigmoid(x))); `weight` and `pos_weight`
    broadcast. Raises ValueError for different shapes.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    if input.shape != target.shape:
        raise ValueError(
            f"Target size ({size(target)}) must be the same as input size ({size(input)}); "
            "for an output of shape (N, 1) call target.unsqueeze(1)."
        )
    for name, v in (("input", input), ("target", target)):
        if not is_float(v):
            raise RuntimeError(
                f"result type Float can't be cast to the desired output type {type_name(v)}: the "
                f"{name} must be floats; call .float() on it"
            )
    x, t = wide(input), wide(target)
    positive = _times_fitting(t, "pos_weight", pos_weight)
    if pos_weight is None:
        # (1 - t) x - log(sigmoid(x)), the logarithm written out.
        loss = (1 - t) * x + jax.nn.softplus(-x)
    else:
        loss = (1 - t) * x + (1 + positive - t) * jax.nn.softplus(-x)
    loss = _times_fitting(loss, "weight", weight)
    return reduce_loss(loss, reduction).astype(_type_of(input, target, weight, pos_weight))


@op
def soft_margin_loss(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """log(1 + exp(-y x)) for targets y of 1 and -1."""
    reduction = choose_reduction(size_average, reduce, reduction)
    require_float("soft_margin_loss", input)
    check_broadcast([target.shape, input.shape])
    loss = reduce_loss(jax.nn.softplus(-wide(target) * wide(input)), reduction)
    return loss.astype(input.dtype)


@_pair
def multilabel_soft_margin_loss(
    input: Array,
    target: Array,
    weight: Array | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """Binary cross entropy of sigmoid(x), averaged over the classes of (N, C)."""
    reduction = choose_reduction(size_average, reduce, reduction)
    require_float("multilabel_soft_margin_loss", input)
    x, t = wide(input), wide(target)
    loss = -(t * jax.nn.log_sigmoid(x) + (1 - t) * jax.nn.log_sigmoid(-x))
    if weight is not None:
        check_broadcast([loss.shape, weight.shape])
        loss = loss * weight
    loss = reduce_loss(jnp.sum(loss, x.ndim - 1) / x.shape[-1], reduction)
    return loss.astype(_type_of(input, target, weight))


# --- distributions -------------------------------------------------------------------------------

_KL_MEAN = (
    "reduction: 'mean' divides the total loss by both the batch size and the support size. "
    "'batchmean' divides only by the batch size, and aligns with the definition of the divergence. "
    "In a coming major release of PyTorch 'mean' will do what 'batchmean' does."
)


@_pair
def kl_div(
    input: Array,
    target: Array,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Array:
    """t * (log t - x) for log-probabilities x: the divergence of the model x from t, when summed.

    The target holds probabilities, or with `log_target` log-probabilities. "batchmean" divides the
    sum by the batch size, as the definition has it; "mean" divides by the number of elements, and
    warns.
    """
    if reduction == "mean" and size_average is None and reduce is None:
        warn_user(_KL_MEAN)
    reduction = choose_reduction(size_average, reduce, reduction, (*REDUCTIONS, "batchmean"))
    require_float("kl_div", input)
    x, t = input, target
    loss = jnp.exp(t) * (t - x) if log_target else jax.scipy.special.xlogy(t, t) - t * x
    if reduction != "batchmean":
        return reduce_loss(loss, reduction)
    return jnp.sum(loss) / (input.shape[0] if input.ndim else 1)


@_pair
def poisson_nll_loss(
    input: Array,
    target: Array,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Array:
    """-log p(t) for a Poisson variable with log-rate x: exp(x) - t x, up to a constant.

    Without `log_input` x is the rate: x - t log(x + eps). `full` adds Stirling's approximation of
    the constant log(t!) where t > 1.
    """
    reduction = choose_reduction(size_average, reduce, reduction)
    x, t = (v if is_float(v) else v.astype(dtypes.default_float()) for v in (input, target))
    loss = jnp.exp(x) - t * x if log_input else x - t * jnp.log(x + eps)
    if full:
        large = jnp.where(t > 1, t, 1)
        stirling = large * jnp.log(large) - large + 0.5 * jnp.log(2 * math.pi * large)
        loss = loss + jnp.where(t > 1, stirling, 0)
    return reduce_loss(loss, reduction)


_NEGATIVE_VARIANCE = "var has negative entry/entries"
_VARIANCE_SIZE = (
    "var is of incorrect size: {var} for an input of {input}. Give it the input's shape, or that "
    "with 1 in one place, or without the last dimension."
)


def _check_variance(input, target, var, *_) -> None:
    if isinstance(var, np.ndarray) and (var < 0).any():
        raise ValueError(_NEGATIVE_VARIANCE)
    if isinstance(var, (int, float)) and var < 0:
        raise ValueError(_NEGATIVE_VARIANCE)


def _fit_variance(var: Array, x: Array) -> Array:
    """The variance in a shape that broadcasts against the input; ValueError if none does."""
    if var.shape == x.shape or var.ndim == 0:
        return var
    if var.shape == x.shape[:-1]:
        return var[..., None]
    if var.ndim == x.ndim:
        different = [b for a, b in zip(x.shape, var.shape, strict=True) if a != b]
        if different == [1]:
            return var
    raise ValueError(_VARIANCE_SIZE.format(var=size(var), input=size(x)))


@op(check=_check_variance)
def gaussian_nll_loss(
    input: Array,
    target: Array,
    var: Array,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Array:
    """-log p(t) for a normal variable: (log var + (x - t)^2 / var) / 2, up to a constant.

    The variance is a number, or has the shape of the input, or that with 1 in one place, or without
    the last dimension; it counts as at least eps. `full` adds the constant log(2 pi) / 2. Raises
    ValueError for a negative variance (NaN where its value cannot be looked at) or a wrong shape.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not valid: choose from {REDUCTIONS}")
    require_float("gaussian_nll_loss", input)
    check_broadcast([input.shape, target.shape])
    var = _fit_variance(jnp.asarray(var), input)
    var = var if var.ndim else var.astype(input.dtype)
    var = jnp.where(var < 0, jnp.full((), jnp.nan, var.dtype), var)
    # Raised to eps in value alone: the gradient flows to a variance below it too.
    var = var + jax.lax.stop_gradient(clamp_min(var, eps) - var)
    loss = 0.5 * (jnp.log(var) + jnp.square(input - target) / var)
    return reduce_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)
