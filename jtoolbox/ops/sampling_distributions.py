"""Samples of the distributions' standard forms, in the type of their parameters.

`shape` is that of the whole result: the parameters broadcast to it. Samples of gamma and Dirichlet
distributions carry gradients to their concentrations; those of the others are constants, which a
distribution shifts and scales. Types of 16 bits are sampled in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, Key, op
from jtoolbox.ops.sampling_like import normal_samples
from jtoolbox.random import jax_key

__all__ = [
    *("binomial", "dirichlet", "standard_exponential", "standard_gamma", "standard_normal"),
    *("standard_uniform", "von_mises"),
]


def _wide(x: Array) -> Any:
    """The type to sample in; NotImplementedError for parameters that are no floats."""
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise NotImplementedError(
            f"samples need parameters of a float type, got {dtypes.from_numpy(x.dtype)}: convert "
            "them with .float()"
        )
    return jnp.promote_types(x.dtype, jnp.float32)


@op(saves="none", differentiable=False)
def standard_normal(like: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Normal numbers of mean 0 and variance 1, in the type of `like`."""
    return normal_samples(key, shape, _wide(like)).astype(like.dtype)


def open_uniform(key: Any, shape: tuple[int, ...], d: Any) -> Array:
    """Uniform numbers in (0, 1), safe under a logarithm on both sides."""
    u = jax.random.uniform(key, shape, d)
    return jnp.clip(u, jnp.finfo(d).tiny, 1 - jnp.finfo(d).epsneg)


@op(saves="none", differentiable=False)
def standard_uniform(like: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Uniform numbers in (0, 1), never 0 or 1, in the type of `like`."""
    u = open_uniform(jax_key(key), shape, _wide(like)).astype(like.dtype)
    return jnp.clip(u, jnp.finfo(like.dtype).tiny, 1 - jnp.finfo(like.dtype).epsneg)


@op(saves="none", differentiable=False)
def standard_exponential(like: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Exponential numbers of mean 1, in the type of `like`."""
    return jax.random.exponential(jax_key(key), shape, _wide(like)).astype(like.dtype)


@op(saves="both", name="_standard_gamma")
def standard_gamma(concentration: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Gamma numbers of rate 1, differentiable in the concentration.

    The gradient is that of the sample at a fixed value of its distribution function (implicit
    reparameterization). Implicit Reparameterization Gradients, https://arxiv.org/abs/1805.08498
    """
    d = _wide(concentration)
    sample = jax.random.gamma(jax_key(key), concentration.astype(d), shape, d)
    return jnp.maximum(sample, jnp.finfo(d).tiny).astype(concentration.dtype)


@op(saves="both", name="_sample_dirichlet")
def dirichlet(concentration: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Points of the simplex: gamma numbers over their sum, added up as logarithms.

    Small concentrations make gamma numbers that underflow, but not their logarithms.
    """
    d = _wide(concentration)
    logs = jax.random.loggamma(jax_key(key), concentration.astype(d), shape, d)
    return jax.nn.softmax(logs, -1).astype(concentration.dtype)


@op(saves="none", differentiable=False)
def binomial(count: Array, prob: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Successes among `count` trials, as floats."""
    d = _wide(prob)
    return jax.random.binomial(
        jax_key(key), count.astype(d), prob.astype(d), shape=shape, dtype=d
    ).astype(prob.dtype)


def _proposal(concentration: Array) -> Array:
    """The parameter r of the wrapped Cauchy envelope."""
    k = jnp.maximum(concentration, 1e-5)
    tau = 1 + jnp.sqrt(1 + 4 * k**2)
    rho = (tau - jnp.sqrt(2 * tau)) / (2 * k)
    return jnp.where(
        concentration < 1e-5, 1 / concentration + concentration, (1 + rho**2) / 2 / rho
    )


def _von_mises_trial(concentration: Array, r: Array, shape: tuple[int, ...]) -> Callable[..., Any]:
    def trial(state: tuple[Any, Array, Array]) -> tuple[Any, Array, Array]:
        key, angle, done = state
        key, now = jax.random.split(key)
        u = open_uniform(now, (3, *shape), r.dtype)
        z = jnp.cos(jnp.pi * u[0])
        f = (1 + r * z) / (r + z)
        c = concentration * (r - f)
        accept = (c * (2 - c) - u[1] > 0) | (jnp.log(c / u[1]) + 1 - c >= 0)
        found = jnp.sign(u[2] - 0.5) * jnp.arccos(jnp.clip(f, -1, 1))
        return key, jnp.where(accept & ~done, found, angle), done | accept

    return trial


@op(saves="none", differentiable=False)
def von_mises(concentration: Array, shape: tuple[int, ...], key: Key = None) -> Array:
    """Angles around 0, by rejection from a wrapped Cauchy distribution, in float64 where it is on.

    Efficient Simulation of the von Mises Distribution (Best and Fisher, 1979),
    https://doi.org/10.2307/2346732
    """
    _wide(concentration)
    k = concentration.astype(dtypes.canonical(jnp.float64))
    trial = _von_mises_trial(k, _proposal(k), shape)
    start = (jax_key(key), jnp.zeros(shape, k.dtype), jnp.zeros(shape, bool))
    angle = jax.lax.while_loop(lambda state: ~jnp.all(state[2]), trial, start)[1]
    return angle.astype(concentration.dtype)
