"""Pooling against PyTorch's: values, positions, gradients with ties, sizes and errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional import pooling as F
from tests.reference import compare, same_error

SHAPES = {1: (2, 3, 11), 2: (2, 3, 9, 8), 3: (1, 2, 5, 6, 7)}


def normal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def tied(*shape: int) -> np.ndarray:
    """Values of which many are equal, as after a ReLU."""
    return np.maximum(normal(*shape).round(0), 0)


def both(name: str) -> tuple:
    return getattr(F, name), getattr(TF, name)


MAXIMA = {
    "side by side": (2, {"kernel_size": 2}),
    "a rest is left out": (2, {"kernel_size": 4}),
    "overlapping": (2, {"kernel_size": 3, "stride": 1}),
    "padded": (2, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "ceil mode": (2, {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    "ceil mode, padded": (2, {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True}),
    "dilated": (2, {"kernel_size": (3, 2), "dilation": (2, 3), "padding": 1, "stride": 1}),
    "lists": (2, {"kernel_size": [3, 2], "stride": [1, 2]}),
    "one number in a tuple": (2, {"kernel_size": (2,)}),
    "the whole plane": (2, {"kernel_size": (9, 8)}),
    "1-d": (1, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "1-d, long windows": (1, {"kernel_size": 10, "stride": 1, "padding": 4}),
    "1-d, long dilated windows": (
        1,
        {"kernel_size": 9, "stride": 2, "padding": 4, "dilation": 2, "ceil_mode": True},
    ),
    "1-d, long windows side by side": (1, {"kernel_size": 11}),
    "3-d": (3, {"kernel_size": (2, 3, 2), "stride": (1, 2, 2), "padding": (1, 1, 0)}),
    "3-d, ceil mode": (3, {"kernel_size": 2, "ceil_mode": True}),
}


@pytest.mark.parametrize("case", MAXIMA)
def test_max_pooling_equals_pytorchs_with_ties(case: str) -> None:
    n, settings = MAXIMA[case]
    compare(*both(f"max_pool{n}d"), tied(*SHAPES[n]), return_indices=True, **settings)


@pytest.mark.parametrize("shape", [(3, 9, 8), (0, 3, 9, 8)])
def test_max_pooling_takes_unbatched_and_empty_input(shape) -> None:
    compare(*both("max_pool2d"), normal(*shape), kernel_size=2, padding=1)


def test_minus_infinity_and_nan_are_found_in_the_same_place() -> None:
    x = np.full((1, 1, 4, 4), -np.inf, np.float32)
    compare(*both("max_pool2d"), x, kernel_size=3, padding=1, stride=1, return_indices=True)
    x[0, 0, 1, 1] = x[0, 0, 1, 2] = np.nan
    compare(*both("max_pool2d"), x, kernel_size=2, stride=1, return_indices=True)


def test_max_pooling_takes_integers_and_half_types() -> None:
    compare(*both("max_pool2d"), np.arange(64).reshape(1, 1, 8, 8) % 7, kernel_size=3, padding=1)
    compare(*both("max_pool2d"), normal(1, 2, 8, 8, dtype=ml_dtypes.bfloat16), kernel_size=2)


def test_max_pooling_has_gradients_in_forward_mode_and_of_second_order() -> None:
    x = jnp.asarray(normal(1, 1, 4, 4))

    def f(x):
        return (F.max_pool2d(x, 3, stride=1, padding=1) ** 3).sum()

    assert jax.jacfwd(jax.grad(f))(x).shape == x.shape * 2


def test_max_pooling_works_without_64_bit_types() -> None:
    value, indices = F.max_pool2d(jnp.asarray(normal(1, 1, 4, 4)), 2, return_indices=True)
    assert value.dtype == jnp.float32
    assert indices.dtype == jnp.int32


MEANS = {
    "side by side": (2, {"kernel_size": 2}),
    "overlapping": (2, {"kernel_size": 3, "stride": 1}),
    "padded": (2, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "padding not counted": (
        2,
        {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False},
    ),
    "ceil mode": (2, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "ceil mode, padding not counted": (
        2,
        {
            "kernel_size": (2, 4),
            "stride": 3,
            "padding": 1,
            "ceil_mode": True,
            "count_include_pad": False,
        },
    ),
    "divisor": (2, {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 5}),
    "1-d": (1, {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    "1-d, long windows": (1, {"kernel_size": 10, "stride": 1, "padding": 5}),
    "3-d": (3, {"kernel_size": (2, 3, 2), "stride": (1, 2, 2), "padding": (1, 1, 0)}),
    "3-d, divisor": (3, {"kernel_size": 2, "ceil_mode": True, "divisor_override": 3}),
}


@pytest.mark.parametrize("case", MEANS)
def test_average_pooling_equals_pytorchs(case: str) -> None:
    n, settings = MEANS[case]
    compare(*both(f"avg_pool{n}d"), normal(*SHAPES[n]), **settings)


def test_average_pooling_takes_unbatched_integers_and_half_types() -> None:
    compare(*both("avg_pool2d"), normal(3, 6, 5), kernel_size=2)
    compare(*both("avg_pool2d"), np.arange(-32, 32).reshape(1, 1, 8, 8), kernel_size=3)
    compare(*both("avg_pool2d"), normal(1, 2, 8, 8, dtype=ml_dtypes.bfloat16), kernel_size=2)


@pytest.mark.parametrize(
    ("n", "norm_type", "settings"),
    [
        (1, 2, {"kernel_size": 3, "stride": 2}),
        (2, 2.0, {"kernel_size": (3, 2), "ceil_mode": True}),
        (2, 3, {"kernel_size": 2}),
        (3, 1.5, {"kernel_size": 2}),
    ],
)
def test_power_average_pooling_equals_pytorchs(n, norm_type, settings) -> None:
    x = np.abs(normal(*SHAPES[n])) + 0.1
    compare(*both(f"lp_pool{n}d"), x, norm_type=norm_type, **settings)


@pytest.mark.parametrize(
    ("n", "output_size"),
    [(1, 1), (1, (4,)), (2, 1), (2, (3, 4)), (2, (4, None)), (2, 12), (3, (2, 3, 5))],
)
def test_adaptive_pooling_equals_pytorchs(n, output_size) -> None:
    compare(*both(f"adaptive_avg_pool{n}d"), normal(*SHAPES[n]), output_size=output_size)
    compare(
        *both(f"adaptive_max_pool{n}d"),
        tied(*SHAPES[n]),
        output_size=output_size,
        return_indices=True,
    )


def test_adaptive_pooling_takes_unbatched_input_and_gives_empty_results() -> None:
    compare(*both("adaptive_avg_pool2d"), normal(1, 3, 9, 8), grad=False, output_size=(0, 2))
    compare(*both("adaptive_max_pool2d"), normal(1, 3, 9, 8), grad=False, output_size=(2, 0))
    compare(*both("adaptive_avg_pool2d"), normal(3, 9, 8), output_size=(3, 5))
    compare(*both("adaptive_max_pool1d"), normal(3, 11), output_size=4)


@pytest.mark.parametrize(
    ("n", "settings", "output_size"),
    [
        (1, {"kernel_size": 2}, None),
        (1, {"kernel_size": 3, "stride": 2, "padding": 1}, (12,)),
        (2, {"kernel_size": 2}, (9, 8)),
        (2, {"kernel_size": (2, 4), "stride": (3, 4)}, (2, 3, 9, 8)),
        (3, {"kernel_size": 2}, (5, 6, 7)),
    ],
)
def test_unpooling_equals_pytorchs(n, settings, output_size) -> None:
    pool, unpool = f"max_pool{n}d", f"max_unpool{n}d"

    def ours(x):
        y, indices = getattr(F, pool)(x, return_indices=True, **settings)
        return getattr(F, unpool)(y, indices, output_size=output_size, **settings)

    def theirs(x):
        y, indices = getattr(TF, pool)(x, return_indices=True, **settings)
        return getattr(TF, unpool)(y, indices, output_size=output_size, **settings)

    compare(ours, theirs, normal(*SHAPES[n]))


def test_an_index_out_of_range_that_nobody_can_look_at_gives_nan() -> None:
    y = jax.jit(lambda x, i: F.max_unpool1d(x, i, 2))(jnp.ones((1, 2)), jnp.array([[0, 9]]))
    assert np.isnan(y).all()


ERRORS = {
    "rank": ("max_pool2d", (8, 8), {"kernel_size": 2}, r"got:\[8, 8\]"),
    "no channels": ("max_pool2d", (1, 0, 8, 8), {"kernel_size": 2}, r"got:\[1, 0, 8, 8\]"),
    "padding": ("max_pool2d", (1, 3, 8, 8), {"kernel_size": 2, "padding": 2}, "at most half of"),
    "too small": (
        "max_pool2d",
        (1, 3, 2, 2),
        {"kernel_size": 3},
        r"Given input size: \(3x2x2\). Calculated output size: \(3x0x0\). Output size is too small",
    ),
    "stride": ("max_pool2d", (1, 3, 8, 8), {"kernel_size": 2, "stride": 0}, "stride should not be"),
    "dilation": (
        "max_pool2d",
        (1, 3, 8, 8),
        {"kernel_size": 2, "dilation": 0},
        "dilation should be greater than zero",
    ),
    "three numbers": ("max_pool2d", (1, 3, 8, 8), {"kernel_size": (2, 2, 2)}, "a tuple of 2 ints"),
    "divisor": (
        "avg_pool2d",
        (1, 3, 8, 8),
        {"kernel_size": 2, "divisor_override": 0},
        "divisor must be not zero",
    ),
    "rank of a mean": ("avg_pool1d", (8,), {"kernel_size": 2}, "Expected 2D or 3D"),
    "adaptive, three numbers": (
        "adaptive_avg_pool2d",
        (1, 3, 8, 8),
        {"output_size": (2, 3, 4)},
        "adaptive_avg_pool2d: output_size must be 2",
    ),
    "adaptive, negative": (
        "adaptive_avg_pool2d",
        (1, 3, 8, 8),
        {"output_size": (-1, 2)},
        "must be greater than or equal to 0",
    ),
    "adaptive, rank": ("adaptive_max_pool3d", (8, 3), {"output_size": 2}, "Expected 4D or 5D"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_pooling_raises_pytorchs_error(case: str) -> None:
    name, shape, settings, match = ERRORS[case]
    same_error(*both(name), normal(*shape), match=match, **settings)


def test_types_that_cannot_be_pooled_raise_pytorchs_error() -> None:
    whole = np.ones((1, 1, 4, 4), np.int64)
    same_error(*both("adaptive_avg_pool2d"), whole, match="for 'Long'", output_size=2)
    same_error(*both("max_pool2d"), whole > 0, match="not implemented for 'Bool'", kernel_size=2)


@pytest.mark.parametrize(
    ("indices", "settings", "match"),
    [
        ([[[[0, 1], [2, 20]]]], {}, "Found an invalid max index: 20"),
        ([[[0, 1], [2, 3]]], {}, "Expected shape of indices to be same as that of the input"),
        ([[[[0, 1], [2, 3]]]], {"output_size": (9, 9)}, "dim 0 must be between 2 and 6"),
        ([[[[0, 1], [2, 3]]]], {"output_size": (9, 9, 9)}, "containing 2 or 4 elements"),
    ],
)
def test_wrong_unpooling_raises_pytorchs_error(indices, settings, match) -> None:
    inputs = normal(1, 1, 2, 2), np.array(indices)
    same_error(*both("max_unpool2d"), *inputs, match=match, kernel_size=2, **settings)


@pytest.mark.parametrize("norm_type", [2, 2.5])
def test_power_average_pooling_of_zeros_has_zero_gradient(norm_type) -> None:
    x = np.zeros((1, 2, 4), np.float32)
    x[0, 0, 0] = 1
    compare(*both("lp_pool1d"), x, norm_type=norm_type, kernel_size=2)
