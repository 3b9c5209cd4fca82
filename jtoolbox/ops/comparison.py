"""Comparisons and logic: results are bools and carry no gradient."""

from __future__ import annotations

import functools
from typing import Any

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op

__all__ = [
    *("allclose", "eq", "equal", "ge", "greater", "greater_equal", "gt", "isclose", "isfinite"),
    *("isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "le", "less", "less_equal"),
    *("logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne", "not_equal"),
]

_compared = functools.partial(op, promote=("input", "other"), saves="none", differentiable=False)
_tested = functools.partial(op, saves="none", differentiable=False)


@_compared()
def eq(input: Array, other: Array) -> Array:
    """Where input == other."""
    return input == other


@_compared()
def ne(input: Array, other: Array) -> Array:
    """Where input != other."""
    return input != other


def _no_complex(x: Array) -> None:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise NotImplementedError(
            f"complex numbers have no order, got {dtypes.from_numpy(x.dtype)}; compare their abs()"
        )


@_compared()
def lt(input: Array, other: Array) -> Array:
    """Where input < other."""
    _no_complex(input)
    return input < other


@_compared()
def le(input: Array, other: Array) -> Array:
    """Where input <= other."""
    _no_complex(input)
    return input <= other


@_compared()
def gt(input: Array, other: Array) -> Array:
    """Where input > other."""
    _no_complex(input)
    return input > other


@_compared()
def ge(input: Array, other: Array) -> Array:
    """Where input >= other."""
    _no_complex(input)
    return input >= other


# Tests of one number


@_tested()
def isnan(input: Array) -> Array:
    """Where an element is NaN."""
    return jnp.isnan(input)


@_tested()
def isinf(input: Array) -> Array:
    """Where an element is infinite."""
    return jnp.isinf(input)


@_tested()
def isfinite(input: Array) -> Array:
    """Where an element is neither infinite nor NaN."""
    return jnp.isfinite(input)


@_tested()
def isposinf(input: Array) -> Array:
    """Where an element is +inf."""
    return _equals(input, jnp.inf)


@_tested()
def isneginf(input: Array) -> Array:
    """Where an element is -inf."""
    return _equals(input, -jnp.inf)


def _equals(x: Array, infinity: float) -> Array:
    if jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise RuntimeError("isposinf and isneginf do not support complex inputs: test the parts")
    return x == infinity if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.zeros(x.shape, bool)


@_tested()
def isreal(input: Array) -> Array:
    """Where the imaginary part is 0."""
    return jnp.isreal(input)


# Logic: numbers other than 0 count as true, and the operands keep their own types


@_tested()
def logical_not(input: Array) -> Array:
    """Where input is zero or false."""
    return jnp.logical_not(input)


@_tested()
def logical_and(input: Array, other: Array) -> Array:
    """Where both are true."""
    return jnp.logical_and(input, other)


@_tested()
def logical_or(input: Array, other: Array) -> Array:
    """Where either is true."""
    return jnp.logical_or(input, other)


@_tested()
def logical_xor(input: Array, other: Array) -> Array:
    """Where exactly one is true."""
    return jnp.logical_xor(input, other)


# Whole tensors


def _check_tolerances(input: Any, other: Any, rtol: Any, atol: Any, *_: Any) -> None:
    for name, value in (("rtol", rtol), ("atol", atol)):
        if isinstance(value, (int, float)) and value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")


@_tested(check=_check_tolerances)
def isclose(
    input: Array, other: Array, rtol: Array = 1e-5, atol: Array = 1e-8, equal_nan: bool = False
) -> Array:
    """Where |input - other| <= atol + rtol * |other|. Raises RuntimeError for different dtypes."""
    if input.dtype != other.dtype:
        raise RuntimeError(
            f"{dtypes.from_numpy(input.dtype)} did not match {dtypes.from_numpy(other.dtype)}: "
            "isclose compares tensors of one dtype"
        )
    if not jnp.issubdtype(input.dtype, jnp.inexact):
        wide = dtypes.canonical(jnp.float64)
        gap = jnp.abs(input.astype(wide) - other.astype(wide))
        return (input == other) | (gap <= atol + jnp.abs(rtol * other.astype(wide)))
    allowed = atol + jnp.abs(rtol * other)
    close = (input == other) | (jnp.isfinite(allowed) & (jnp.abs(input - other) <= allowed))
    return close | (jnp.isnan(input) & jnp.isnan(other)) if equal_nan else close


@_tested()
def _all_equal(input: Array, other: Array) -> Array:
    return jnp.all(input == other)


def equal(input: Array, other: Array) -> bool:
    """Whether two tensors have the same shape and the same elements; a Python bool."""
    for place, x in enumerate((input, other)):
        if not hasattr(x, "shape"):
            name = ("input", "other")[place]
            raise TypeError(f"equal(): argument '{name}' must be Tensor, not {type(x).__name__}")
    return tuple(input.shape) == tuple(other.shape) and bool(_all_equal(input, other))


@_tested(check=_check_tolerances)
def _all_close(input: Array, other: Array, rtol: Array, atol: Array, equal_nan: bool) -> Array:
    return jnp.all(isclose(input, other, rtol, atol, equal_nan))


def allclose(
    input: Array, other: Array, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether all elements are close, as `isclose` says; a Python bool."""
    return bool(_all_close(input, other, rtol, atol, equal_nan))


@_tested(name="isin", refuses=("bool", "complex"))
def _isin(elements: Array, test_elements: Array, assume_unique: bool, invert: bool) -> Array:
    return jnp.isin(elements, test_elements, assume_unique=assume_unique, invert=invert)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Any:
    """Where an element is one of `test_elements`; either may be a number."""
    return _isin(elements, test_elements, assume_unique, invert)


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge
