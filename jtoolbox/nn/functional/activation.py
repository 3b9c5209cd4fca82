"""Activation functions: element by element, and the softmax family along one dimension.

Each body is the formula. Where a formula has a kink, the `where` is written so that JAX's gradient
is PyTorch's there, and its other branch never overflows: an infinity in a branch that is not taken
would still make the gradient NaN.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes, random
from jtoolbox.engine import Array, Key, op
from jtoolbox.engine import inplace as _rebind
from jtoolbox.engine.record import spread
from jtoolbox.nn.functional.checks import is_float, require_float, type_name, warn_user, wide
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import magnitude, neg
from jtoolbox.ops.elementwise import sigmoid as sigmoid
from jtoolbox.ops.elementwise import tanh as tanh

__all__ = [
    *("celu", "celu_", "elu", "elu_", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid"),
    *("hardswish", "hardtanh", "hardtanh_", "leaky_relu", "leaky_relu_", "log_softmax"),
    *("logsigmoid", "mish", "prelu", "relu", "relu6", "relu_", "rrelu", "rrelu_", "selu", "selu_"),
    *("sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink", "softsign", "tanh"),
    *("tanhshrink", "threshold", "threshold_"),
]

SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def _finish(x: Any, y: Any, inplace: bool) -> Any:
    """The result, written back into `x` if `inplace`."""
    return _rebind(x, y) if inplace else y


def _require_ordered(name: str, x: Array) -> None:
    """Raises for what is no real number."""
    if x.dtype == np.bool_:
        raise RuntimeError(f"Boolean inputs not supported for {name}: convert them with .to()")
    if jnp.issubdtype(x.dtype, np.complexfloating):
        raise NotImplementedError(
            f"{name} is not supported for complex types: call it on .real and .imag"
        )


# --- one-sided -----------------------------------------------------------------------------------


@op(name="relu", saves="output")
def _relu(input: Array) -> Array:
    _require_ordered("relu", input)
    return jnp.where(input <= 0, jnp.zeros((), input.dtype), input)


def relu(input: Array, inplace: bool = False) -> Array:
    """max(0, x), with gradient 0 at 0."""
    y = _relu(input)
    return _rebind(input, y) if inplace else y


def relu_(input: Array) -> Array:
    """`relu` in place."""
    return _rebind(input, _relu(input))


@op(name="leaky_relu")
def _leaky_relu(input: Array, negative_slope: float = 0.01) -> Array:
    require_float("leaky_relu", input)
    return jnp.where(input > 0, input, input * negative_slope)


def leaky_relu(input: Array, negative_slope: float = 0.01, inplace: bool = False) -> Array:
    """x where it is positive, negative_slope * x elsewhere."""
    return _finish(input, _leaky_relu(input, negative_slope), inplace)


def leaky_relu_(input: Array, negative_slope: float = 0.01) -> Array:
    """`leaky_relu` in place."""
    return _rebind(input, _leaky_relu(input, negative_slope))


_CHANNELS = (
    "Mismatch of parameter numbers and input channel size. Found parameter numbers = {found} and "
    "channel size = {channels}. Use one slope for all, or one for each channel (dimension 1)."
)


@op
def prelu(input: Array, weight: Array) -> Array:
    """x where it is positive, weight * x elsewhere; one weight, or one for each channel.

    Channels are dimension 1 of the input. Raises RuntimeError when the numbers do not fit.
    """
    x, w = input, weight
    if x.dtype != w.dtype:
        raise RuntimeError(
            f"prelu: Type promoting not supported. Got {type_name(x)} and {type_name(w)}"
        )
    if w.ndim > 1:
        raise RuntimeError(
            f"prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = {w.ndim}"
        )
    if w.size != 1:
        if x.ndim == 0:
            raise RuntimeError("prelu: Not allow zero-dim input tensor with a weight per channel.")
        channels = x.shape[1] if x.ndim > 1 else 1
        if w.size != channels:
            raise RuntimeError(_CHANNELS.format(found=w.size, channels=channels))
    shape = (w.size,) + (1,) * (x.ndim - 2) if x.ndim > 1 else ()
    return jnp.where(x > 0, x, spread(w.reshape(shape), x.shape) * x)


@op(name="rrelu")
def _rrelu_train(input: Array, lower: float, upper: float, key: Key = None) -> Array:
    require_float("rrelu", input)
    uniform = (random.uniform_bits(key, input.shape) >> 8).astype(np.float32) * 2.0**-24
    slope = (lower + (upper - lower) * uniform).astype(input.dtype)
    return jnp.where(input > 0, input, input * slope)


_BOUNDS = "Lower bound should be less than or equal to the upper bound, got {lower} and {upper}"


def rrelu(
    input: Array,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Array:
    """`leaky_relu` with a slope drawn for each element from [lower, upper).

    Without `training` the slope is the mean of the two bounds. Raises RuntimeError when
    lower > upper. Paper: Empirical Evaluation of Rectified Activations in Convolutional Network
    (https://arxiv.org/abs/1505.00853).
    """
    if lower > upper:
        raise RuntimeError(_BOUNDS.format(lower=lower, upper=upper))
    y = _rrelu_train(input, lower, upper) if training else _leaky_relu(input, (lower + upper) / 2)
    return _finish(input, y, inplace)


def rrelu_(
    input: Array, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False
) -> Array:
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, inplace=True)


@op(name="threshold")
def _threshold(input: Array, threshold: float, value: float) -> Array:
    return jnp.where(input <= threshold, jnp.asarray(value, input.dtype), input)


def threshold(input: Array, threshold: float, value: float, inplace: bool = False) -> Array:
    """x where x > threshold, `value` elsewhere."""
    return _finish(input, _threshold(input, threshold, value), inplace)


def threshold_(input: Array, threshold: float, value: float) -> Array:
    """`threshold` in place."""
    return _rebind(input, _threshold(input, threshold, value))


# --- exponential ---------------------------------------------------------------------------------


def _elu_formula(x: Array, alpha: float, scale: float, inner: float) -> Array:
    """scale * x where x > 0, scale * alpha * (exp(inner * x) - 1) elsewhere."""
    below = jnp.where(x > 0, jnp.zeros((), x.dtype), x)
    return jnp.where(x > 0, x * scale, jnp.expm1(below * inner) * (alpha * scale))


@op(name="elu", wide=True)
def _elu(input: Array, alpha: float = 1.0) -> Array:
    require_float("elu", input)
    return _elu_formula(input, alpha, 1.0, 1.0)


def elu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """x where it is positive, alpha * (exp(x) - 1) elsewhere."""
    return _finish(input, _elu(input, alpha), inplace)


def elu_(input: Array, alpha: float = 1.0) -> Array:
    """`elu` in place."""
    return _rebind(input, _elu(input, alpha))


@op(name="selu", wide=True)
def _selu(input: Array) -> Array:
    require_float("selu", input)
    return _elu_formula(input, SELU_ALPHA, SELU_SCALE, 1.0)


def selu(input: Array, inplace: bool = False) -> Array:
    """scale * elu(x, alpha), with the constants that keep mean 0 and variance 1 through layers.

    Paper: Self-Normalizing Neural Networks (https://arxiv.org/abs/1706.02515).
    """
    return _finish(input, _selu(input), inplace)


def selu_(input: Array) -> Array:
    """`selu` in place."""
    return _rebind(input, _selu(input))


@op(name="celu", wide=True)
def _celu(input: Array, alpha: float = 1.0) -> Array:
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    require_float("celu", input)
    return _elu_formula(input, alpha, 1.0, 1.0 / alpha)


def celu(input: Array, alpha: float = 1.0, inplace: bool = False) -> Array:
    """x where it is positive, alpha * (exp(x / alpha) - 1) elsewhere: smooth for every alpha."""
    return _finish(input, _celu(input, alpha), inplace)


def celu_(input: Array, alpha: float = 1.0) -> Array:
    """`celu` in place."""
    return _rebind(input, _celu(input, alpha))


# --- smooth --------------------------------------------------------------------------------------


@op(wide=True)
def gelu(input: Array, approximate: str = "none") -> Array:
    """x * Phi(x), Phi the normal distribution function; "tanh" takes its common approximation.

    Paper: Gaussian Error Linear Units (https://arxiv.org/abs/1606.08415).
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError(f"approximate argument must be either none or tanh, got {approximate!r}")
    require_float("gelu", input)
    x = input
    if approximate == "none":
        return 0.5 * x * (1 + jax.lax.erf(x * math.sqrt(0.5)))
    return 0.5 * x * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


@op(name="silu", wide=True)
def _silu(input: Array) -> Array:
    require_float("silu", input)
    return input * jax.nn.sigmoid(input)


def silu(input: Array, inplace: bool = False) -> Array:
    """x * sigmoid(x), also called swish."""
    return _finish(input, _silu(input), inplace)


@op(name="mish", wide=True)
def _mish(input: Array) -> Array:
    require_float("mish", input)
    return input * jnp.tanh(jax.nn.softplus(input))


def mish(input: Array, inplace: bool = False) -> Array:
    """x * tanh(softplus(x))."""
    return _finish(input, _mish(input), inplace)


@op(wide=True)
def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta * x)) / beta, a smooth relu; just x where beta * x > threshold."""
    require_float("softplus", input)
    scaled = input * beta
    return jnp.where(scaled > threshold, input, jax.nn.softplus(scaled) / beta)


@op(wide=True)
def logsigmoid(input: Array) -> Array:
    """log(sigmoid(x)), without overflow at either end."""
    require_float("logsigmoid", input)
    return jax.nn.log_sigmoid(input)


@op(promote=("input",), promote_float=True, wide=True)
def softsign(input: Array) -> Array:
    """x / (1 + |x|)."""
    return input / (1 + magnitude(input))


@op(promote=("input",), promote_float=True, wide=True)
def tanhshrink(input: Array) -> Array:
    """x - tanh(x)."""
    return input - jnp.tanh(input)


@op(wide=True)
def glu(input: Array, dim: int = -1) -> Array:
    """a * sigmoid(b), where a and b are the two halves of the input along `dim`.

    Raises RuntimeError when that dimension has an odd size.
    """
    if input.ndim == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    axis = canonical_dim(dim, input.ndim)
    length = input.shape[axis]
    if length % 2:
        raise RuntimeError(
            f"Halving dimension must be even, but dimension {axis} is size {length} "
            f"in an input of shape {list(input.shape)}"
        )
    require_float("glu", input)
    a, b = jnp.split(input, 2, axis)
    return a * jax.nn.sigmoid(b)


# --- piecewise linear ----------------------------------------------------------------------------


@op(name="hardtanh")
def _hardtanh(input: Array, min_val: float, max_val: float) -> Array:
    _require_ordered("hardtanh", input)
    if jnp.issubdtype(input.dtype, np.unsignedinteger) and min_val < 0:
        raise RuntimeError(
            f"cannot do hardtanh on an unsigned type with negative limits, got min_val {min_val}"
        )
    if jnp.issubdtype(input.dtype, np.integer):
        min_val, max_val = int(min_val), int(max_val)
    low, high = jnp.asarray(min_val, input.dtype), jnp.asarray(max_val, input.dtype)
    return jnp.where(input <= low, low, jnp.where(input >= high, high, input))


def hardtanh(
    input: Array, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> Array:
    """x kept within [min_val, max_val], with gradient 0 at both bounds.

    Raises ValueError when min_val > max_val.
    """
    if min_val > max_val:
        raise ValueError(f"min_val cannot be greater than max_val, got {min_val} and {max_val}")
    return _finish(input, _hardtanh(input, min_val, max_val), inplace)


def hardtanh_(input: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """`hardtanh` in place."""
    return hardtanh(input, min_val, max_val, inplace=True)


def relu6(input: Array, inplace: bool = False) -> Array:
    """min(max(0, x), 6)."""
    return _finish(input, _hardtanh(input, 0, 6), inplace)


@op(name="hardsigmoid")
def _hardsigmoid(input: Array) -> Array:
    require_float("hardsigmoid", input)
    zero, one = jnp.zeros((), input.dtype), jnp.ones((), input.dtype)
    return jnp.where(input <= -3, zero, jnp.where(input >= 3, one, (input + 3) / 6))


def hardsigmoid(input: Array, inplace: bool = False) -> Array:
    """(x + 3) / 6 kept within [0, 1]."""
    return _finish(input, _hardsigmoid(input), inplace)


@op(name="hardswish")
def _hardswish(input: Array) -> Array:
    require_float("hardswish", input)
    middle = input * (input + 3) / 6
    return jnp.where(input <= -3, jnp.zeros((), input.dtype), jnp.where(input >= 3, input, middle))


def hardswish(input: Array, inplace: bool = False) -> Array:
    """x * hardsigmoid(x).

    Paper: Searching for MobileNetV3 (https://arxiv.org/abs/1905.02244).
    """
    return _finish(input, _hardswish(input), inplace)


@op
def hardshrink(input: Array, lambd: float = 0.5) -> Array:
    """x where |x| > lambd, 0 elsewhere."""
    require_float("hardshrink", input)
    return jnp.where(jnp.abs(input) <= lambd, jnp.zeros((), input.dtype), input)


@op
def softshrink(input: Array, lambd: float = 0.5) -> Array:
    """x moved towards 0 by lambd, and 0 where |x| <= lambd. Raises RuntimeError for lambd < 0."""
    require_float("softshrink", input)
    if lambd < 0:
        raise RuntimeError(
            f"lambda must be in range [0, {float(jnp.finfo(input.dtype).max):g}] for input dtype "
            f"{type_name(input)}, but found {lambd}"
        )
    inside = jnp.abs(input) <= lambd
    return jnp.where(inside, jnp.zeros((), input.dtype), input - jnp.sign(input) * lambd)


# --- softmax -------------------------------------------------------------------------------------


def _choose_dim(name: str, dim: int | None, ndim: int) -> int:
    """The dimension given, or with a warning the one that PyTorch takes when none is."""
    if dim is not None:
        return canonical_dim(dim, ndim)
    warn_user(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument."
    )
    return 0 if ndim in (0, 1, 3) else 1


def _softmax_input(name: str, x: Array, dtype: Any) -> tuple[Array, np.dtype]:
    """The input in the type to compute in, and the type of the result."""
    if dtype is not None:
        x = x.astype(dtypes.as_numpy(dtype))
    require_float(name, x)
    return wide(x), x.dtype


@op(saves="output")
def softmax(input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Array:
    """exp(x) / sum(exp(x)) along `dim`: positive numbers that add up to 1.

    `dtype` casts the input first. Without `dim` it warns, and takes 0 for 0, 1 and 3 dimensions
    and 1 for any other number, as PyTorch does.
    """
    axis = _choose_dim("softmax", dim, input.ndim)
    x, result = _softmax_input("softmax", input, dtype)
    return jnp.ones_like(x, result) if x.ndim == 0 else jax.nn.softmax(x, axis).astype(result)


@op(saves="output")
def softmin(input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Array:
    """softmax(-x) along `dim`."""
    axis = _choose_dim("softmin", dim, input.ndim)
    # Turned in its own type: integers without sign wrap, as PyTorch's do.
    x, result = _softmax_input("softmax", neg(input), dtype)
    return jnp.ones_like(x, result) if x.ndim == 0 else jax.nn.softmax(x, axis).astype(result)


@op(saves="output")
def log_softmax(
    input: Array, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None
) -> Array:
    """log(softmax(x)) along `dim`, computed without the underflow that the two steps would have."""
    axis = _choose_dim("log_softmax", dim, input.ndim)
    x, result = _softmax_input("log_softmax", input, dtype)
    return jnp.zeros_like(x, result) if x.ndim == 0 else jax.nn.log_softmax(x, axis).astype(result)


@op(name="gumbel_softmax")
def _gumbel_softmax(logits: Array, tau: Array, hard: bool, dim: int, key: Key = None) -> Array:
    if not is_float(logits):
        raise RuntimeError(
            "gumbel_softmax draws from a continuous probability distribution. dtype must be a "
            f"floating point but got {type_name(logits)}; call .float() first"
        )
    axis = canonical_dim(dim, logits.ndim)
    noise = jax.random.gumbel(random.jax_key(key), logits.shape, logits.dtype)
    soft = jax.nn.softmax((logits + noise) / jnp.asarray(tau, logits.dtype), axis)
    if not hard:
        return soft
    one_hot = jax.nn.one_hot(soft.argmax(axis), soft.shape[axis], dtype=soft.dtype, axis=axis)
    return one_hot - jax.lax.stop_gradient(soft) + soft


def gumbel_softmax(
    logits: Array, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Array:
    """A sample of the Gumbel-softmax distribution: softmax((logits + Gumbel noise) / tau).

    With `hard` the result is one-hot, and its gradient that of the soft sample. `tau` may change
    at every call. `eps` has no effect. Paper: Categorical Reparameterization with Gumbel-Softmax
    (https://arxiv.org/abs/1611.01144).
    """
    if eps != 1e-10:
        warn_user("`eps` parameter is deprecated and has no effect.")
    return _gumbel_softmax(logits, tau, hard, dim)
