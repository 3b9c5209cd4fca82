"""Normalization: subtract a mean, divide by a deviation, over the axes that give each its name.

One helper, `standardize`, does the arithmetic for all of them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, inplace, op
from jtoolbox.nn.functional.checks import (
    clamp_min,
    is_float,
    require_float,
    size,
    type_name,
    wide,
)
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import magnitude
from jtoolbox.ops.norms import vector_norm_of

__all__ = [
    *("batch_norm", "cross_map_lrn2d", "group_norm", "instance_norm", "layer_norm"),
    *("local_response_norm", "normalize", "rms_norm"),
]


# --- the arithmetic ------------------------------------------------------------------------------


def _moments(x: Array, axes: tuple[int, ...], eps: float, centered: bool) -> tuple[Array, ...]:
    """The standardized array, mean, biased variance and reciprocal deviation, axes kept."""
    mean = jnp.mean(x, axes, keepdims=True) if centered else jnp.zeros((), x.dtype)
    deviation = x - mean
    variance = jnp.mean(deviation * deviation, axes, keepdims=True)
    reciprocal = jax.lax.rsqrt(variance + jnp.asarray(eps, x.dtype))
    return deviation * reciprocal, mean, variance, reciprocal


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2, 3))
def standardize(
    x: Array, axes: tuple[int, ...], eps: float, centered: bool = True
) -> tuple[Array, Array, Array]:
    """(x - mean) / sqrt(variance + eps) over some axes; the mean; the biased variance.

    NOTE: the derivative is written out so that a backward pass keeps the result and the reciprocal
    deviation alone. As a rule for tangents, unlike one for cotangents, it serves forward mode and
    second order too. Dividing the tangent by the deviation first, not the result last, makes its
    transpose divide last, which XLA fuses into fewer passes over the gradient on a CPU.
    """
    y, mean, variance, _ = _moments(x, axes, eps, centered)
    return y, mean, variance


@standardize.defjvp
def _standardize_tangent(
    axes: tuple[int, ...], eps: float, centered: bool, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    (x,), (dx,) = primals, tangents
    y, mean, variance, reciprocal = _moments(x, axes, eps, centered)
    scaled = reciprocal * dx
    along = jnp.mean(y * scaled, axes, keepdims=True)
    dy = scaled - y * along
    if centered:
        dy = dy - jnp.mean(scaled, axes, keepdims=True)
        d_mean = jnp.mean(dx, axes, keepdims=True)
    else:
        d_mean = jnp.zeros_like(mean)
    d_variance = 2 * along / (reciprocal * reciprocal)
    return (y, mean, variance), (dy, d_mean, d_variance)


def _affine(y: Array, weight: Any, bias: Any, shape: tuple[int, ...]) -> Array:
    """y * weight + bias, each given as one value per channel or None."""
    if weight is not None:
        y = y * wide(weight).reshape(shape)
    return y if bias is None else y + wide(bias).reshape(shape)


def _check_types(x: Array, *parameters: Any) -> None:
    """Parameters have the input's type, or are float32 beside a half input."""
    for p in parameters:
        if p is None or p.dtype == x.dtype or (x.dtype.itemsize == 2 and p.dtype == np.float32):
            continue
        raise RuntimeError(
            f"mixed dtype: expect the input and the parameters to share one type, got "
            f"{type_name(x)} and {type_name(p)}; convert the input or the layer with .to()"
        )


# --- batch norm ----------------------------------------------------------------------------------

_ONE_VALUE = "Expected more than 1 value per channel when training, got input size {size}"
_CHANNELS = "{name} should contain {channels} elements not {found}"


def _channel_shape(x: Array) -> tuple[int, ...]:
    """The shape in which one value per channel broadcasts against (N, C, ...)."""
    return (1, x.shape[1]) + (1,) * (x.ndim - 2)


def _check_channels(x: Array, **parameters: Any) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"expected an input of shape (N, C, ...), got {size(x)}")
    for name, p in parameters.items():
        found = None if p is None else math.prod(p.shape)
        if found is not None and found != x.shape[1]:
            message = _CHANNELS.format(name=name, channels=x.shape[1], found=found)
            raise RuntimeError(f"{message}, for an input of shape {list(x.shape)}")


def _with_channels(x: Array) -> Array:
    """The input; an empty one of one dimension, which PyTorch takes, as one sample of nothing."""
    return x[None] if x.shape == (0,) else x


@op(name="batch_norm")
def _batch_norm_train(
    input: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The normalized batch, and its mean and unbiased variance for each channel."""
    require_float("batch_norm", input)
    x = _with_channels(input)
    _check_channels(x, weight=weight, bias=bias)
    _check_types(x, weight, bias)
    channels = x.shape[1]
    count = x.size // max(channels, 1)
    if count == 1:
        raise ValueError(_ONE_VALUE.format(size=size(input)))
    if eps <= 0:
        raise ValueError(f"batch_norm eps must be positive during training, but got {eps}")
    axes = (0, *range(2, x.ndim))
    y, mean, variance = standardize(wide(x), axes, eps)
    y = _affine(y, weight, bias, _channel_shape(x)).astype(input.dtype)
    unbiased = variance * (count / max(count - 1, 1))
    return y.reshape(input.shape), mean.reshape(channels), unbiased.reshape(channels)


@op(differentiable=False)
def _running_statistics(
    running_mean: Array, running_var: Array, mean: Array, variance: Array, momentum: Array
) -> tuple[Array, Array]:
    """(1 - momentum) * running + momentum * batch, for the mean and for the variance."""

    def blend(running: Array, batch: Array) -> Array:
        m = jnp.asarray(momentum).astype(running.dtype)
        batch = jax.lax.stop_gradient(batch).astype(running.dtype)
        return (1 - m) * running + m * batch

    return blend(running_mean, mean), blend(running_var, variance)


@op(name="batch_norm")
def _batch_norm_eval(
    input: Array,
    running_mean: Array,
    running_var: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """(x - running_mean) / sqrt(running_var + eps) * weight + bias as one scale and one shift."""
    require_float("batch_norm", input)
    x = _with_channels(input)
    _check_channels(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    _check_types(x, running_mean, running_var, weight, bias)
    scale = jax.lax.rsqrt(wide(running_var) + eps)
    scale = scale if weight is None else scale * wide(weight)
    shift = -wide(running_mean) * scale
    shift = shift if bias is None else shift + wide(bias)
    shape = _channel_shape(x)
    y = wide(x) * scale.reshape(shape) + shift.reshape(shape)
    return y.astype(input.dtype).reshape(input.shape)


def _update(running_mean: Any, running_var: Any, mean: Any, variance: Any, momentum: Any) -> None:
    """Rebinds the running statistics to their next values; nothing happens to plain arrays."""
    new_mean, new_var = _running_statistics(
        mean if running_mean is None else running_mean,
        variance if running_var is None else running_var,
        mean,
        variance,
        momentum,
    )
    if running_mean is not None:
        inplace(running_mean, new_mean)
    if running_var is not None:
        inplace(running_var, new_var)


def batch_norm(
    input: Array,
    running_mean: Array | None,
    running_var: Array | None,
    weight: Array | None = None,
    bias: Array | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalizes each channel of (N, C, ...) over all other dimensions.

    y = (x - mean) / sqrt(variance + eps) * weight + bias. With `training`, mean and variance are
    the batch's, and Tensors given as running statistics move towards them by the factor `momentum`
    (the variance with Bessel's correction). Without it they are the running statistics.

    Plain JAX arrays cannot be changed in place: given as running statistics they are left as they
    are. `functional_call` returns the buffers of a layer.

    Raises ValueError for a single value per channel in training, RuntimeError for a wrong number of
    channels. Paper: Batch Normalization (https://arxiv.org/abs/1502.03167).
    """
    if not training:
        for name, running in (("running_mean", running_mean), ("running_var", running_var)):
            if running is None:
                raise RuntimeError(
                    f"{name} must be defined in evaluation mode; give it, or pass training=True"
                )
        if eps < 0:
            raise ValueError(f"batch_norm eps must be non-negative, but got {eps}")
        return _batch_norm_eval(input, running_mean, running_var, weight, bias, eps)
    shaped = _with_channels(input)
    _check_channels(shaped, running_mean=running_mean, running_var=running_var)
    y, mean, variance = _batch_norm_train(input, weight, bias, eps)
    if running_mean is not None or running_var is not None:
        _update(running_mean, running_var, mean, variance, momentum)
    return y


# --- instance and group norm ---------------------------------------------------------------------


@op(name="instance_norm")
def _instance_norm_train(
    input: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """The normalized input, and the mean over the batch of its statistics for each channel."""
    require_float("instance_norm", input)
    count = int(np.prod(input.shape[2:], dtype=np.int64))
    if count == 1:
        raise ValueError(
            f"Expected more than 1 spatial element when training, got input size {size(input)}"
        )
    _check_channels(input, weight=weight, bias=bias)
    _check_types(input, weight, bias)
    y, mean, variance = standardize(wide(input), tuple(range(2, input.ndim)), eps)
    y = _affine(y, weight, bias, _channel_shape(input)).astype(input.dtype)
    shape = input.shape[:2]
    unbiased = variance.reshape(shape) * (count / max(count - 1, 1))
    return y, mean.reshape(shape).mean(0), unbiased.mean(0)


def instance_norm(
    input: Array,
    running_mean: Array | None = None,
    running_var: Array | None = None,
    weight: Array | None = None,
    bias: Array | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Array:
    """Normalizes each channel of each sample of (N, C, ...) over its spatial dimensions.

    The running statistics are treated as by `batch_norm`: without `use_input_stats` they are used,
    with it they move towards the mean over the batch. Raises ValueError for a single spatial
    element. Paper: Instance Normalization (https://arxiv.org/abs/1607.08022).
    """
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise RuntimeError(
                "Expected running_mean and running_var to be defined when use_input_stats is false"
            )
        return _batch_norm_eval(input, running_mean, running_var, weight, bias, eps)
    _check_channels(input, running_mean=running_mean, running_var=running_var)
    y, mean, variance = _instance_norm_train(input, weight, bias, eps)
    if running_mean is not None or running_var is not None:
        _update(running_mean, running_var, mean, variance, momentum)
    return y


def _check_groups(x: Array, num_groups: int, weight: Any, bias: Any) -> None:
    if x.ndim < 2:
        raise RuntimeError(f"Expected at least 2 dimensions for input tensor but received {x.ndim}")
    channels = x.shape[1]
    if channels % num_groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(x.shape)} and num_groups={num_groups}"
        )
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and p.shape != (channels,):
            raise RuntimeError(
                f"Expected {name} to be a vector of size equal to the number of channels in input, "
                f"but got {name} of shape {list(p.shape)} and input of shape {list(x.shape)}"
            )
    if x.size == num_groups:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {list(x.shape)}"
        )


@op
def group_norm(
    input: Array,
    num_groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalizes each group of channels of each sample of (N, C, ...); C divides by `num_groups`.

    Raises RuntimeError when it does not. Paper: Group Normalization
    (https://arxiv.org/abs/1803.08494).
    """
    _check_groups(input, num_groups, weight, bias)
    require_float("group_norm", input)
    _check_types(input, weight, bias)
    groups = wide(input).reshape(input.shape[0], num_groups, -1) if input.size else wide(input)
    y, _, _ = standardize(groups, (groups.ndim - 1,), eps)
    return _affine(y.reshape(input.shape), weight, bias, _channel_shape(input)).astype(input.dtype)


# --- layer norm ----------------------------------------------------------------------------------


def _trailing_axes(
    x: Array, normalized_shape: Any, weight: Any, bias: Any = None
) -> tuple[int, ...]:
    """The axes of `normalized_shape`, after checks of it and of the parameters' shapes."""
    if not isinstance(normalized_shape, (tuple, list)):
        raise TypeError(
            f"argument 'normalized_shape' must be tuple of ints, not "
            f"{type(normalized_shape).__name__}: write ({normalized_shape},)"
        )
    wanted = tuple(normalized_shape)
    if not wanted:
        raise RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one "
            "element, but got normalized_shape = []"
        )
    for name, p in (("weight", weight), ("bias", bias)):
        if p is not None and tuple(p.shape) != wanted:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(p.shape)} and normalized_shape = {list(wanted)}"
            )
    if tuple(x.shape[max(x.ndim - len(wanted), 0) :]) != wanted:
        raise RuntimeError(
            f"Given normalized_shape={list(wanted)}, expected input with shape "
            f"[*, {', '.join(map(str, wanted))}], but got input of size{list(x.shape)}"
        )
    return tuple(range(x.ndim - len(wanted), x.ndim))


@op
def layer_norm(
    input: Array,
    normalized_shape: Sequence[int],
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalizes over the last dimensions, which must be `normalized_shape`, scales and shifts.

    y = (x - mean) / sqrt(variance + eps) * weight + bias, with the biased variance. Raises
    RuntimeError when a shape does not fit. Paper: Layer Normalization
    (https://arxiv.org/abs/1607.06450).
    """
    axes = _trailing_axes(input, normalized_shape, weight, bias)
    require_float("layer_norm", input)
    _check_types(input, weight, bias)
    y, _, _ = standardize(wide(input), axes, eps)
    return _affine(y, weight, bias, tuple(normalized_shape)).astype(input.dtype)


@op
def rms_norm(
    input: Array,
    normalized_shape: Sequence[int],
    weight: Array | None = None,
    eps: float | None = None,
) -> Array:
    """x / sqrt(mean(x^2) + eps) * weight over the last dimensions.

    `eps` is the smallest step of the type at 1 if not given. Paper: Root Mean Square Layer
    Normalization (https://arxiv.org/abs/1910.07467).
    """
    axes = _trailing_axes(input, normalized_shape, weight)
    require_float("rms_norm", input)
    x = wide(input)
    step = float(jnp.finfo(x.dtype).eps) if eps is None else eps
    y, _, _ = standardize(x, axes, step, False)
    return _affine(y, weight, None, tuple(normalized_shape)).astype(input.dtype)


# --- others --------------------------------------------------------------------------------------


@op
def local_response_norm(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta, for (N, C, ...).

    Channels beyond the ends count as zeros. Raises ValueError for fewer than 3 dimensions. Paper:
    ImageNet Classification with Deep Convolutional Neural Networks (NIPS 2012).
    """
    x = input
    if x.ndim < 3:
        raise ValueError(f"Expected 3D or higher dimensionality input (got {x.ndim} dimensions)")
    if size < 1:
        raise RuntimeError(f"kernel size should be greater than zero, but got size {size}")
    channels = x.shape[1]
    widths = [(0, 0), (size // 2, (size - 1) // 2)] + [(0, 0)] * (x.ndim - 2)
    squares = jnp.pad(x * x, widths)
    total: Any = sum(jax.lax.slice_in_dim(squares, i, i + channels, axis=1) for i in range(size))
    if not is_float(x):  # whose mean is whole, as that of PyTorch's pooling
        x, total = (v.astype(dtypes.default_float()) for v in (x, total // size * size))
    return x / (k + alpha / size * total) ** beta


@op
def cross_map_lrn2d(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1
) -> Array:
    """x / (k + alpha / size * sum of x^2 over neighbouring channels)^beta, for (N, C, H, W).

    The neighbours are (size - 1) // 2 channels on both sides, and always channel 0: PyTorch never
    takes it out of its running sum, and values here are PyTorch's. The gradient is that of these
    values; PyTorch's is not. Raises ValueError for another number of dimensions.
    """
    x = input
    if x.ndim != 4:
        raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {x.ndim}D instead.")
    channel = np.arange(x.shape[1])
    near = np.abs(channel[:, None] - channel) <= (size - 1) // 2
    counted = (near | (channel == 0)).astype(x.dtype)
    total = jnp.einsum("ij,njhw->nihw", counted, x * x, precision=jax.lax.Precision.HIGHEST)
    return x * (k + alpha / size * total) ** -beta


@op(name="normalize")
def _normalize(input: Array, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Array:
    if not is_float(input):
        raise RuntimeError(
            f"normalize: Expected a floating point or complex tensor as input. Got "
            f"{type_name(input)}; call .float() first"
        )
    axis, x = canonical_dim(dim, input.ndim), wide(input)
    norm = vector_norm_of(x, p, (axis,), True) if x.ndim else magnitude(x)
    return (x / clamp_min(norm, eps)).astype(input.dtype)


def normalize(
    input: Array, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Array | None = None
) -> Array:
    """x / max(|x|_p, eps) along `dim`; the result is written into the Tensor `out` if given."""
    y = _normalize(input, p, dim, eps)
    return y if out is None else inplace(out, y)
