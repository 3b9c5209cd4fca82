"""Orthogonal polynomials of degree n, by their three-term recurrences.

All start from p[0] = 1 and their own p[1]. `n` is a number or a tensor (what is not whole is cut),
and broadcasts with the input. Negative degrees give 0. As in PyTorch they have no gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jtoolbox.engine import Array, op

__all__ = [
    *("chebyshev_polynomial_t", "chebyshev_polynomial_u", "chebyshev_polynomial_v"),
    *("chebyshev_polynomial_w", "hermite_polynomial_h", "hermite_polynomial_he"),
    *("laguerre_polynomial_l", "legendre_polynomial_p", "shifted_chebyshev_polynomial_t"),
    *("shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v"),
    "shifted_chebyshev_polynomial_w",
]

_polynomial = functools.partial(
    op,
    promote=("input", "n"),
    promote_float=True,
    refuses=("complex", "half"),
    differentiable=False,
)
Step = Callable[[Array, Array, Array], Array]


def _degree(first: Array, step: Step, n: Array) -> Array:
    """p[n], where p[1] = first and p[k + 1] = step(k, p[k], p[k - 1])."""
    first, n = jnp.broadcast_arrays(first, jnp.trunc(n))

    def advance(state: tuple) -> tuple:
        k, now, before = state
        new = step(k, now, before)
        return k + 1, jnp.where(k < n, new, now), jnp.where(k < n, now, before)

    top = jnp.max(n, initial=0)
    start = (jnp.ones((), first.dtype), first, jnp.ones_like(first))
    _, value, _ = jax.lax.while_loop(lambda state: state[0] < top, advance, start)
    return jnp.where(n < 0, 0, jnp.where(n == 0, 1, value))


def _chebyshev(x: Array, first: Array, n: Array) -> Array:
    return _degree(first, lambda _, now, before: 2 * x * now - before, n)


@_polynomial()
def chebyshev_polynomial_t(input: Array, n: Array) -> Array:
    """Chebyshev, first kind: p[1] = x, p[k+1] = 2 x p[k] - p[k-1]."""
    return _chebyshev(input, input, n)


@_polynomial()
def chebyshev_polynomial_u(input: Array, n: Array) -> Array:
    """Chebyshev, second kind: p[1] = 2 x, p[k+1] = 2 x p[k] - p[k-1]."""
    return _chebyshev(input, 2 * input, n)


@_polynomial()
def chebyshev_polynomial_v(input: Array, n: Array) -> Array:
    """Chebyshev, third kind: p[1] = 2 x - 1, p[k+1] = 2 x p[k] - p[k-1]."""
    return _chebyshev(input, 2 * input - 1, n)


@_polynomial()
def chebyshev_polynomial_w(input: Array, n: Array) -> Array:
    """Chebyshev, fourth kind: p[1] = 2 x + 1, p[k+1] = 2 x p[k] - p[k-1]."""
    return _chebyshev(input, 2 * input + 1, n)


@_polynomial()
def hermite_polynomial_h(input: Array, n: Array) -> Array:
    """Hermite, physicists': p[1] = 2 x, p[k+1] = 2 x p[k] - 2 k p[k-1]."""
    return _degree(2 * input, lambda k, now, before: 2 * input * now - 2 * k * before, n)


@_polynomial()
def hermite_polynomial_he(input: Array, n: Array) -> Array:
    """Hermite, probabilists': p[1] = x, p[k+1] = x p[k] - k p[k-1]."""
    return _degree(input, lambda k, now, before: input * now - k * before, n)


@_polynomial()
def laguerre_polynomial_l(input: Array, n: Array) -> Array:
    """Laguerre: p[1] = 1 - x, (k+1) p[k+1] = (2 k + 1 - x) p[k] - k p[k-1]."""
    return _degree(
        1 - input, lambda k, now, before: ((2 * k + 1 - input) * now - k * before) / (k + 1), n
    )


@_polynomial()
def legendre_polynomial_p(input: Array, n: Array) -> Array:
    """Legendre: p[1] = x, (k+1) p[k+1] = (2 k + 1) x p[k] - k p[k-1]."""
    return _degree(
        input, lambda k, now, before: ((2 * k + 1) * input * now - k * before) / (k + 1), n
    )


@_polynomial()
def shifted_chebyshev_polynomial_t(input: Array, n: Array) -> Array:
    """`chebyshev_polynomial_t` at 2 x - 1, for x in [0, 1]."""
    x = 2 * input - 1
    return _chebyshev(x, x, n)


@_polynomial()
def shifted_chebyshev_polynomial_u(input: Array, n: Array) -> Array:
    """`chebyshev_polynomial_u` at 2 x - 1, for x in [0, 1]."""
    x = 2 * input - 1
    return _chebyshev(x, 2 * x, n)


@_polynomial()
def shifted_chebyshev_polynomial_v(input: Array, n: Array) -> Array:
    """`chebyshev_polynomial_v` at 2 x - 1, for x in [0, 1]."""
    x = 2 * input - 1
    return _chebyshev(x, 2 * x - 1, n)


@_polynomial()
def shifted_chebyshev_polynomial_w(input: Array, n: Array) -> Array:
    """`chebyshev_polynomial_w` at 2 x - 1, for x in [0, 1]."""
    x = 2 * input - 1
    return _chebyshev(x, 2 * x + 1, n)
