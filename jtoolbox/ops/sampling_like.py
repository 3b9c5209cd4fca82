"""Random tensors in the shape of another; the in-place methods (x.uniform_()) take these values.

What an in-place method wrote still requires grad, and its gradient is zero.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, Key, op
from jtoolbox.ops.creation import array_type, placed
from jtoolbox.ops.elementwise import is_complex, is_integer
from jtoolbox.random import jax_key

__all__ = [
    *("bernoulli_like", "cauchy_like", "exponential_like", "geometric_like", "log_normal_like"),
    *("normal_like", "rand_like", "randint_like", "randn_like", "random_like"),
    *("uniform_like",),
]


def key_of(generator: Any) -> Any:
    """The next key of a generator; None leaves the choice to the engine."""
    return None if generator is None else generator.next_key()


def uniform_samples(key: Array, shape: tuple[int, ...], d: Any) -> Array:
    """Numbers in [0, 1) of a float type, or complex numbers with such parts."""
    if jnp.issubdtype(d, jnp.complexfloating):
        parts = uniform_samples(key, (2, *shape), jnp.zeros((), d).real.dtype)
        return jax.lax.complex(parts[0], parts[1])
    if not jnp.issubdtype(d, jnp.floating):
        raise NotImplementedError(f"uniform samples are not implemented for {dtypes.from_numpy(d)}")
    return jax.random.uniform(jax_key(key), shape, d)


def normal_samples(key: Array, shape: tuple[int, ...], d: Any) -> Array:
    """Standard normal numbers of a float or complex type."""
    if not jnp.issubdtype(d, jnp.inexact):
        raise NotImplementedError(f"normal samples are not implemented for {dtypes.from_numpy(d)}")
    return jax.random.normal(jax_key(key), shape, d)


def whole_numbers(key: Array, shape: tuple[int, ...], low: Array, high: Array, d: Any) -> Array:
    """Integers in [low, high), in any type that holds them."""
    kind = d if jnp.issubdtype(d, jnp.integer) else dtypes.index_dtype()
    low, high = (jnp.asarray(x).astype(dtypes.index_dtype()) for x in (low, high))
    return jax.random.randint(jax_key(key), shape, low, high, kind).astype(d)


def check_order(low: int, high: int, dtype: Any) -> None:
    if low >= high:
        raise RuntimeError(
            f"random_ expects 'from' to be less than 'to', but got from={low} >= to={high}"
        )
    kind: Any = dtypes.as_numpy(dtype)
    if dtypes.kind(kind) == 1:
        limits = np.iinfo(kind)
        for name, value in (("from", low), ("to - 1", high - 1)):
            if not limits.min <= value <= limits.max:
                raise RuntimeError(f"{name} is out of bounds for {kind}: it is {value}")


def check_std(std: Any) -> None:
    if isinstance(std, (int, float)) and not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {std}")


@op(saves="none", name="uniform")
def _uniform_like(input: Array, low: Array, high: Array, dtype: Any, key: Key = None) -> Array:
    d = input.dtype if dtype is None else array_type(dtype)
    wide = jnp.float32 if np.dtype(d).itemsize == 2 else d
    low, high = (jnp.asarray(x).astype(d) for x in (low, high))
    return uniform_samples(key, input.shape, wide).astype(d) * (high - low) + low


@op(saves="none", differentiable=False, name="rand_like")
def _rand_like(input: Array, dtype: Any, key: Key = None) -> Array:
    return uniform_samples(key, input.shape, input.dtype if dtype is None else array_type(dtype))


@op(saves="none", differentiable=False, name="randn_like")
def _randn_like(input: Array, dtype: Any, key: Key = None) -> Array:
    return normal_samples(key, input.shape, input.dtype if dtype is None else array_type(dtype))


def rand_like(
    input: Array,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Uniform numbers in [0, 1), in the shape and type of `input`."""
    return placed(_rand_like(input, dtype, key_of(generator)), device, requires_grad, layout)


def randn_like(
    input: Array,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Normal numbers of mean 0 and variance 1, in the shape and type of `input`."""
    return placed(_randn_like(input, dtype, key_of(generator)), device, requires_grad, layout)


@op(saves="none", differentiable=False, name="randint_like")
def _randint_like(input: Array, low: Array, high: Array, dtype: Any, key: Key = None) -> Array:
    d = input.dtype if dtype is None else array_type(dtype)
    return whole_numbers(key, input.shape, low, high, d)


def randint_like(
    input: Array,
    low: int | None = None,
    high: int | None = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Integers in [low, high), or [0, low), in the shape and type of `input`."""
    if low is None or high is None:
        low, high = 0, low if high is None else high
    if high is None:
        raise TypeError("randint_like() needs an upper bound: randint_like(input, high)")
    check_order(low, high, input.dtype)
    result = _randint_like(input, low, high, dtype, key_of(generator))
    return placed(result, device, requires_grad, layout)


def uniform_like(
    input: Array, low: float = 0.0, high: float = 1.0, *, generator: Any = None
) -> Any:
    """Uniform numbers in [low, high): the values of `input.uniform_(low, high)`."""
    if low > high:
        raise RuntimeError(
            f"uniform_ expects to return a [from, to) range, but found from={low} > to={high}"
        )
    return _uniform_like(input, low, high, None, key_of(generator))


@op(saves="none", name="normal")
def _normal_like(input: Array, mean: Array, std: Array, key: Key = None) -> Array:
    if is_complex(input):  # PyTorch shifts both parts by the mean
        mean = jnp.asarray(mean) * (1 + 1j)
    mean, std = (jnp.asarray(x).astype(input.dtype) for x in (mean, std))
    return normal_samples(key, input.shape, input.dtype) * std + mean


def normal_like(input: Array, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
    """Normal numbers: the values of `input.normal_(mean, std)`."""
    check_std(std)
    return _normal_like(input, mean, std, key_of(generator))


def check_probability(input: Any, p: Any = None, *_: Any) -> None:
    p = input if p is None else p
    if isinstance(p, (np.ndarray, float, int)) and not np.all((p >= 0) & (p <= 1)):  # type: ignore[operator]
        raise RuntimeError("Expected p_in >= 0 && p_in <= 1 to be true: it is a probability")


@op(saves="none", check=check_probability, name="bernoulli", refuses=("complex",))
def bernoulli_samples(input: Array, p: Array | None = None, key: Key = None) -> Array:
    """1 with probability `input`, or `p` if given, else 0, in the type of `input`."""
    if p is None and is_integer(input):
        raise NotImplementedError(
            f"bernoulli is not implemented for {dtypes.from_numpy(input.dtype)}: give "
            "probabilities as floats"
        )
    chance = jnp.asarray(input if p is None else p)
    u = uniform_samples(key, input.shape, dtypes.canonical(jnp.promote_types(chance, jnp.float32)))
    result = (u < chance).astype(input.dtype)
    valid = (chance >= 0) & (chance <= 1)
    return result if is_integer(input) else jnp.where(valid, result, jnp.nan)


def bernoulli_like(input: Array, p: Any = 0.5, *, generator: Any = None) -> Any:
    """1 with probability `p`, a number or a tensor, else 0: the values of `input.bernoulli_(p)`."""
    return bernoulli_samples(input, p, key_of(generator))


def _real_only(input: Any, *_: Any) -> None:
    if jnp.issubdtype(input.dtype, jnp.complexfloating):
        raise RuntimeError(
            "a continuous probability distribution of real numbers: dtype must be a floating point "
            f"but you specified {dtypes.from_numpy(input.dtype)}"
        )


def log_normal_like(
    input: Array, mean: float = 1.0, std: float = 2.0, *, generator: Any = None
) -> Any:
    """Numbers whose logarithms are normal: the values of `input.log_normal_(mean, std)`."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={std}")
    return _log_normal_like(input, mean, std, key_of(generator))


@op(saves="none", name="log_normal", refuses=("complex",))
def _log_normal_like(input: Array, mean: Array, std: Array, key: Key = None) -> Array:
    return jnp.exp(_normal_like(input, mean, std, key))


@op(saves="none", name="exponential", check=_real_only)
def _exponential_like(input: Array, lambd: Array, key: Key = None) -> Array:
    u = uniform_samples(key, input.shape, input.dtype)
    return -jnp.log1p(-u) / jnp.asarray(lambd).astype(input.dtype)


def exponential_like(input: Array, lambd: float = 1.0, *, generator: Any = None) -> Any:
    """Exponential numbers of mean 1 / lambd: the values of `input.exponential_(lambd)`."""
    if not lambd > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={lambd}")
    return _exponential_like(input, lambd, key_of(generator))


@op(saves="none", name="cauchy", check=_real_only)
def _cauchy_like(input: Array, median: Array, sigma: Array, key: Key = None) -> Array:
    u = uniform_samples(key, input.shape, input.dtype)
    median, sigma = (jnp.asarray(x).astype(input.dtype) for x in (median, sigma))
    return median + sigma * jnp.tan(jnp.pi * (u - 0.5))


def cauchy_like(
    input: Array, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None
) -> Any:
    """Cauchy numbers: the values of `input.cauchy_(median, sigma)`."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={sigma}")
    return _cauchy_like(input, median, sigma, key_of(generator))


@op(saves="none", name="geometric", refuses=("complex",))
def _geometric_like(input: Array, p: Array, key: Key = None) -> Array:
    u = uniform_samples(key, input.shape, jnp.float32)
    trials = jnp.ceil(jnp.log1p(-u) / jnp.log1p(-jnp.asarray(p).astype(jnp.float32)))
    return jnp.maximum(trials, 1).astype(input.dtype)


def geometric_like(input: Array, p: float, *, generator: Any = None) -> Any:
    """Trials until the first success, 1 or more: the values of `input.geometric_(p)`."""
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={p}")
    return _geometric_like(input, p, key_of(generator))


def _highest(d: np.dtype) -> int:
    """One more than the largest integer that `random_` draws for a type."""
    if d.kind == "b":
        return 2
    if jnp.issubdtype(d, jnp.floating):
        return 2 ** (jnp.finfo(d).nmant + 1) + 1
    return min(int(jnp.iinfo(d).max) + 1, 2**63 - 1)


@op(saves="none", name="random", refuses=("complex",))
def _random_like(input: Array, low: Array, high: Array, key: Key = None) -> Array:
    return whole_numbers(key, input.shape, low, high, input.dtype)


def random_like(
    input: Array, low: int = 0, high: int | None = None, *, generator: Any = None
) -> Any:
    """Integers in [low, high), or [0, low): the values of `input.random_(low, high)`.

    Without bounds, all integers from 0 that the type holds exactly.
    """
    if high is None:
        low, high = 0, low or _highest(dtypes.canonical(dtypes.as_numpy(input.dtype)))
    check_order(low, high, input.dtype)
    return _random_like(input, low, high, key_of(generator))
