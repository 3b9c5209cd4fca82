"""The cheap bits of dropout masks are as good as random bits: chi-square, runs, correlations.

Each statistic has a known normal distribution for truly random bits; 5 standard deviations are
allowed, which random bits exceed once in two million times.
"""

from __future__ import annotations

import jax
import numpy as np
import pytest

from jtoolbox import random

SIZE = 2**20
SHORT = 2**17
LIMIT = 5.0
# Weak hashes fail first on simple keys: zero, small, neighbours, single high bits.
KEYS = [(0, 0), (0, 1), (1, 0), (1, 1), (7, 1000), (2**31, 3), (2**32 - 1, 2**32 - 1), (123456, 77)]


def bits(key, shape=(SIZE,)):
    return np.asarray(random.uniform_bits(np.array(key, np.uint32), shape))


def uniform(key, size=SIZE):
    return bits(key, (size,)) / 2.0**32


def assert_normal(z):
    assert np.abs(z).max() < LIMIT, z


def correlation(a, b):
    """The correlation of two uniform sequences, in its standard deviations for independent ones."""
    return 12 * np.dot(a - 0.5, b - 0.5) / np.sqrt(len(a))


def chi_square(counts):
    """The chi-square statistic of equal expected counts, in its standard deviations."""
    expected = counts.sum() / counts.size
    freedom = counts.size - 1
    return (((counts - expected) ** 2 / expected).sum() - freedom) / np.sqrt(2 * freedom)


@pytest.mark.parametrize("key", KEYS)
def test_mean_variance_and_distribution_are_uniform(key):
    u = uniform(key)
    assert_normal((u.mean() - 0.5) * np.sqrt(12 * SIZE))
    assert_normal((u.var() - 1 / 12) * np.sqrt(180 * SIZE))
    assert_normal(chi_square(np.bincount((u * 256).astype(int), minlength=256)))
    assert_normal(chi_square(np.bincount(bits(key) & 0xFFF, minlength=4096)))


@pytest.mark.parametrize("key", KEYS[:4])
def test_every_bit_is_one_half_of_the_time_and_independent_of_the_others(key):
    signs = np.unpackbits(bits(key).view(np.uint8)).reshape(SIZE, 32).astype(np.float32) * 2 - 1
    assert_normal(signs.mean(0, dtype=np.float64) * np.sqrt(SIZE))
    products = signs.T @ signs / np.sqrt(SIZE)
    assert_normal(products[np.triu_indices(32, 1)])


@pytest.mark.parametrize("key", KEYS)
def test_neighbours_at_every_distance_are_independent(key):
    u = uniform(key)
    lags = [1, 2, 3, 4, 7, 8, 16, 28, 32, 64, 100, 128, 256, 512, 784, 1000, 1024, 4096, 65536]
    assert_normal(np.array([correlation(u[:-lag], u[lag:]) for lag in lags]))
    index = (u[:-1] * 32).astype(int) * 32 + (u[1:] * 32).astype(int)
    assert_normal(chi_square(np.bincount(index, minlength=1024)))


@pytest.mark.parametrize("distance", [1, 2, 3, 256, 65536, 2**31])
def test_masks_of_other_counters_and_other_seeds_are_independent(distance):
    for seed, counter in KEYS[1:5]:
        u = uniform((seed, counter), SHORT)
        later = uniform((seed, (counter + distance) % 2**32), SHORT)
        other = uniform(((seed + distance) % 2**32, counter), SHORT)
        for v in (later, other):
            assert_normal(correlation(u, v))
            pairs = (u * 32).astype(int) * 32 + (v * 32).astype(int)
            assert_normal(chi_square(np.bincount(pairs, minlength=1024)))
            shifted = [correlation(u[:-lag], v[lag:]) for lag in (1, 2, 64)]
            assert_normal(np.array(shifted))


def test_seed_and_counter_do_not_stand_for_each_other():
    u = {key: uniform(key) for key in ((3, 5), (5, 3), (4, 4), (2, 6))}
    names = list(u)
    for i, a in enumerate(names):
        for b in names[:i]:
            assert_normal(correlation(u[a], u[b]))
            assert not np.array_equal(np.sort(u[a])[:100], np.sort(u[b])[:100])


def test_no_two_of_a_thousand_keys_give_the_same_set_of_numbers():
    keys = np.array([(s, c) for s in range(10) for c in range(100)], np.uint32)
    found = np.asarray(jax.vmap(lambda key: random.uniform_bits(key, (1024,)))(keys))
    assert len({int(row.astype(np.uint64).sum()) for row in found}) == 1000


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropped_elements_come_in_runs_as_long_as_chance_makes_them(p):
    for key in KEYS:
        dropped = uniform(key) < p
        pairs = (dropped[1:] & dropped[:-1]).mean()
        deviation = np.sqrt(p**2 * (1 - p**2) * (1 + 2 * p / (1 + p)) / SIZE)
        assert_normal((pairs - p**2) / deviation)


def test_one_elements_bits_over_many_counters_are_uniform():
    keys = np.stack([np.full(8192, 9), np.arange(8192)], 1).astype(np.uint32)
    u = np.asarray(jax.vmap(lambda key: random.uniform_bits(key, (16,)))(keys)) / 2.0**32
    assert_normal((u.mean(0) - 0.5) * np.sqrt(12 * 8192))
    for column in u.T:
        assert_normal(chi_square(np.bincount((column * 64).astype(int), minlength=64)))
        assert_normal(correlation(column[:-1], column[1:]))


def test_rows_and_columns_of_a_matrix_have_the_right_share():
    kept = bits((1, 1), (1024, 1024)) >= 2**32 * 0.1
    for axis in (0, 1):
        assert_normal((kept.mean(axis) - 0.9) * np.sqrt(1024 / 0.09))


def test_an_empty_shape_and_a_scalar_have_bits_too():
    assert bits((1, 1), (0, 3)).shape == (0, 3)
    assert bits((1, 1), ()).shape == ()
