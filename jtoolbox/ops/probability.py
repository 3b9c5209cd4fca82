"""Functions of probability: the normal distribution, entropy, incomplete gamma, zeta."""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.ops.bessel import in_double

__all__ = [
    *("entr", "erfcx", "igamma", "igammac", "log_ndtr", "ndtr", "ndtri", "xlog1py", "zeta"),
]

_to_float = functools.partial(op, promote=("input",), promote_float=True)
_both_to_float = functools.partial(op, promote=("input", "other"), promote_float=True)
_both = functools.partial(op, promote=("input", "other"))


@_to_float(refuses=("complex",))
def entr(input: Array) -> Array:
    """-x log(x): 0 at 0, -inf below."""
    safe = jnp.where(input > 0, input, 1)
    out = jnp.where(input > 0, -safe * jnp.log(safe), jnp.where(input == 0, 0.0, -jnp.inf))
    return jnp.where(jnp.isnan(input), input, out)


@_to_float(refuses=("complex",))
def ndtr(input: Array) -> Array:
    """The area under the standard normal density from -inf to x."""
    return jax.lax.erfc(-input * math.sqrt(0.5)) / 2


@_to_float(saves="both", refuses=("complex", "half"))
def ndtri(input: Array) -> Array:
    """The inverse of `ndtr`: infinite at 0 and 1, NaN outside."""
    return jax.scipy.special.ndtri(input)


@_to_float(refuses=("complex", "half"))
def log_ndtr(input: Array) -> Array:
    """The logarithm of `ndtr`, accurate far below 0."""
    return jax.scipy.special.log_ndtr(input)


def _erfcx_value(x: Array) -> Array:
    """exp(x^2) erfc(x); for large x the expansion in 1 / x^2, which neither factor survives."""
    near, far = jnp.minimum(x, 10), jnp.maximum(x, 10)
    series, term = jnp.ones_like(far), jnp.ones_like(far)
    for k in range(1, 14):
        term = -term * (2 * k - 1) / (2 * far**2)
        series = series + term
    expansion = series / (far * math.sqrt(math.pi))
    return jnp.where(x > 10, expansion, jnp.exp(near**2) * jax.lax.erfc(near))


@jax.custom_jvp
def _erfcx(x: Array) -> Array:
    return in_double(_erfcx_value, x)


@_erfcx.defjvp
def _erfcx_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (t,) = primals, tangents
    y = _erfcx(x)
    return y, (2 * x * y - 2 / math.sqrt(math.pi)) * t


@_to_float(saves="both", refuses=("complex", "half"))
def erfcx(input: Array) -> Array:
    """exp(x^2) erfc(x), without underflow."""
    return _erfcx(input)


@_both(refuses=("bool", "int", "complex"))
def igamma(input: Array, other: Array) -> Array:
    """The lower incomplete gamma function P(input, other), regularized.

    Unlike PyTorch's it has a gradient for `input` too.
    """
    x, y = jnp.broadcast_arrays(input, other)
    return jnp.where(x == 0, jnp.where(y > 0, 1, jnp.nan), jax.scipy.special.gammainc(x, y))


@_both(refuses=("bool", "int", "complex"))
def igammac(input: Array, other: Array) -> Array:
    """The upper incomplete gamma function Q = 1 - P(input, other), regularized.

    Unlike PyTorch's it has a gradient for `input` too.
    """
    x, y = jnp.broadcast_arrays(input, other)
    return jnp.where(x == 0, jnp.where(y > 0, 0, jnp.nan), jax.scipy.special.gammaincc(x, y))


@_both_to_float(refuses=("complex",))
def xlog1py(input: Array, other: Array) -> Array:
    """input * log(1 + other), and 0 where input is 0 unless other is NaN."""
    undefined = (input == 0) & ((other <= -1) | (other == np.inf))
    return input * jnp.log1p(jnp.where(undefined, 0, other))


@jax.custom_jvp
def _zeta(s: Array, q: Array) -> Array:
    """The sum over k >= 0 of (k + q)^-s, whose terms of negative k + q come first, one by one."""
    count = jnp.where(q < 0, jnp.ceil(-q), 0)

    def more(state: tuple[Array, Array]) -> tuple[Array, Array]:
        k, total = state
        return k + 1, total + jnp.where(k < count, jnp.power(q + k, -s), 0)

    start = (jnp.zeros((), q.dtype), jnp.zeros_like(q))
    last = jnp.max(count, initial=0)
    _, total = jax.lax.while_loop(lambda state: state[0] < last, more, start)
    total = total + jax.scipy.special.zeta(s, q + count)
    pole = (s == 1) | ((s > 1) & (q <= 0) & (q == jnp.floor(q)))
    return jnp.where(pole, jnp.inf, jnp.where(s < 1, jnp.nan, total))


_zeta.defjvps(
    lambda t, _, s, q: jax.jvp(lambda s: jax.scipy.special.zeta(s, q), (s,), (t,))[1],
    lambda t, _, s, q: -s * _zeta(s + 1, q) * t,
)


@_both_to_float(saves="both", refuses=("complex", "half"))
def zeta(input: Array, other: Array) -> Array:
    """Hurwitz' zeta function: the sum over k >= 0 of (k + other)^-input, for input > 1.

    Infinite where input is 1 or other a pole (0, -1, -2, ...), NaN for input below 1. Unlike
    PyTorch's it has a gradient for `input` too, where other > 0.
    """
    return _zeta(*jnp.broadcast_arrays(input, other))
