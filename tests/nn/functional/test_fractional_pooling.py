"""Fractional max-pooling, and max-pooling that always returns positions, against PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def uniform(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).uniform(size=shape).astype(np.float32)


def both(name: str) -> tuple:
    return getattr(F, name), getattr(TF, name)


def sampled(name: str, samples: np.ndarray) -> tuple:
    """Ours and PyTorch's function with these samples."""
    ours, theirs = both(name)
    given = torch.tensor(samples)
    return (
        lambda x, **settings: ours(x, _random_samples=samples, **settings),
        lambda x, **settings: theirs(x, _random_samples=given, **settings),
    )


CASES = {
    "a size": (2, (2, 3, 9, 8), {"kernel_size": 2, "output_size": (5, 4)}),
    "a ratio": (2, (1, 2, 9, 8), {"kernel_size": (2, 3), "output_ratio": (0.5, 0.7)}),
    "one window": (2, (1, 2, 5, 4), {"kernel_size": 4, "output_size": (2, 1)}),
    "3-d": (3, (1, 2, 5, 6, 7), {"kernel_size": 2, "output_size": (2, 3, 4)}),
}


@pytest.mark.parametrize("case", CASES)
def test_fractional_pooling_with_given_samples_equals_pytorchs(case: str) -> None:
    n, shape, settings = CASES[case]
    functions = sampled(f"fractional_max_pool{n}d", uniform(*shape[:2], n))
    compare(*functions, normal(*shape), return_indices=True, **settings)


def test_fractional_pooling_takes_unbatched_input() -> None:
    functions = sampled("fractional_max_pool2d_with_indices", uniform(1, 3, 2))
    compare(*functions, normal(3, 6, 5), kernel_size=2, output_size=3)


def test_no_windows_give_an_empty_result_and_empty_windows_raise() -> None:
    x = normal(1, 2, 6, 5)
    compare(*both("fractional_max_pool2d"), x, kernel_size=2, output_size=(0, 3), grad=False)
    for kernel, output in ((0, 3), (2, -1)):
        with pytest.raises(RuntimeError, match="a window has at least one"):
            F.fractional_max_pool2d(x, kernel, output)


def test_drawn_windows_stay_inside_and_differ_from_call_to_call() -> None:
    x = jt.arange(4000.0).reshape(1, 4, 1000, 1)
    seen = set()
    for _ in range(5):
        y = F.fractional_max_pool2d(x, (2, 1), output_ratio=(0.7, 1.0)).numpy()
        assert y.shape == (1, 4, 700, 1)
        steps = np.diff(y[0, :, :, 0])
        assert set(np.unique(steps)) <= {1, 2}
        seen.add(y.tobytes())
    assert len(seen) == 5


def test_fractional_pooling_works_under_transformations() -> None:
    def f(x, samples):
        return F.fractional_max_pool2d(x, 2, output_size=2, _random_samples=samples).sum()

    x, samples = jnp.asarray(normal(2, 1, 1, 4, 4)), jnp.asarray(uniform(2, 1, 1, 2))
    gradient = jax.jit(jax.vmap(jax.grad(f)))(x, samples)
    assert gradient.sum() == 8


def test_maxima_of_nothing_are_empty() -> None:
    settings = {"kernel_size": 2, "output_size": 3}
    compare(*both("fractional_max_pool2d"), normal(0, 1, 6, 6), grad=False, **settings)


ERRORS = {
    "no size": (2, (1, 2, 4, 4), {"kernel_size": 2}, "either an output_size or an output_ratio"),
    "too large": (
        2,
        (1, 2, 4, 4),
        {"kernel_size": 5, "output_size": 2},
        "pool height 5 too large relative to input height 4",
    ),
    "too many": (
        3,
        (1, 2, 4, 4, 4),
        {"kernel_size": 2, "output_size": 4},
        "pool time 2 too large relative to input time 4",
    ),
    "kernel": (
        2,
        (1, 2, 4, 4),
        {"kernel_size": (2, 2, 2), "output_size": 2},
        "kernel_size must either be a single Int or tuple of 2 Ints",
    ),
    "size": (
        3,
        (1, 2, 4, 4, 4),
        {"kernel_size": 2, "output_size": (2, 2)},
        "output_size must either be a single Int or tuple of 3 Ints",
    ),
    "ratio": (
        3,
        (1, 2, 4, 4, 4),
        {"kernel_size": 2, "output_ratio": (0.5, 0.5)},
        "output_ratio must have 3 elements",
    ),
    "no channels": (
        2,
        (1, 0, 4, 4),
        {"kernel_size": 2, "output_size": 2},
        "with dimension 1 being empty",
    ),
    "rank": (
        2,
        (1, 1, 4, 4, 4),
        {"kernel_size": 2, "output_size": 2},
        "Expected 3D or 4D tensor, but got",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_fractional_pooling_raises_pytorchs_error(case: str) -> None:
    n, shape, settings, match = ERRORS[case]
    same_error(*both(f"fractional_max_pool{n}d"), normal(*shape), match=match, **settings)


@pytest.mark.parametrize(
    ("samples", "match"),
    [
        ((1, 2, 3), r"_random_samples.size\(2\) equals to 2; got 3"),
        ((1, 1, 2), r"_random_samples.size\(1\) equals to input channel size"),
        ((1, 2), "_random_samples to have 3 dimensions, got 2"),
    ],
)
def test_wrong_samples_raise_pytorchs_error(samples, match) -> None:
    functions = sampled("fractional_max_pool2d", uniform(*samples))
    same_error(*functions, normal(1, 2, 4, 4), match=match, kernel_size=2, output_size=2)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_pooling_that_always_returns_positions_equals_pytorchs(n: int) -> None:
    x = normal(1, 2, *(4, 5, 6)[:n])
    compare(*both(f"max_pool{n}d_with_indices"), x, grad=False, kernel_size=2)
    compare(*both(f"adaptive_max_pool{n}d_with_indices"), x, grad=False, output_size=3)
