"""Special functions: erf, gamma and Bessel functions, sums of exponentials, angles."""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.elementwise import is_complex

__all__ = [
    *("arctan2", "atan2", "digamma", "erf", "erfc", "erfinv", "hypot", "i0", "lgamma"),
    *("logaddexp", "logaddexp2", "mvlgamma", "polygamma", "xlogy"),
]


_to_float = functools.partial(op, promote=("input",), promote_float=True)
_both_to_float = functools.partial(op, promote=("input", "other"), promote_float=True)
_both = functools.partial(op, promote=("input", "other"))


@_to_float(refuses=("complex",))
def erf(input: Array) -> Array:
    """2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x."""
    return jax.lax.erf(input)


@_to_float(refuses=("complex",))
def erfc(input: Array) -> Array:
    """1 - erf(x), accurate for large x."""
    return jax.lax.erfc(input)


@_to_float(saves="both", refuses=("complex",))
def erfinv(input: Array) -> Array:
    """The inverse of erf: infinite at -1 and 1, NaN beyond."""
    return jax.lax.erf_inv(input)


# NOTE: gamma functions of negative numbers. JAX's polygamma is wrong below about -8, and with it
# its derivatives of lgamma and digamma. Here each function's derivative is the next one, and left
# of 0 they come from the right by reflection.


@jax.custom_jvp
def _lgamma(x: Array) -> Array:
    return jax.lax.lgamma(x)


@jax.custom_jvp
def _digamma(x: Array) -> Array:
    pole = jnp.copysign(jnp.asarray(jnp.inf, x.dtype), -x)
    return jnp.where(x == 0, pole, jax.lax.digamma(x))


def _cotangent_derivative(n: int) -> np.ndarray:
    """The n-th derivative of cot as a polynomial in cot, as cot' = -(1 + cot^2)."""
    p = np.array([0.0, 1.0])
    for _ in range(n):
        p = -np.polynomial.polynomial.polymul([1, 0, 1], np.polynomial.polynomial.polyder(p))
    return p


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _polygamma_of(n: int, x: Array) -> Array:
    """psi_n(x), which left of 0 is (-1)^n psi_n(1 - x) - pi^(n + 1) cot^(n)(pi x)."""
    left, pole = x < 0, (x <= 0) & (x == jnp.floor(x))
    right = jax.scipy.special.polygamma(n, jnp.where(left, 1 - x, x))
    place = jnp.where(left & ~pole, x - jnp.round(x), 0.25)
    slope = jnp.polyval(
        jnp.asarray(_cotangent_derivative(n)[::-1], x.dtype), 1 / jnp.tan(math.pi * place)
    )
    if n == 1:  # of the others PyTorch has no limit
        right = jnp.where(x == jnp.inf, 0, right)
    turned = (-1) ** n * right - math.pi ** (n + 1) * slope
    return jnp.where(pole, (-1) ** (n + 1) * jnp.inf, jnp.where(left, turned, right))


_lgamma.defjvps(lambda t, _, x: _digamma(x) * t)
_digamma.defjvps(lambda t, _, x: _polygamma_of(1, x) * t)


@_polygamma_of.defjvp
def _polygamma_jvp(n: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    return _polygamma_of(n, *primals), _polygamma_of(n + 1, *primals) * tangents[0]


@_to_float(refuses=("complex",))
def lgamma(input: Array) -> Array:
    """log |gamma(x)|."""
    return _lgamma(input)


@_to_float(refuses=("complex",), wide=True)
def digamma(input: Array) -> Array:
    """The derivative of lgamma; -inf at 0, NaN at negative integers."""
    return _digamma(input)


@_to_float(refuses=("complex",), wide=True)
def _polygamma(input: Array, n: int) -> Array:
    return _polygamma_of(n, input)


@numpy_names
def polygamma(n: int, input: Array) -> Array:
    """The n-th derivative of digamma."""
    if n < 0:
        raise RuntimeError(f"polygamma(n, x) does not support negative n, but got n={n}")
    return _polygamma(input, n) if n else digamma(input)


@_to_float(refuses=("complex",))
def mvlgamma(input: Array, p: int) -> Array:
    """The logarithm of the gamma function of p dimensions."""
    if p < 1:
        raise RuntimeError(f"p has to be greater than or equal to 1, but got p={p}")
    halves = jnp.arange(p, dtype=input.dtype) / 2
    terms = _lgamma(input[..., None] - halves)
    return jnp.sum(terms, -1) + p * (p - 1) / 4 * math.log(math.pi)


@jax.custom_jvp
def bessel_i0(x: Array) -> Array:
    return jax.scipy.special.i0(x)


bessel_i0.defjvps(lambda t, _, x: jax.scipy.special.i1(x) * t)


@_to_float(refuses=("complex",))
def i0(input: Array) -> Array:
    """The modified Bessel function of the first kind, of order 0."""
    return bessel_i0(input)


# Of two numbers


@_both_to_float(refuses=("complex",))
def xlogy(input: Array, other: Array) -> Array:
    """input * log(other), and 0 where input is 0 unless other is NaN."""
    undefined = (input == 0) & ((other <= 0) | (other == jnp.inf))
    return input * jnp.log(jnp.where(undefined, 1, other))


@_both(saves="both", refuses=("bool", "int"))
def logaddexp(input: Array, other: Array) -> Array:
    """log(exp(input) + exp(other)), without overflow."""
    if not is_complex(input):
        return jnp.logaddexp(input, other)
    x, y = jnp.broadcast_arrays(input, other)
    swap = jnp.real(x) < jnp.real(y)
    larger, smaller = jnp.where(swap, y, x), jnp.where(swap, x, y)
    same = (x == y) & jnp.isinf(jnp.real(x))
    return jnp.where(same, x, larger + jnp.log1p(jnp.exp(smaller - larger)))


@_both(saves="both", refuses=("bool", "int", "complex"))
def logaddexp2(input: Array, other: Array) -> Array:
    """log2(2^input + 2^other), without overflow."""
    return jnp.logaddexp2(input, other)


@_both_to_float(refuses=("complex",))
def atan2(input: Array, other: Array) -> Array:
    """The angle of the point (other, input), in radians. No gradient flows at the origin."""
    origin = (input == 0) & (other == 0)
    angle = jnp.arctan2(input, jnp.where(origin, 1, other))
    return jnp.where(origin, jax.lax.stop_gradient(jnp.arctan2(input, other)), angle)


@_both(saves="both", refuses=("bool", "int", "complex"))
def hypot(input: Array, other: Array) -> Array:
    """sqrt(input^2 + other^2), without overflow."""
    x, y = jnp.broadcast_arrays(input, other)
    scale = jax.lax.stop_gradient(jnp.maximum(jnp.abs(x), jnp.abs(y)))
    scale = jnp.where((scale == 0) | jnp.isinf(scale), 1, scale)
    length = jnp.sqrt((x / scale) ** 2 + (y / scale) ** 2) * scale
    return jnp.where(jnp.isinf(x) | jnp.isinf(y), jnp.inf, length)


arctan2 = atan2
