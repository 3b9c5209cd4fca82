"""Choices between numbers: bounds, extremes of two, where, signs."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import NO_DERIVATIVE
from jtoolbox.ops.gathering import nonzero

__all__ = [
    *("clamp", "clamp_max", "clamp_min", "clip", "copysign", "fmax", "fmin", "heaviside"),
    *("maximum", "minimum", "nextafter", "where"),
]


_pair = functools.partial(op, promote=("input", "other"))


@_pair(refuses=("complex",))
def maximum(input: Array, other: Array) -> Array:
    """The larger number, NaN if either is; equal ones share the gradient in halves."""
    return jnp.maximum(input, other)


@_pair(refuses=("complex",))
def minimum(input: Array, other: Array) -> Array:
    """The smaller number, NaN if either is; equal ones share the gradient in halves."""
    return jnp.minimum(input, other)


@_pair(refuses=("complex",))
def fmax(input: Array, other: Array) -> Array:
    """The larger number, NaN only if both are; `input` gets the gradient of equal ones."""
    return jnp.where((input >= other) | jnp.isnan(other), input, other)


@_pair(refuses=("complex",))
def fmin(input: Array, other: Array) -> Array:
    """The smaller number, NaN only if both are; `input` gets the gradient of equal ones."""
    return jnp.where((input <= other) | jnp.isnan(other), input, other)


@op(promote=("input", "min", "max"), name="clamp", refuses=("complex",))
def _clamp(input: Array, min: Array | None, max: Array | None) -> Array:
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if min is not None and max is not None:
        dtypes.refuse("clamp", input, "bool")
    x = input
    if min is not None:
        x = jnp.where((x < min) | jnp.isnan(min), min, x)
    if max is not None:
        x = jnp.where((x > max) | jnp.isnan(max), max, x)
    return x


@numpy_names
def clamp(input: Array, min: Any = None, max: Any = None) -> Any:
    """Keeps elements between two bounds, numbers or tensors; a NaN in any of them stays.

    On a bound the gradient goes to `input`. If min > max the result is max. RuntimeError for a
    bound that the type cannot hold.
    """
    if hasattr(input, "dtype"):
        dtypes.check_operand(min, input.dtype)
        dtypes.check_operand(max, input.dtype)
    return _clamp(input, min, max)


@numpy_names
def clamp_min(input: Array, min: Array) -> Array:
    """The elements, but at least min."""
    return clamp(input, min)


@numpy_names
def clamp_max(input: Array, max: Array) -> Array:
    """The elements, but at most max."""
    return clamp(input, None, max)


UINT8_CONDITION = (
    "where received a uint8 condition tensor. This behavior is deprecated: pass condition.bool()."
)


@op(promote=("input", "other"))
def _where(condition: Array, input: Array, other: Array) -> Array:
    if condition.dtype not in (bool, np.uint8):
        raise RuntimeError(
            "where expected condition to be a boolean tensor, but got a tensor with dtype "
            f"{dtypes.from_numpy(condition.dtype)}"
        )
    return jnp.where(condition.astype(bool), input, other)


@numpy_names
def where(condition: Array, input: Any = None, other: Any = None) -> Any:
    """input where the condition (bools) is true, else other; either may be a number.

    A condition of uint8 is taken for bools, with a warning. `where(condition)` alone gives the
    positions of what is true, as nonzero(as_tuple=True).
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        raise TypeError("where() takes a condition, or a condition and two values")
    if dtypes.as_numpy(condition.dtype) == np.uint8:
        warnings.warn(UINT8_CONDITION, UserWarning, stacklevel=2)
    for value, other_value in ((input, other), (other, input)):
        if hasattr(other_value, "dtype"):
            dtypes.check_operand(value, other_value.dtype)
    return _where(condition, input, other)


@op(promote=("input", "other"), promote_float=True, refuses=("complex",))
def copysign(input: Array, other: Array) -> Array:
    """The size of input with the sign of other."""
    x, y = jnp.broadcast_arrays(input, other)
    factor = jnp.where(jnp.signbit(x) == jnp.signbit(y), 1, -1).astype(x.dtype)
    factor = jnp.where(x == 0, 0, factor)
    return jnp.where(x == 0, jnp.copysign(jax.lax.stop_gradient(x), y), x * factor)


@op(promote=("input", "other"), refuses=("bool", "int", "complex"))
def nextafter(input: Array, other: Array) -> Array:
    """The next number after input on the way to other. Its gradient is that of input, 0 where both
    are equal."""
    x, y = map(jax.lax.stop_gradient, (input, other))
    return jnp.nextafter(x, y) + jnp.where(x == y, 0, input - x)


@op(tags=(NO_DERIVATIVE,), refuses=("complex",))
def heaviside(input: Array, values: Array) -> Array:
    """0 below zero, 1 above, and `values` at zero. A backward pass through it raises."""
    if input.dtype != values.dtype:
        raise RuntimeError(
            "heaviside is not yet implemented for tensors with different dtypes. Got "
            f"{dtypes.from_numpy(input.dtype)} and {dtypes.from_numpy(values.dtype)}."
        )
    return jax.lax.stop_gradient(jnp.where(input == 0, values, (input > 0).astype(input.dtype)))


clip = clamp
