"""Random tensors have the right distribution, type and support, and repeat with their seed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import dtypes
from jtoolbox.ops import sampling, sampling_like
from jtoolbox.random import Generator
from tests.ops.cases import floats, integers
from tests.reference import same_error

COUNT = 20000


def drawn(result):
    return np.asarray(result.detach().numpy() if hasattr(result, "detach") else result)


def generator(seed=0):
    return Generator().manual_seed(seed)


def moments(x, mean, std, within=5):
    """Mean and deviation are those expected, within so many of their standard errors."""
    x = drawn(x).astype(np.float64).ravel()
    error = std / np.sqrt(x.size)
    assert abs(x.mean() - mean) < within * error
    assert abs(x.std() - std) < 4 * within * error


def test_rand_is_uniform():
    x = sampling.rand(COUNT, generator=generator())
    moments(x, 0.5, 12**-0.5)
    assert drawn(x).min() >= 0
    assert drawn(x).max() < 1


def test_randn_is_normal():
    x = sampling.randn(100, 200, generator=generator())
    moments(x, 0, 1)
    inside = np.mean(np.abs(drawn(x)) < 1)
    assert abs(inside - 0.6827) < 0.02


def test_randint_covers_its_range_evenly():
    x = drawn(sampling.randint(-2, 5, (COUNT,), generator=generator()))
    values, counts = np.unique(x, return_counts=True)
    assert x.dtype == np.int64
    assert list(values) == list(range(-2, 5))
    assert abs(counts - COUNT / 7).max() < 6 * np.sqrt(COUNT / 7)


def test_randint_takes_only_a_bound():
    assert set(drawn(sampling.randint(2, (50,), generator=generator()))) == {0, 1}


def test_randperm_is_a_permutation():
    x = drawn(sampling.randperm(100, generator=generator()))
    assert x.dtype == np.int64
    assert sorted(x) == list(range(100))
    assert list(x) != list(range(100))
    assert drawn(sampling.randperm(0)).shape == (0,)


@pytest.mark.parametrize("name", ["rand", "randn"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16"])
def test_types(name, dtype):
    x = getattr(sampling, name)(2, 3, dtype=getattr(dtypes, dtype))
    assert x.dtype is getattr(dtypes, dtype)
    assert tuple(x.shape) == (2, 3)


def test_a_seed_repeats_and_the_next_call_differs():
    g = generator(3)
    first, second = drawn(sampling.rand(5, generator=g)), drawn(sampling.rand(5, generator=g))
    again = drawn(sampling.rand(5, generator=generator(3)))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_like_takes_shape_and_type():
    x = jt.tensor(floats(2, 3, dtype=np.float64))
    for f in (sampling_like.rand_like, sampling_like.randn_like):
        assert tuple(f(x).shape) == (2, 3)
        assert f(x).dtype is dtypes.float64
    whole = sampling_like.randint_like(x, 3, 5)
    assert set(drawn(whole).ravel()) <= {3.0, 4.0}


ZEROS = np.zeros(COUNT, np.float32)
FILLS = [
    ("uniform_like", (2, 4), 3, 12**-0.5 * 2),
    ("normal_like", (1, 3), 1, 3),
    ("exponential_like", (2.0,), 0.5, 0.5),
    ("geometric_like", (0.25,), 4, 12**0.5),
    ("log_normal_like", (0.0, 0.25), np.exp(0.03125), 0.2615),
    ("random_like", (0, 11), 5, 10**0.5),
]


@pytest.mark.parametrize(("name", "args", "mean", "std"), FILLS)
def test_values_of_in_place_methods(name, args, mean, std):
    x = getattr(sampling_like, name)(jt.tensor(ZEROS), *args, generator=generator())
    moments(x, mean, std)
    assert drawn(x).dtype == np.float32


def test_cauchy_has_its_median_and_quartiles():
    x = drawn(sampling_like.cauchy_like(jt.tensor(ZEROS), 1.0, 2.0, generator=generator()))
    np.testing.assert_allclose(np.quantile(x, [0.25, 0.5, 0.75]), [-1, 1, 3], atol=0.15)


def test_random_without_bounds_fills_integers():
    x = drawn(sampling_like.random_like(jt.tensor(np.zeros(100, np.uint8)), generator=generator()))
    assert len(set(x)) > 50


def test_normal_of_tensors_and_numbers():
    mean, std = jt.tensor(ZEROS + 2), jt.tensor(ZEROS + 3)
    moments(sampling.normal(mean, std, generator=generator()), 2, 3)
    moments(sampling.normal(mean, 0.5, generator=generator()), 2, 0.5)
    moments(sampling.normal(1.0, std, generator=generator()), 1, 3)
    moments(sampling.normal(1.0, 2.0, (COUNT,), generator=generator()), 1, 2)
    moments(sampling.normal(mean, generator=generator()), 2, 1)


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_bernoulli(p):
    for x in (
        sampling.bernoulli(jt.tensor(ZEROS + np.float32(p)), generator=generator()),
        sampling.bernoulli(jt.tensor(ZEROS), p, generator=generator()),
    ):
        assert set(drawn(x)) <= {0.0, 1.0}
        assert abs(drawn(x).mean() - p) < 5 * np.sqrt(p * (1 - p) / COUNT) + 1e-9


def test_poisson():
    x = sampling.poisson(jt.tensor(ZEROS + 4), generator=generator())
    moments(x, 4, 2)
    assert drawn(x).dtype == np.float32


WEIGHTS = np.array([0.1, 0.0, 0.5, 0.4], np.float32)


def test_multinomial_with_replacement_follows_the_weights():
    x = drawn(sampling.multinomial(jt.tensor(WEIGHTS * 7), COUNT, True, generator=generator()))
    shares = np.bincount(x, minlength=4) / COUNT
    assert x.dtype == np.int64
    assert shares[1] == 0
    np.testing.assert_allclose(shares, WEIGHTS, atol=0.02)


def test_multinomial_without_replacement_never_repeats():
    rows = np.tile(WEIGHTS, (5000, 1))
    x = drawn(sampling.multinomial(jt.tensor(rows), 3, generator=generator()))
    assert x.shape == (5000, 3)
    assert all(sorted(row) == [0, 2, 3] for row in x)
    np.testing.assert_allclose(np.bincount(x[:, 0], minlength=4) / 5000, WEIGHTS, atol=0.03)
    # After 2 was drawn (0.5), 0 follows with probability 0.1 / 0.5.
    after = x[x[:, 0] == 2, 1]
    assert abs(np.mean(after == 0) - 0.2) < 0.04


def test_arrays_and_keys_work_under_jit():
    @jax.jit
    def f(x, key):
        return sampling_like.bernoulli_samples(x, None, key)

    first = f(jnp.full(8, 0.5), jnp.array([1, 2], jnp.uint32))
    again = f(jnp.full(8, 0.5), jnp.array([1, 2], jnp.uint32))
    np.testing.assert_array_equal(first, again)
    assert isinstance(sampling_like.rand_like(jnp.zeros(3)), jax.Array)


ERRORS = [
    (sampling.bernoulli, torch.bernoulli, (np.array([1.5], np.float32),), "probability"),
    (sampling.bernoulli, torch.bernoulli, (integers(2, low=0, high=2),), "not implemented"),
    (sampling.multinomial, torch.multinomial, (WEIGHTS, 5), "without replacement"),
    (sampling.multinomial, torch.multinomial, (WEIGHTS, 0), "n_sample <= 0"),
    (sampling.multinomial, torch.multinomial, (-WEIGHTS, 1), "element < 0"),
    (sampling.multinomial, torch.multinomial, (WEIGHTS * 0, 1), "sum of probabilities <= 0"),
    (sampling.multinomial, torch.multinomial, (integers(3, low=1), 1), "floating-point dtypes"),
    (sampling.multinomial, torch.multinomial, (floats(2, 2, 2, low=0), 1), "1 or 2 dim"),
    (sampling.poisson, torch.poisson, (-WEIGHTS,), "non-negative"),
    (sampling.poisson, torch.poisson, (integers(3, low=0),), "not implemented"),
    (sampling.normal, torch.normal, (WEIGHTS, -1.0), "std >= 0.0"),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)


def test_bad_bounds_are_named():
    x = jt.tensor(np.zeros(2, np.float32))
    with pytest.raises(RuntimeError, match="from=5 >= to=3"):
        sampling.randint(5, 3, (2,))
    with pytest.raises(RuntimeError, match="found from=2 > to=1"):
        sampling_like.uniform_like(x, 2, 1)
    with pytest.raises(RuntimeError, match="lambda > 0"):
        sampling_like.exponential_like(x, -1)
    with pytest.raises(RuntimeError, match=r"p to be in \(0, 1\)"):
        sampling_like.geometric_like(x, 1.5)
    with pytest.raises(NotImplementedError, match="uniform samples are not implemented"):
        sampling.rand(2, dtype=dtypes.int64)
    with pytest.raises(RuntimeError, match="negative dimension"):
        sampling.randperm(-1)
