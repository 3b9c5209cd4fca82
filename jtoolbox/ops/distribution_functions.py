"""Special functions that distributions need and the torch namespace does not name."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jtoolbox.engine import Array, op

__all__ = ["gammainc", "log_bessel_0", "log_bessel_1"]

_to_float = functools.partial(op, promote=("input",), promote_float=True)


@op(promote=("input", "other"), promote_float=True)
def gammainc(input: Array, other: Array) -> Array:
    """The regularized lower incomplete gamma function of `input`, at `other`."""
    return jax.lax.igamma(*jnp.broadcast_arrays(input, other))


@_to_float()
def log_bessel_0(input: Array) -> Array:
    """The logarithm of the modified Bessel function of order 0, for input >= 0."""
    return input + jnp.log(jax.scipy.special.i0e(input))


@_to_float()
def log_bessel_1(input: Array) -> Array:
    """The logarithm of the modified Bessel function of order 1, for input > 0."""
    return input + jnp.log(jax.scipy.special.i1e(input))
