"""Initial values of parameters, written in place: `nn.init.kaiming_normal_(layer.weight)`.

NOTE: on the host. Values are drawn by NumPy and put on the tensor's device, so that building a
model compiles nothing. The draws follow the `generator`, or the default one of `manual_seed`; the
distributions are PyTorch's, the numbers are not.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from jtoolbox import dtypes, random
from jtoolbox.engine import inplace, no_grad
from jtoolbox.tensor import Tensor, from_host

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {
    "linear": 1,
    "conv1d": 1,
    "conv2d": 1,
    "conv3d": 1,
    "conv_transpose1d": 1,
    "conv_transpose2d": 1,
    "conv_transpose3d": 1,
    "sigmoid": 1,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "selu": 3.0 / 4,
}
_FAR_FROM_MEAN = (
    "mean is more than 2 std from [a, b] in nn.init.trunc_normal_. "
    "The distribution of values may be incorrect."
)
_NO_FAN = "Fan in and fan out can not be computed for tensor with fewer than 2 dimensions"


def _host_rng(generator: random.Generator | None) -> np.random.Generator:
    """A generator of NumPy, seeded by the next key of ours."""
    source = random.default_generator if generator is None else generator
    return np.random.Generator(np.random.SFC64(source.next_seed()))


def _width(tensor: Tensor) -> Any:
    """The float type in which values for the tensor are drawn: float64 for it alone."""
    if not tensor.is_floating_point():
        raise NotImplementedError(
            f"random values are drawn for floating-point tensors only, got {tensor.dtype}"
        )
    return np.float64 if tensor.dtype is dtypes.float64 else np.float32


def _write(tensor: Tensor, values: np.ndarray) -> Tensor:
    """The tensor, with new values. `values` must be a fresh array: it is not copied."""
    values = values.astype(dtypes.as_numpy(tensor.dtype), copy=False)
    with no_grad():
        return inplace(tensor, from_host(values, tensor.device))


def _uniform(tensor: Tensor, a: float, b: float, rng: np.random.Generator) -> np.ndarray:
    if a > b:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={a} > to={b}"
        )
    values = rng.random(tuple(tensor.shape), _width(tensor))
    values *= b - a
    values += a
    return values


def _normal(tensor: Tensor, mean: float, std: float, rng: np.random.Generator) -> np.ndarray:
    if std < 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")
    values = rng.standard_normal(tuple(tensor.shape), _width(tensor))
    values *= std
    values += mean
    return values


def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: random.Generator | None = None
) -> Tensor:
    """Fills with draws from the uniform distribution over [a, b)."""
    return _write(tensor, _uniform(tensor, a, b, _host_rng(generator)))


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: random.Generator | None = None
) -> Tensor:
    """Fills with draws from the normal distribution."""
    return _write(tensor, _normal(tensor, mean, std, _host_rng(generator)))


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: random.Generator | None = None,
) -> Tensor:
    """Fills with draws from the normal distribution, those outside [a, b] drawn again.

    `a` and `b` are values, not numbers of standard deviations.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(_FAR_FROM_MEAN, stacklevel=2)
    rng = _host_rng(generator)
    inside = _normal_cdf((b - mean) / std) - _normal_cdf((a - mean) / std)
    if inside > 0.3:
        values = _redraw_normal(_normal(tensor, mean, std, rng), mean, std, a, b, rng)
    else:
        values = _uniform(tensor, a, b, rng)
        values = _reject_uniform(values, mean, std, a, b, rng)
    return _write(tensor, np.clip(values, a, b))


def _normal_cdf(x: float) -> float:
    return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _redraw_normal(values: Any, mean: float, std: float, a: float, b: float, rng: Any) -> Any:
    """Draws again what lies outside [a, b]: quick while most of the mass is inside."""
    flat = values.reshape(-1)
    outside = np.flatnonzero((flat < a) | (flat > b))
    while outside.size:
        drawn = mean + std * rng.standard_normal(outside.size, flat.dtype)
        flat[outside] = drawn
        outside = outside[(drawn < a) | (drawn > b)]
    return flat.reshape(values.shape)


def _reject_uniform(values: Any, mean: float, std: float, a: float, b: float, rng: Any) -> Any:
    """Thins uniform draws over [a, b] to the normal's shape there: quick in its tails."""
    flat = values.reshape(-1)
    peak = -0.5 * ((max(a, min(mean, b)) - mean) / std) ** 2
    waiting = np.arange(flat.size)
    while waiting.size:
        log_density = -0.5 * ((flat[waiting] - mean) / std) ** 2 - peak
        waiting = waiting[rng.random(waiting.size) > np.exp(log_density)]
        flat[waiting] = a + (b - a) * rng.random(waiting.size)
    return flat.reshape(values.shape)


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fills with one value."""
    return _write(tensor, np.full(tuple(tensor.shape), val, dtypes.as_numpy(tensor.dtype)))


def ones_(tensor: Tensor) -> Tensor:
    """Fills with ones."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fills with zeros."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Makes a matrix the identity: a linear layer hands on as many features as it can."""
    _check_matrix(tensor)
    return _write(tensor, np.eye(*tensor.shape, dtype=dtypes.as_numpy(tensor.dtype)))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Makes a convolution's weight hand on as many channels as it can, per group.

    The weight is (out, in, ...) with 1 to 3 spatial dimensions; the tap in their middle is 1 where
    the channels of output and input within a group agree, all others are 0.
    """
    if tensor.ndim not in (3, 4, 5):
        raise ValueError("Only tensors with 3, 4, or 5 dimensions are supported")
    out_channels, in_channels, *kernel = tensor.shape
    if out_channels % groups != 0:
        raise ValueError("dim 0 must be divisible by groups")
    values = np.zeros(tuple(tensor.shape), dtypes.as_numpy(tensor.dtype))
    per_group = out_channels // groups
    channel = np.arange(min(per_group, in_channels))
    middle = tuple(size // 2 for size in kernel)
    for group in range(groups):
        values[(group * per_group + channel, channel, *middle)] = 1
    return _write(tensor, values)


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a layer before this nonlinearity should widen its initial weights.

    1 for linear, conv and sigmoid, 5/3 for tanh, sqrt(2) for relu, 3/4 for selu, and
    sqrt(2 / (1 + slope^2)) for leaky_relu, whose slope `param` is 0.01 if not given.
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ValueError(f"negative_slope {param} not a valid number")
        return math.sqrt(2.0 / (1 + slope**2))
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}")
    return _GAINS[nonlinearity]


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """How many inputs feed an output, and how many outputs an input feeds."""
    if tensor.ndim < 2:
        raise ValueError(_NO_FAN)
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    modes = ["fan_in", "fan_out"]
    if mode.lower() not in modes:
        raise ValueError(f"Mode {mode.lower()} not supported, please use one of {modes}")
    return _calculate_fan_in_and_fan_out(tensor)[modes.index(mode.lower())]


def _xavier_std(tensor: Tensor, gain: float) -> float:
    fan_in, fan_out = _calculate_fan_in_and_fan_out(tensor)
    return gain * math.sqrt(2.0 / float(fan_in + fan_out))


def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: random.Generator | None = None
) -> Tensor:
    """Fills uniformly over [-a, a] with a = gain sqrt(6 / (fan_in + fan_out)).

    Understanding the difficulty of training deep feedforward neural networks,
    https://proceedings.mlr.press/v9/glorot10a.html
    """
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: random.Generator | None = None
) -> Tensor:
    """Fills from the normal distribution with std = gain sqrt(2 / (fan_in + fan_out)).

    The paper is that of `xavier_uniform_`.
    """
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float | None:
    """The standard deviation, or None (with a warning) for a tensor without elements."""
    if 0 in tensor.shape:
        warnings.warn("Initializing zero-element tensors is a no-op", stacklevel=3)
        return None
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> Tensor:
    """Fills uniformly over [-bound, bound] with bound = gain sqrt(3 / fan).

    `a` is the slope of a following leaky_relu. `mode="fan_in"` keeps the variance in the forward
    pass, `"fan_out"` in the backward pass.

    Delving Deep into Rectifiers, https://arxiv.org/abs/1502.01852
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    if std is None:
        return tensor
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: random.Generator | None = None,
) -> Tensor:
    """Fills from the normal distribution with std = gain / sqrt(fan).

    Arguments and paper are those of `kaiming_uniform_`.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity)
    return tensor if std is None else normal_(tensor, 0.0, std, generator)


def orthogonal_(
    tensor: Tensor, gain: float = 1, generator: random.Generator | None = None
) -> Tensor:
    """Fills with a random matrix whose rows or columns, whichever are fewer, are orthonormal.

    Dimensions after the first count as one. The matrix is multiplied by `gain`.

    Exact solutions to the nonlinear dynamics of learning in deep linear neural networks,
    https://arxiv.org/abs/1312.6120
    """
    if tensor.ndim < 2:
        raise ValueError("Only tensors with 2 or more dimensions are supported")
    if 0 in tensor.shape:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    shape = (max(rows, columns), min(rows, columns))
    q, r = np.linalg.qr(_host_rng(generator).standard_normal(shape, _width(tensor)))
    q *= np.sign(np.diag(r))
    values = q.T if rows < columns else q
    return _write(tensor, np.ascontiguousarray(values * gain).reshape(tuple(tensor.shape)))


def sparse_(
    tensor: Tensor,
    sparsity: float,
    std: float = 0.01,
    generator: random.Generator | None = None,
) -> Tensor:
    """Fills a matrix from a normal distribution, then zeroes the part `sparsity` of each column.

    Deep learning via Hessian-free optimization,
    https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf
    """
    _check_matrix(tensor)
    rng = _host_rng(generator)
    values = _normal(tensor, 0.0, std, rng)
    zeros = math.ceil(sparsity * tensor.shape[0])
    rows = np.argsort(rng.random(tuple(tensor.shape)), axis=0)[:zeros]
    np.put_along_axis(values, rows, 0, axis=0)
    return _write(tensor, values)


def _check_matrix(tensor: Tensor) -> None:
    if tensor.ndim != 2:
        raise ValueError("Only tensors with 2 dimensions are supported")


def _deprecated(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function under PyTorch's older name, without the underscore at the end."""
    new = function.__name__
    old = new[:-1]

    @functools.wraps(function)
    def renamed(*args: Any, **kwargs: Any) -> Tensor:
        message = f"`nn.init.{old}` is now deprecated in favor of `nn.init.{new}`."
        warnings.warn(message, FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    renamed.__name__ = old
    renamed.__doc__ = f"The deprecated name of `{new}`."
    return renamed


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)
