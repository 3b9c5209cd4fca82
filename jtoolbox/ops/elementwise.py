"""Functions of one number, applied to each element: exp, sin, round, real and the like."""

from __future__ import annotations

import builtins
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops import return_types

__all__ = [
    *("abs", "absolute", "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh"),
    *("arctan", "arctanh", "asin", "asinh", "atan", "atanh", "bitwise_not", "ceil", "cos"),
    *("cosh", "deg2rad", "exp", "exp2", "expm1", "fix", "floor", "frac", "frexp", "log"),
    *("log10", "log1p", "log2", "logit", "nan_to_num", "neg", "negative", "positive"),
    *("rad2deg", "reciprocal", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit"),
    *("sin", "sinc", "sinh", "sqrt", "square", "tan", "tanh", "trunc"),
]

# Functions whose result is no integer: integers and bools become floats first.
_to_float = functools.partial(op, promote=("input",), promote_float=True)


def is_integer(x: Array) -> bool:
    """Whether an array holds integers or bools."""
    return not jnp.issubdtype(x.dtype, jnp.inexact)


def as_float(x: Array) -> Array:
    """Integers and bools as floats of the default type; floats and complex numbers as they are."""
    return x.astype(dtypes.canonical(dtypes.default_float())) if is_integer(x) else x


def is_complex(x: Array) -> bool:
    """Whether an array holds complex numbers."""
    return jnp.issubdtype(x.dtype, jnp.complexfloating)


# Exponentials, logarithms, roots


@_to_float(saves="output")
def exp(input: Array) -> Array:
    """e to the power of each element."""
    return jnp.exp(input)


@_to_float(saves="output", wide=True)
def exp2(input: Array) -> Array:
    """2 to the power of each element."""
    return jnp.exp2(input)


@_to_float(saves="output")
def expm1(input: Array) -> Array:
    """exp(x) - 1, accurate near 0."""
    return jnp.expm1(input)


@_to_float()
def log(input: Array) -> Array:
    """The natural logarithm: -inf at 0, NaN below."""
    return jnp.log(input)


@_to_float()
def log2(input: Array) -> Array:
    """The logarithm to base 2."""
    return jnp.log2(input)


@_to_float()
def log10(input: Array) -> Array:
    """The logarithm to base 10."""
    return jnp.log10(input)


@_to_float()
def log1p(input: Array) -> Array:
    """log(1 + x), accurate near 0."""
    return jnp.log1p(input)


@_to_float(saves="output")
def sqrt(input: Array) -> Array:
    """The square root: NaN below 0."""
    return jnp.sqrt(input)


@_to_float(saves="output")
def rsqrt(input: Array) -> Array:
    """1 / sqrt(x)."""
    return jax.lax.rsqrt(input)


@_to_float(saves="output")
def reciprocal(input: Array) -> Array:
    """1 / x."""
    return jnp.reciprocal(input)


@op
def square(input: Array) -> Array:
    """x * x; bools become integers."""
    x = input.astype(dtypes.index_dtype()) if input.dtype == bool else input
    return x * x


# Trigonometry


@_to_float()
def sin(input: Array) -> Array:
    """The sine of an angle in radians."""
    return jnp.sin(input)


@_to_float()
def cos(input: Array) -> Array:
    """The cosine of an angle in radians."""
    return jnp.cos(input)


@_to_float(saves="output")
def tan(input: Array) -> Array:
    """The tangent of an angle in radians."""
    return jnp.tan(input)


@_to_float()
def asin(input: Array) -> Array:
    """The angle in [-pi/2, pi/2] whose sine this is."""
    return jnp.arcsin(input)


@_to_float()
def acos(input: Array) -> Array:
    """The angle in [0, pi] whose cosine this is."""
    return jnp.arccos(input)


@_to_float()
def atan(input: Array) -> Array:
    """The angle in (-pi/2, pi/2) whose tangent this is."""
    return jnp.arctan(input)


@_to_float()
def sinh(input: Array) -> Array:
    """The hyperbolic sine."""
    return jnp.sinh(input)


@_to_float()
def cosh(input: Array) -> Array:
    """The hyperbolic cosine."""
    return jnp.cosh(input)


@_to_float(saves="output")
def tanh(input: Array) -> Array:
    """The hyperbolic tangent."""
    return jnp.tanh(input)


@_to_float()
def asinh(input: Array) -> Array:
    """The inverse of sinh."""
    return jnp.arcsinh(input)


@_to_float()
def acosh(input: Array) -> Array:
    """The inverse of cosh, for x >= 1."""
    return jnp.arccosh(input)


@_to_float()
def atanh(input: Array) -> Array:
    """The inverse of tanh, for -1 <= x <= 1."""
    return jnp.arctanh(input)


@_to_float(saves="none", refuses=("complex",))
def deg2rad(input: Array) -> Array:
    """Degrees to radians."""
    return input * (math.pi / 180)


@_to_float(saves="none", refuses=("complex",))
def rad2deg(input: Array) -> Array:
    """Radians to degrees."""
    return input * (180 / math.pi)


@_to_float()
def sinc(input: Array) -> Array:
    """sin(pi x) / (pi x), and 1 at 0."""
    return jnp.sinc(input)


# Sigmoid


@_to_float(saves="output")
def sigmoid(input: Array) -> Array:
    """1 / (1 + exp(-x))."""
    return jax.nn.sigmoid(input)


@_to_float(refuses=("complex",))
def logit(input: Array, eps: Array | None = None) -> Array:
    """log(x / (1 - x)), the inverse of sigmoid; with `eps`, x is first kept in [eps, 1 - eps]."""
    x = input
    if eps is not None:
        low = jnp.asarray(eps, x.dtype)
        high = 1 - low
        x = jnp.where(x < low, low, x)
        x = jnp.where(x > high, high, x)
    return jnp.log(x) - jnp.log1p(-x)


# Sign and rounding


def _no_bool(name: str, x: Array) -> None:
    if x.dtype == bool:
        raise RuntimeError(
            f"{name}, the `-` operator, on a bool tensor is not supported. If you are trying to "
            "invert a mask, use the `~` or `logical_not()` operator instead."
        )


@op(saves="none")
def neg(input: Array) -> Array:
    """-x. Raises RuntimeError for bools, which `~` inverts."""
    _no_bool("Negation", input)
    return -input


def positive(input: Any) -> Any:
    """x itself. Raises RuntimeError for bools."""
    if dtypes.as_numpy(input.dtype) == np.bool_:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def signs(x: Array) -> Array:
    """-1, 0 or 1; 0 for NaN, as in PyTorch. Bools stay as they are."""
    if x.dtype == bool:
        return x
    return jnp.sign(x) if is_integer(x) else jnp.where(jnp.isnan(x), 0, jnp.sign(x))


@jax.custom_jvp
def magnitude(x: Array) -> Array:
    """|x| with gradient 0 at 0, where that of `jnp.abs` is 1."""
    return jnp.abs(x)


@magnitude.defjvp
def _magnitude_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    size = magnitude(x)
    if not is_complex(x):
        return size, jnp.sign(x) * t
    return size, jnp.real(jnp.conj(jnp.where(size == 0, 0, x / jnp.where(size == 0, 1, size))) * t)


@op(refuses=("bool",))
def abs(input: Array) -> Array:
    """The absolute value; its gradient at 0 is 0."""
    return magnitude(input)


@op(saves="none")
def sign(input: Array) -> Array:
    """-1, 0 or 1. Raises NotImplementedError for complex numbers, which have `sgn`."""
    if is_complex(input):
        raise NotImplementedError("torch.sign doesn't support complex numbers: use sgn")
    return signs(input)


@op(saves="both")
def sgn(input: Array) -> Array:
    """x / |x|, and 0 at 0."""
    if not is_complex(input):
        return signs(input)
    size = jnp.abs(jnp.where(input == 0, 1, input))
    return jnp.where(input == 0, 0, input / size)


@op(differentiable=False, refuses=("complex",))
def signbit(input: Array) -> Array:
    """Whether the sign is negative, that of -0.0 included."""
    if input.dtype == bool:
        return jnp.zeros_like(input)
    return input < 0 if is_integer(input) else jnp.signbit(input)


def _whole(x: Array, f: Array) -> Array:
    if x.dtype == bool:
        raise NotImplementedError("rounding is not implemented for 'Bool'; convert the tensor")
    return x if is_integer(x) else f(x)


@op(saves="none", refuses=("complex",))
def floor(input: Array) -> Array:
    """The largest whole number not above x; integers stay as they are."""
    return _whole(input, jnp.floor)


@op(saves="none", refuses=("complex",))
def ceil(input: Array) -> Array:
    """The smallest whole number not below x; integers stay as they are."""
    return _whole(input, jnp.ceil)


@op(saves="none", refuses=("complex",))
def trunc(input: Array) -> Array:
    """x without its fraction; integers stay as they are."""
    return _whole(input, jnp.trunc)


@op(saves="none", refuses=("complex",))
def round(input: Array, *, decimals: int = 0) -> Array:
    """The nearest number with so many decimals, ties to the even one. Its gradient is 0."""
    if not decimals:
        return _whole(input, jnp.round)
    if is_integer(input):
        raise NotImplementedError("round with decimals is not implemented for integers")
    # Behind a barrier: XLA would multiply by the inverse of one number, which is rounded.
    scale = jax.lax.optimization_barrier(jnp.full_like(input, 10.0 ** builtins.abs(decimals)))
    if decimals > 0:
        return jnp.round(input * scale) / scale
    return jnp.round(input / scale) * scale


@op(saves="none", refuses=("complex",))
def frac(input: Array) -> Array:
    """x - trunc(x)."""
    if is_integer(input):
        raise NotImplementedError("frac is not implemented for integers")
    return input - jnp.trunc(input)


@op(refuses=("complex",))
def frexp(input: Array) -> tuple[Array, Array]:
    """(mantissa, exponent) with x = mantissa * 2^exponent and 0.5 <= |mantissa| < 1."""
    if is_integer(input):
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    _, exponent = jnp.frexp(jax.lax.stop_gradient(input))
    scale = jnp.exp2(-exponent.astype(input.dtype))
    return return_types.frexp(input * scale, exponent)


@op
def nan_to_num(
    input: Array,
    nan: Array | None = None,
    posinf: Array | None = None,
    neginf: Array | None = None,
) -> Array:
    """Replaces NaN (by 0) and the infinities (by the type's largest and smallest number)."""
    if is_integer(input):
        return input
    if is_complex(input):
        parts = (jnp.real(input), jnp.imag(input))
        return jax.lax.complex(*(_replace_non_finite(p, nan, posinf, neginf) for p in parts))
    return _replace_non_finite(input, nan, posinf, neginf)


def _replace_non_finite(x: Array, nan: Array, posinf: Array, neginf: Array) -> Array:
    limits = jnp.finfo(x.dtype)
    missing = jnp.isnan(x)
    high = jnp.asarray(limits.max if posinf is None else posinf, x.dtype)
    low = jnp.asarray(limits.min if neginf is None else neginf, x.dtype)
    x = jnp.where(x == jnp.inf, high, x)
    x = jnp.where(x == -jnp.inf, low, x)
    # Last, as what is put there may itself be infinite in this type.
    return jnp.where(missing, jnp.asarray(0 if nan is None else nan, x.dtype), x)


@op(differentiable=False, refuses=("float", "complex"))
def bitwise_not(input: Array) -> Array:
    """All bits inverted; logical not for bools. Raises NotImplementedError for floats."""
    return ~input


def invert(input: Array) -> Array:
    """The operator `~`: as `bitwise_not`, but raises TypeError for floats."""
    d = np.dtype(dtypes.as_numpy(input.dtype))
    if dtypes.kind(d) > 1:
        raise TypeError(
            "~ (operator.invert) is only implemented on integer and Boolean-type tensors, "
            f"got {dtypes.from_numpy(d)}"
        )
    return bitwise_not(input)


absolute, negative, fix = abs, neg, trunc
arcsin, arccos, arctan = asin, acos, atan
arcsinh, arccosh, arctanh = asinh, acosh, atanh
