"""Arithmetic, element by element with broadcasting: add, mul, div, pow and the like."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import NO_DERIVATIVE
from jtoolbox.engine.record import check_broadcast, spread
from jtoolbox.ops.elementwise import as_float, is_complex, is_integer
from jtoolbox.ops.halves import wide

__all__ = [
    *("add", "addcdiv", "addcmul", "div", "divide", "float_power", "floor_divide", "fmod"),
    *("ldexp", "lerp", "mul", "multiply", "pow", "remainder", "rsub", "sub", "subtract"),
    *("true_divide",),
]

_pair = functools.partial(op, promote=("input", "other"))


def promoted(*operands: Array) -> list[Array]:
    """The operands in their common type, for functions that must see their own types before."""
    shape = check_broadcast([np.shape(x) for x in operands])
    common = dtypes.result_type(*operands)
    return [spread(jnp.asarray(x).astype(common), shape) for x in operands]


# Sums and products


def _scaled(x: Array, alpha: Array | None) -> Array:
    """alpha * x in the type of x."""
    if alpha is None:
        return x
    factor = jnp.asarray(alpha)
    if is_integer(x) and not is_integer(factor):
        raise RuntimeError(
            "For integral input tensors, argument alpha must not be a floating point number."
        )
    return x * factor.astype(x.dtype)


@_pair(saves="none")
def add(input: Array, other: Array, *, alpha: Array | None = None) -> Array:
    """input + alpha * other, where alpha is 1 if not given; of bools, whether either is true."""
    return input + _scaled(other, alpha)


@op(saves="none")
def sub(input: Array, other: Array, *, alpha: Array | None = None) -> Array:
    """input - alpha * other, where alpha is 1 if not given.

    Raises RuntimeError when one of the two is a bool.
    """
    if np.dtype(bool) in (jnp.result_type(input), jnp.result_type(other)):
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are "
            "trying to invert a mask, use the `~` or `logical_not()` operator instead."
        )
    x, y = promoted(input, other)
    return x - _scaled(y, alpha)


def rsub(input: Array, other: Array, *, alpha: Array | None = None) -> Array:
    """other - alpha * input, where alpha is 1 if not given."""
    return sub(other, input, alpha=alpha)


@_pair()
def mul(input: Array, other: Array) -> Array:
    """input * other; of bools, whether both are true."""
    return input * other


# Division


def _is_whole(x: Any) -> bool:
    """Whether a number, array or Tensor (or what stands for one) holds integers or bools."""
    d = dtypes.as_numpy(getattr(x, "dtype", None))
    return isinstance(x, int) if d is None else dtypes.kind(d) < 2


def _no_zero_divisor(input: Any, other: Any, *_: Any) -> None:
    """Raises for an integer division by a zero that the host can see."""
    seen = isinstance(other, (np.ndarray, np.generic, int))
    if seen and _is_whole(input) and _is_whole(other) and not np.all(other):
        raise RuntimeError("ZeroDivisionError: integer division or remainder by zero")


_division = functools.partial(_pair, check=_no_zero_divisor)


def _floor_quotient(x: Array, y: Array) -> Array:
    """The quotient rounded down, from the exact remainder, so that 1 // 0.1 is 9."""
    if is_integer(x):
        return jnp.floor_divide(x, y)
    rest = jax.lax.rem(x, y)
    quotient = (x - rest) / y - jnp.where((rest != 0) & ((y < 0) != (rest < 0)), 1, 0)
    return jnp.where(y == 0, x / y, jnp.round(quotient))


def _div_check(input: Any, other: Any, rounding_mode: str | None = None) -> None:
    if rounding_mode is not None:
        _no_zero_divisor(input, other)


@_pair(check=_div_check)
def div(input: Array, other: Array, *, rounding_mode: str | None = None) -> Array:
    """input / other, exact or rounded: 'trunc' towards zero, 'floor' down.

    Without rounding integers become floats. Integers divided by zero with rounding raise
    RuntimeError where the divisor is a number or lies on the host.
    """
    if rounding_mode not in (None, "trunc", "floor"):
        raise RuntimeError(
            "div expected rounding_mode to be one of None, 'trunc', or 'floor' but found "
            f"'{rounding_mode}'"
        )
    if rounding_mode is None:
        return as_float(input) / as_float(other)
    dtypes.refuse("div", input, "bool", "complex")
    input, other = jnp.broadcast_arrays(input, other)
    if rounding_mode == "floor":
        return _constant(_floor_quotient(input, other))
    return jax.lax.div(input, other) if is_integer(input) else jnp.trunc(input / other)


def _constant(x: Array) -> Array:
    """x with a zero gradient."""
    return jax.lax.stop_gradient(x)


@numpy_names
def true_divide(input: Array, other: Array) -> Array:
    """input / other, as floats."""
    return div(input, other)


@_division(tags=(NO_DERIVATIVE,), refuses=("bool", "complex"))
def floor_divide(input: Array, other: Array) -> Array:
    """The quotient rounded down, towards minus infinity. A backward pass through it raises."""
    return _constant(_floor_quotient(*jnp.broadcast_arrays(input, other)))


@jax.custom_jvp
def _remainder(x: Array, y: Array) -> Array:
    return jnp.remainder(x, y)


@jax.custom_jvp
def _fmod(x: Array, y: Array) -> Array:
    return jax.lax.rem(x, y)


# x - y * quotient, whose quotient is constant: JAX rounds x / y, which may miss the exact quotient.
_remainder.defjvps(lambda t, _, x, y: t, lambda t, _, x, y: -_floor_quotient(x, y) * t)
_fmod.defjvps(lambda t, _, x, y: t, lambda t, _, x, y: -jnp.trunc(x / y) * t)


@_division(refuses=("bool", "complex"))
def remainder(input: Array, other: Array) -> Array:
    """What is left of the division rounded down: it has the sign of `other`, as Python's %."""
    return _remainder(*jnp.broadcast_arrays(input, other))


@_division(refuses=("bool", "complex"))
def fmod(input: Array, other: Array) -> Array:
    """What is left of the division rounded towards zero: it has the sign of `input`, as C's."""
    return _fmod(*jnp.broadcast_arrays(input, other))


# Powers

# NOTE: exponents in the program. x ** 2 should be one multiplication, so a few common exponents
# are part of the program. Any other number is data: `0.9 ** step` never compiles anew.
_STATIC_EXPONENTS = frozenset((-2, -1, -0.5, 0, 0.5, 1, 2, 3, 4))


@op(name="pow")
def _pow_static(input: Array, exponent: float) -> Array:
    x = input
    if x.dtype == bool:
        x = x.astype(dtypes.index_dtype())
    if exponent in (0.5, -0.5):
        return jnp.sqrt(x) if exponent > 0 else jax.lax.rsqrt(x)
    return jax.lax.integer_pow(x, int(exponent))


@jax.custom_jvp
def _power(x: Array, n: Array) -> Array:
    """x^n with PyTorch's gradients where x or n is 0."""
    return jnp.power(x, n)


_power.defjvps(
    lambda t, _, x, n: jnp.where(n == 0, 0, n * _power(x, jnp.where(n == 0, 1, n - 1))) * t,
    lambda t, y, x, n: (
        jnp.where((x == 0) & (jnp.real(n) >= 0), 0, y * jnp.log(jnp.where(x == 0, 1, x))) * t
    ),
)


@op(promote=("input", "exponent"), saves="both")
def _pow(input: Array, exponent: Array) -> Array:
    x, n = jnp.broadcast_arrays(input, exponent)
    if x.dtype == bool:
        raise NotImplementedError("\"pow\" not implemented for 'Bool': convert one of the two")
    if not is_integer(x):
        return _power(x, n)
    if jnp.issubdtype(x.dtype, jnp.unsignedinteger):
        return jnp.power(x, n)
    sign = jnp.where(n % 2 == 0, 1, x).astype(x.dtype)
    negative = jnp.where(jnp.abs(x) == 1, sign, 0)
    return jnp.where(n < 0, negative, jnp.power(x, jnp.maximum(n, 0)))


@numpy_names
def pow(input: Array, exponent: Array) -> Array:
    """input to the power of exponent; either may be a number.

    Raises RuntimeError for an integer tensor to a negative integer number.
    """
    kind = type(exponent)
    if (kind is int or kind is float) and hasattr(input, "dtype"):
        whole = _is_whole(input)
        if whole and kind is int and exponent < 0:
            raise RuntimeError(
                "Integers to negative integer powers are not allowed. Convert the tensor to "
                f"float first; the exponent was {exponent}."
            )
        if exponent in _STATIC_EXPONENTS and not (whole and kind is float):
            return _pow_static(input, exponent)
    return _pow(input, exponent)


@op(saves="both")
def float_power(input: Array, exponent: Array) -> Array:
    """input to the power of exponent, computed in double precision."""
    x, n = promoted(input, exponent)
    double = dtypes.canonical(jnp.complex128 if is_complex(x) else jnp.float64)
    return jnp.power(x.astype(double), n.astype(double))


@op
def ldexp(input: Array, other: Array) -> Array:
    """input * 2^other."""
    x, y = jnp.asarray(input), jnp.asarray(other)
    common = dtypes.canonical(dtypes.result_type(x, y, 1.0))
    return x.astype(common) * jnp.exp2(wide(y.astype(common))).astype(common)


# Combinations


@op
def lerp(input: Array, end: Array, weight: Array) -> Array:
    """input + weight * (end - input), from whichever end is nearer."""
    if is_integer(input):
        raise NotImplementedError(
            f'"lerp" not implemented for {dtypes.from_numpy(input.dtype)}: convert it to float'
        )
    if input.dtype != end.dtype:
        raise RuntimeError(
            f"expected dtype {dtypes.from_numpy(input.dtype)} for `end` but got dtype "
            f"{dtypes.from_numpy(end.dtype)}"
        )
    x, y, w = map(wide, (input, end, jnp.asarray(weight).astype(input.dtype)))
    near = jnp.abs(w) < 0.5
    return jnp.where(near, x + w * (y - x), y - (y - x) * (1 - w)).astype(input.dtype)


def _times(value: Array | None, x: Array) -> Array:
    return x if value is None else jnp.asarray(value).astype(x.dtype) * x


@op(promote=("input", "tensor1", "tensor2"), refuses=("bool",))
def addcmul(input: Array, tensor1: Array, tensor2: Array, *, value: Array | None = None) -> Array:
    """input + value * tensor1 * tensor2, where value is 1 if not given."""
    x, first, second = map(wide, (input, tensor1, tensor2))
    return (x + _times(value, first) * second).astype(input.dtype)


@op
def addcdiv(input: Array, tensor1: Array, tensor2: Array, *, value: Array | None = None) -> Array:
    """input + value * tensor1 / tensor2, where value is 1 if not given.

    Raises RuntimeError for a quotient of integers.
    """
    if is_integer(tensor1) and is_integer(tensor2):
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported. Convert tensor1 or tensor2 to "
            "float for a true division, or use trunc(tensor1 / tensor2)."
        )
    common = promoted(input, tensor1, tensor2)
    x, numerator, denominator = map(wide, common)
    return (x + _times(value, numerator) / denominator).astype(common[0].dtype)


subtract, multiply, divide = sub, mul, div
