"""Integers and their bits: and, or, shifts, divisors."""

from __future__ import annotations

import functools

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.elementwise import is_integer

__all__ = [
    *("bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift"),
    *("bitwise_xor", "gcd", "lcm"),
]


_pair = functools.partial(op, promote=("input", "other"), saves="none", differentiable=False)


def _bits(name: str, x: Array) -> None:
    if not is_integer(x):
        raise NotImplementedError(
            f'"{name}" not implemented for {dtypes.from_numpy(x.dtype)}: it needs integers'
        )


@_pair()
def bitwise_and(input: Array, other: Array) -> Array:
    """Bit by bit, whether both are set; logical and for bools."""
    _bits("bitwise_and", input)
    return input & other


@_pair()
def bitwise_or(input: Array, other: Array) -> Array:
    """Bit by bit, whether either is set; logical or for bools."""
    _bits("bitwise_or", input)
    return input | other


@_pair()
def bitwise_xor(input: Array, other: Array) -> Array:
    """Bit by bit, whether exactly one is set."""
    _bits("bitwise_xor", input)
    return input ^ other


@_pair(refuses=("bool",))
def bitwise_left_shift(input: Array, other: Array) -> Array:
    """input * 2^other."""
    _bits("lshift", input)
    return jnp.left_shift(input, other)


@_pair(refuses=("bool",))
def bitwise_right_shift(input: Array, other: Array) -> Array:
    """input / 2^other, rounded down."""
    _bits("rshift", input)
    return jnp.right_shift(input, other)


@_pair(refuses=("bool",))
def gcd(input: Array, other: Array) -> Array:
    """The greatest common divisor; gcd(0, 0) is 0."""
    _bits("gcd", input)
    return jnp.gcd(input, other)


@_pair(refuses=("bool",))
def lcm(input: Array, other: Array) -> Array:
    """The least common multiple."""
    _bits("lcm", input)
    return jnp.lcm(input, other)
