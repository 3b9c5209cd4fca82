"""Bessel and Airy functions, as integrals over a circle or half-line and as expansions.

They are computed in double precision and, as in PyTorch, have no gradient unless said otherwise.
The integrands are smooth and periodic or fall off on both sides, so that the trapezoidal rule with
few points is exact to rounding (Trefethen and Weideman, "The Exponentially Convergent Trapezoidal
Rule", https://doi.org/10.1137/130932132).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.special import bessel_i0

__all__ = [
    *("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "i0e", "i1", "i1e"),
    *("modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1"),
    *("scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "spherical_bessel_j0"),
]

_value = functools.partial(
    op,
    promote=("input",),
    promote_float=True,
    refuses=("complex", "half"),
    differentiable=False,
)
_to_float = functools.partial(op, promote=("input",), promote_float=True, refuses=("complex",))

_EULER = 0.5772156649015329
_FAR = 25.0  # beyond it the expansions for large x are exact to rounding
_ANGLES = 2 * np.pi * np.arange(128) / 128


def in_double(function: Callable[..., Array], x: Array, *rest: Any) -> Array:
    """`function` in double precision, also where JAX has 64-bit types turned off."""
    with jax.enable_x64(True):
        return function(x.astype(np.float64), *rest).astype(x.dtype)


def _near_j(order: int, x: Array) -> Array:
    """J of an integer order: the mean of cos(order * t - x sin t) over a circle."""
    return jnp.mean(jnp.cos(order * _ANGLES - x[..., None] * np.sin(_ANGLES)), -1)


def _hankel(order: int, x: Array) -> tuple[Array, Array]:
    """J and Y of an order for large x, from Hankel's expansion in 1 / x."""
    p, q, term = jnp.ones_like(x), jnp.zeros_like(x), jnp.ones_like(x)
    for k in range(1, 16):
        term = term * (4 * order**2 - (2 * k - 1) ** 2) / (k * 8 * x)
        sign = -1 if k % 4 in (2, 3) else 1
        p, q = (p + sign * term, q) if k % 2 == 0 else (p, q + sign * term)
    angle = x - (order / 2 + 0.25) * math.pi
    size = jnp.sqrt(2 / (math.pi * x))
    c, s = jnp.cos(angle), jnp.sin(angle)
    return size * (p * c - q * s), size * (p * s + q * c)


def _j(order: int, x: Array) -> Array:
    size = jnp.abs(x)
    far = _hankel(order, jnp.maximum(size, _FAR))[0]
    out = jnp.where(size < _FAR, _near_j(order, jnp.minimum(size, _FAR)), far)
    out = jnp.where(jnp.isinf(x), jnp.nan, out)
    return jnp.where(x < 0, -out, out) if order else out


def _y0(x: Array) -> Array:
    """Y0 for x > 0: Neumann's series of J0, J2, J4, ... near 0."""
    near = jnp.minimum(x, _FAR)
    log = jnp.log(near / 2) + _EULER
    series = sum((-1) ** k / k * _near_j(2 * k, near) for k in range(1, 31))
    near_y = 2 / math.pi * (log * _near_j(0, near) - 2 * series)
    return jnp.where(x < _FAR, near_y, _hankel(0, jnp.maximum(x, _FAR))[1])


def _y1(x: Array) -> Array:
    """Y1 = -Y0' for x > 0, term by term."""
    near = jnp.minimum(x, _FAR)
    j = [_near_j(k, near) for k in range(62)]
    log = jnp.log(near / 2) + _EULER
    series = sum((-1) ** k / k * (j[2 * k - 1] - j[2 * k + 1]) / 2 for k in range(1, 31))
    near_y = -2 / math.pi * (j[0] / near - log * j[1] - 2 * series)
    return jnp.where(x < _FAR, near_y, _hankel(1, jnp.maximum(x, _FAR))[1])


def _positive(y: Callable[[Array], Array], x: Array) -> Array:
    """A function with a pole at 0: -inf there, NaN below and at infinity."""
    out = y(jnp.where((x > 0) & (x < jnp.inf), x, 1))
    return jnp.where(x == 0, -jnp.inf, jnp.where((x > 0) & (x < jnp.inf), out, jnp.nan))


@_value()
def bessel_j0(input: Array) -> Array:
    """The Bessel function of the first kind, of order 0."""
    return in_double(functools.partial(_j, 0), input)


@_value()
def bessel_j1(input: Array) -> Array:
    """The Bessel function of the first kind, of order 1."""
    return in_double(functools.partial(_j, 1), input)


@_value()
def bessel_y0(input: Array) -> Array:
    """The Bessel function of the second kind, of order 0: -inf at 0, NaN below."""
    return in_double(functools.partial(_positive, _y0), input)


@_value()
def bessel_y1(input: Array) -> Array:
    """The Bessel function of the second kind, of order 1: -inf at 0, NaN below."""
    return in_double(functools.partial(_positive, _y1), input)


# Modified Bessel functions


@jax.custom_jvp
def _i1(x: Array) -> Array:
    return jax.scipy.special.i1(x)


@_i1.defjvp
def _i1_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    y = _i1(x)
    ratio = jnp.where(x == 0, 0.5, y / jnp.where(x == 0, 1, x))
    return y, (bessel_i0(x) - ratio) * t


@_to_float()
def i1(input: Array) -> Array:
    """The modified Bessel function of the first kind, of order 1."""
    return _i1(input)


@_to_float()
def i0e(input: Array) -> Array:
    """exp(-|x|) times the modified Bessel function of order 0."""
    return jax.scipy.special.i0e(input)


@_to_float()
def i1e(input: Array) -> Array:
    """exp(-|x|) times the modified Bessel function of order 1."""
    return jax.scipy.special.i1e(input)


@_value()
def modified_bessel_i0(input: Array) -> Array:
    """The modified Bessel function of the first kind, of order 0; `i0` has a gradient."""
    return jax.scipy.special.i0(input)


@_value()
def modified_bessel_i1(input: Array) -> Array:
    """The modified Bessel function of the first kind, of order 1; `i1` has a gradient."""
    return jax.scipy.special.i1(input)


def _scaled_k(order: float, x: Array) -> Array:
    """exp(x) K(x): the integral over t > 0 of exp(-x (cosh t - 1)) cosh(order t)."""
    step = 0.125
    t = step * np.arange(220)
    weights = step * np.cosh(order * t) * np.where(t == 0, 0.5, 1)
    return jnp.sum(weights * jnp.exp(-x[..., None] * (np.cosh(t) - 1)), -1)


def _k(order: int, scaled: bool, x: Array) -> Array:
    """K(x) for all x: its pole near 0, the integral elsewhere."""
    small = x < 1e-9
    safe = jnp.where(small | ~(x < jnp.inf), 1, x)
    pole = 1 / x if order else -jnp.log(x / 2) - _EULER
    out = jnp.where(small, pole, _scaled_k(order, safe) * (1 if scaled else jnp.exp(-safe)))
    out = jnp.where(x == jnp.inf, 0, out)
    return jnp.where(x == 0, jnp.inf, jnp.where(x > 0, out, jnp.nan))


@_value()
def modified_bessel_k0(input: Array) -> Array:
    """The modified Bessel function of the second kind, of order 0: inf at 0, NaN below."""
    return in_double(functools.partial(_k, 0, False), input)


@_value()
def modified_bessel_k1(input: Array) -> Array:
    """The modified Bessel function of the second kind, of order 1: inf at 0, NaN below."""
    return in_double(functools.partial(_k, 1, False), input)


@_value(name="scaled_modified_bessel_k0")
def _scaled_k0(input: Array) -> Array:
    return in_double(functools.partial(_k, 0, True), input)


@_value(name="scaled_modified_bessel_k1")
def _scaled_k1(input: Array) -> Array:
    return in_double(functools.partial(_k, 1, True), input)


@numpy_names
def scaled_modified_bessel_k0(input: Array) -> Array:
    """exp(x) times the modified Bessel function of the second kind, of order 0."""
    return _scaled_k0(input)


@numpy_names
def scaled_modified_bessel_k1(input: Array) -> Array:
    """exp(x) times the modified Bessel function of the second kind, of order 1."""
    return _scaled_k1(input)


# Others


@_value(name="spherical_bessel_j0")
def _spherical_j0(input: Array) -> Array:
    x = jnp.where((input == 0) | jnp.isinf(input), 1, input)
    return jnp.where(jnp.isinf(input), 0, jnp.where(input == 0, 1, jnp.sin(x) / x))


@numpy_names
def spherical_bessel_j0(input: Array) -> Array:
    """sin(x) / x, and 1 at 0."""
    return _spherical_j0(input)


def _airy_series(x: Array) -> Array:
    """The power series of Ai around 0."""
    first, second = jnp.ones_like(x), x
    total = 0.3550280538878172 * first - 0.2588194037928068 * second
    for k in range(1, 60):
        first = first * x**3 / ((3 * k - 1) * 3 * k)
        second = second * x**3 / (3 * k * (3 * k + 1))
        total = total + 0.3550280538878172 * first - 0.2588194037928068 * second
    return total


def _airy_left(x: Array) -> Array:
    """Ai of a large negative number: its expansion in 1 / z, with z = 2/3 |x|^(3/2)."""
    z = 2 / 3 * (-x) ** 1.5
    even, odd, term = jnp.ones_like(x), jnp.zeros_like(x), jnp.ones_like(x)
    for k in range(1, 16):
        term = term * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / (216 * k * (2 * k - 1) * z)
        sign = -1 if k % 4 in (2, 3) else 1
        even, odd = (even + sign * term, odd) if k % 2 == 0 else (even, odd + sign * term)
    angle = z - math.pi / 4
    return (jnp.cos(angle) * even + jnp.sin(angle) * odd) / (math.sqrt(math.pi) * (-x) ** 0.25)


def _airy(x: Array) -> Array:
    right, left = jnp.clip(x, 2, 200), jnp.minimum(x, -8)
    z = 2 / 3 * right**1.5
    far = jnp.sqrt(right / 3) / math.pi * _scaled_k(1 / 3, z) * jnp.exp(-z)
    out = jnp.where(x > 2, far, _airy_series(jnp.clip(x, -8, 2)))
    out = jnp.where(x < -8, _airy_left(left), out)
    return jnp.where(jnp.isinf(x), jnp.nan, jnp.where(x > 200, 0, out))


@_value(name="airy_ai")
def _airy_ai(input: Array) -> Array:
    return in_double(_airy, input)


@numpy_names
def airy_ai(input: Array) -> Array:
    """The Airy function Ai."""
    return _airy_ai(input)
