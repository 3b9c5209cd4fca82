"""Random tensors. Each call takes the next key of a generator: the default one, or `generator=`.

The distributions are PyTorch's, the numbers are not: the same seed gives other samples.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, Key, numpy_names, op
from jtoolbox.engine.graph import NO_DERIVATIVE, Handle
from jtoolbox.ops.arithmetic import promoted
from jtoolbox.ops.creation import (
    array_type,
    default_type,
    finished,
    named_size,
    size_of,
    with_out,
)
from jtoolbox.ops.elementwise import is_complex, is_integer
from jtoolbox.ops.sampling_like import (
    bernoulli_samples,
    check_order,
    check_probability,
    check_std,
    key_of,
    normal_samples,
    uniform_samples,
    whole_numbers,
)
from jtoolbox.random import jax_key

__all__ = [
    *("bernoulli", "binomial", "multinomial", "normal", "poisson", "rand", "randint", "randn"),
    *("randperm",),
]


# Samples of a given size


@op(creates=True, saves="none", name="rand")
def _rand(size: tuple[int, ...], dtype: Any, device: Any, key: Key = None) -> Array:
    return uniform_samples(key, size, array_type(dtype))


@op(creates=True, saves="none", name="randn")
def _randn(size: tuple[int, ...], dtype: Any, device: Any, key: Key = None) -> Array:
    return normal_samples(key, size, array_type(dtype))


@with_out
def rand(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Uniform numbers in [0, 1): `rand(2, 3)` or `rand((2, 3))`."""
    shape = size_of("rand", named_size(sizes, size))
    key = key_of(generator)
    result = _rand(shape, default_type(dtype), devices.placement(device), key)
    return finished(result, requires_grad, layout)


@with_out
def randn(
    *sizes: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Normal numbers of mean 0 and variance 1: `randn(2, 3)` or `randn((2, 3))`."""
    shape = size_of("randn", named_size(sizes, size))
    key = key_of(generator)
    result = _randn(shape, default_type(dtype), devices.placement(device), key)
    return finished(result, requires_grad, layout)


@op(creates=True, saves="none", name="randint")
def _randint(
    low: Array, high: Array, size: tuple[int, ...], dtype: Any, device: Any, key: Key = None
) -> Array:
    return whole_numbers(key, size, low, high, array_type(dtype))


@with_out
def randint(
    low: Any = None,
    high: Any = None,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Integers in [low, high): `randint(high, size)` or `randint(low, high, size)`."""
    if isinstance(high, Sequence):
        high, size = None, high
    if low is None or high is None:
        low, high = 0, low if high is None else high
    if size is None or high is None:
        raise TypeError("randint() needs a size: randint(high, size) or randint(low, high, size)")
    low, high = int(low), int(high)
    dtype = dtypes.int64 if dtype is None else dtype
    check_order(low, high, dtype)
    shape, place = size_of("randint", (size,)), devices.placement(device)
    result = _randint(low, high, shape, dtype, place, key_of(generator))
    return finished(result, requires_grad, layout)


@op(creates=True, saves="none", name="randperm")
def _randperm(n: int, dtype: Any, device: Any, key: Key = None) -> Array:
    return jax.random.permutation(jax_key(key), jnp.arange(n, dtype=array_type(dtype)))


@with_out
def randperm(
    n: int,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """The integers 0 ... n - 1 in random order."""
    if n < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {n}: [{n}]")
    dtype = dtypes.int64 if dtype is None else dtype
    result = _randperm(int(n), dtype, devices.placement(device), key_of(generator))
    return finished(result, requires_grad, layout)


# Samples of given distributions


@op(saves="none", name="normal", refuses=("bool", "int"))
def _normal(mean: Array, std: Array, key: Key = None) -> Array:
    dtypes.refuse("normal", std, "bool", "int", "complex")
    mean, std = promoted(mean, std)
    shape = np.broadcast_shapes(mean.shape, std.shape)
    d = mean.dtype
    return jax.lax.stop_gradient(mean + std * normal_samples(key, shape, d))


@op(creates=True, saves="none", name="normal")
def _normal_of_size(
    mean: Array, std: Array, size: tuple[int, ...], dtype: Any, device: Any, key: Key = None
) -> Array:
    d = array_type(dtype)
    mean, std = (jnp.asarray(x).astype(d) for x in (mean, std))
    return mean + std * normal_samples(key, size, d)


@numpy_names
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Normal numbers: `normal(means, stds)` with a tensor for either or both, or
    `normal(mean, std, size)` of two numbers. The gradients of means and stds are zero: samples
    that carry gradients are `means + stds * randn_like(means)`."""
    check_std(std)
    key = key_of(generator)
    if size is None:
        if not (_is_tensor(mean) or _is_tensor(std)):
            raise TypeError("normal(mean, std) of two numbers needs a size")
        return _normal(*(x if _is_tensor(x) else float(x) for x in (mean, std)), key)
    shape = size_of("normal", (size,))
    result = _normal_of_size(mean, std, shape, default_type(dtype), devices.placement(device), key)
    return finished(result, requires_grad, layout)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (Handle, jax.Array, np.ndarray))


@op(saves="none", check=check_probability, name="bernoulli", tags=(NO_DERIVATIVE,))
def _bernoulli_of_one(input: Array, p: Array, key: Key = None) -> Array:
    return bernoulli_samples(input, p, key)


def bernoulli(input: Array, p: Any = None, *, generator: Any = None) -> Any:
    """1 with the probability that each element is (or that the number `p` is), else 0.

    The gradient is zero; with `p` a backward pass raises RuntimeError. Raises RuntimeError for a
    probability outside [0, 1]; where it cannot be seen the result is NaN.
    """
    if p is None:
        return bernoulli_samples(input, None, key_of(generator))
    if _is_tensor(p):
        raise TypeError(
            "bernoulli() takes a number for p, got a tensor: bernoulli(p) gives its samples"
        )
    return _bernoulli_of_one(input, p, key_of(generator))


@op(saves="none", tags=(NO_DERIVATIVE,), name="binomial")
def _binomial(count: Array, prob: Array, key: Key = None) -> Array:
    if count.dtype != prob.dtype or not jnp.issubdtype(count.dtype, jnp.floating):
        raise RuntimeError(
            "binomial only supports floating-point dtypes for count and prob, of one type, got "
            f"{count.dtype} and {prob.dtype}"
        )
    count, prob = jax.lax.stop_gradient((count, prob))
    return jax.random.binomial(jax_key(key), count, prob, dtype=count.dtype)


def binomial(count: Array, prob: Array, generator: Any = None) -> Any:
    """How many of `count` trials succeed, each with probability `prob`; both are floats.

    A backward pass through it raises RuntimeError.
    """
    return _binomial(count, prob, key_of(generator))


def _check_rate(input: Any, *_: Any) -> None:
    if isinstance(input, np.ndarray) and not np.all(input >= 0):
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")


@op(saves="none", check=_check_rate, name="poisson")
def _poisson(input: Array, key: Key = None) -> Array:
    if is_integer(input) or is_complex(input):
        raise NotImplementedError(
            f"poisson is not implemented for {dtypes.from_numpy(input.dtype)}: give rates as floats"
        )
    rate = jax.lax.stop_gradient(input)
    counts = jax.random.poisson(jax_key(key), jnp.maximum(rate, 0), rate.shape, jnp.int32)
    return jnp.where(rate >= 0, counts.astype(rate.dtype), jnp.nan)


def poisson(input: Array, generator: Any = None) -> Any:
    """Poisson counts, as floats, of the rates in `input`, whose gradient is zero."""
    return _poisson(input, key_of(generator))


def _check_weights(input: Any, num_samples: int, replacement: bool, *_: Any) -> None:
    if not isinstance(input, np.ndarray) or input.ndim not in (1, 2) or input.dtype.kind == "c":
        return
    weights = input.astype(np.float64)
    if not np.all(np.isfinite(weights) & (weights >= 0)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if not np.all(weights.sum(-1) > 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")


@op(saves="none", differentiable=False, check=_check_weights, name="multinomial")
def _multinomial(input: Array, num_samples: int, replacement: bool, key: Key = None) -> Array:
    if input.ndim not in (1, 2):
        raise RuntimeError(f"prob_dist must be 1 or 2 dim, got shape {tuple(input.shape)}")
    if is_integer(input) or is_complex(input):
        raise RuntimeError(
            "multinomial only supports floating-point dtypes for input, got: "
            f"{dtypes.from_numpy(input.dtype)}"
        )
    if num_samples <= 0:
        raise RuntimeError(f"cannot sample n_sample <= 0 samples, got {num_samples}")
    if not replacement and num_samples > input.shape[-1]:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement, got "
            f"{num_samples} of {input.shape[-1]}"
        )
    if replacement:
        return _drawn_again(input, num_samples, key)
    d = jnp.promote_types(input.dtype, jnp.float32)
    keys = jnp.log(input.astype(d)) + jax.random.gumbel(jax_key(key), input.shape, d)
    return jax.lax.top_k(keys, num_samples)[1].astype(dtypes.index_dtype())


def _drawn_again(weights: Array, count: int, key: Array) -> Array:
    """Draws with replacement: where uniform numbers fall in the running sum of the weights."""
    wide = dtypes.canonical(np.float64)
    sums = jnp.cumsum(weights.astype(wide), -1)
    u = jax.random.uniform(jax_key(key), (*weights.shape[:-1], count), wide)
    points = jnp.minimum(u * sums[..., -1:], jnp.nextafter(sums[..., -1:], jnp.zeros((), wide)))
    find = functools.partial(jnp.searchsorted, side="right")
    found = find(sums, points) if weights.ndim == 1 else jax.vmap(find)(sums, points)
    return found.astype(dtypes.index_dtype())


@numpy_names
def multinomial(
    input: Array, num_samples: int, replacement: bool = False, *, generator: Any = None
) -> Any:
    """Indices of the last dimension, drawn with probabilities proportional to `input`.

    NOTE: draws without replacement take the k largest log-probabilities after adding Gumbel noise,
    which has the distribution of k draws one after the other, and needs no loop.
    """
    return _multinomial(input, num_samples, replacement, key_of(generator))
