"""Resizing against PyTorch's: every mode and setting, gradients, sizes, types and errors."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox.nn.functional as F
from jtoolbox.nn.functional.resampling import Axis, nearest
from tests.reference import compare, same_error, to_torch

SHAPES = {1: (2, 3, 7), 2: (2, 3, 6, 5), 3: (1, 2, 3, 4, 5)}


def normal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def both(name: str = "interpolate") -> tuple:
    return getattr(F, name), getattr(TF, name)


CASES = {
    "nearest, doubled": (2, {"scale_factor": 2}),
    "nearest, any sizes": (2, {"size": (4, 11), "mode": "nearest"}),
    "nearest, 1-d": (1, {"scale_factor": 1.6}),
    "nearest-exact": (2, {"size": (4, 11), "mode": "nearest-exact"}),
    "linear": (1, {"size": 10, "mode": "linear"}),
    "bilinear": (2, {"size": (9, 3), "mode": "bilinear"}),
    "bilinear, aligned": (2, {"size": (9, 1), "mode": "bilinear", "align_corners": True}),
    "bilinear, scaled": (2, {"scale_factor": (1.7, 0.45), "mode": "bilinear"}),
    "bilinear, recomputed": (
        2,
        {"scale_factor": (1.7, 0.45), "mode": "bilinear", "recompute_scale_factor": True},
    ),
    "bilinear, scaled to the same size": (2, {"scale_factor": (1.1, 2), "mode": "bilinear"}),
    "bilinear, antialiased": (2, {"size": (4, 2), "mode": "bilinear", "antialias": True}),
    "bilinear, antialiased, aligned": (
        2,
        {"size": (3, 7), "mode": "bilinear", "antialias": True, "align_corners": True},
    ),
    "bicubic": (2, {"size": (9, 3), "mode": "bicubic"}),
    "bicubic, aligned": (2, {"size": (4, 8), "mode": "bicubic", "align_corners": True}),
    "bicubic, scaled to the same size": (2, {"scale_factor": (1.1, 1.5), "mode": "bicubic"}),
    "bicubic, antialiased": (2, {"scale_factor": 0.4, "mode": "bicubic", "antialias": True}),
    "lanczos": (2, {"size": (4, 3), "mode": "lanczos", "antialias": True}),
    "trilinear": (3, {"size": (5, 2, 7), "mode": "trilinear"}),
    "area": (2, {"size": (4, 7), "mode": "area"}),
}


@pytest.mark.parametrize("case", CASES)
def test_resizing_equals_pytorchs(case: str) -> None:
    n, settings = CASES[case]
    compare(*both(), normal(*SHAPES[n]), atol=5e-6, **settings)


def test_the_nearest_modes_find_pytorchs_elements_for_many_sizes() -> None:
    for size in range(1, 24):
        x = np.arange(size, dtype=np.float32).reshape(1, 1, size)
        for new in range(1, 40, 3):
            found = nearest(Axis(size, new, None, False, np.float32), False).indices[:, 0]
            assert (TF.interpolate(to_torch(x), size=new).numpy() == found).all(), (size, new)


def test_resizing_takes_half_types_doubles_bytes_and_empty_batches() -> None:
    compare(*both(), normal(1, 1, 4, 3, dtype=ml_dtypes.bfloat16), size=5, mode="bilinear")
    compare(*both(), normal(1, 1, 3, dtype=np.float64), size=5, mode="linear")
    compare(*both(), np.arange(12, dtype=np.uint8).reshape(1, 1, 4, 3), size=(3, 7))
    compare(*both(), normal(0, 1, 4, 3), grad=False, size=5, mode="bilinear")


def test_a_factor_that_keeps_the_size_still_chooses_the_nearest_elements() -> None:
    compare(*both(), normal(1, 1, 7), grad=False, scale_factor=1.1)


def test_an_infinity_stays_where_pytorchs_stays() -> None:
    x = normal(1, 1, 5, 5)
    x[0, 0, 2, 2] = np.inf
    compare(*both(), x, grad=False, size=9, mode="bilinear")


def test_resizing_maps_and_has_gradients_of_second_order_in_both_modes() -> None:
    x = jnp.asarray(normal(3, 1, 1, 2, 2))

    def f(x):
        return (F.interpolate(x, size=3, mode="bilinear") ** 3).sum()

    second = jax.jit(jax.vmap(jax.jacfwd(jax.grad(f))))(x)
    assert second.shape == (3, *x.shape[1:] * 2)


@pytest.mark.parametrize("name", ["upsample", "upsample_nearest", "upsample_bilinear"])
def test_the_deprecated_names_warn_and_resize(name: str) -> None:
    x = normal(1, 2, 4, 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        compare(*both(name), x, scale_factor=2)
    with pytest.warns(UserWarning, match=f"`nn.functional.{name}` is deprecated") as caught:
        getattr(F, name)(jnp.asarray(x), 2)
    assert caught[0].filename == __file__


ERRORS = {
    "no size": ((1, 2, 4, 4), {}, "either size or scale_factor should be defined"),
    "both sizes": (
        (1, 2, 4, 4),
        {"size": 3, "scale_factor": 2.0},
        "only one of size or scale_factor should be defined",
    ),
    "too many sizes": (
        (1, 2, 4, 4),
        {"size": (3, 3, 3)},
        r"spatial dimensions of \[4, 4\] and output size of \(3, 3, 3\)",
    ),
    "too many factors": (
        (1, 2, 4, 4),
        {"scale_factor": (3, 3, 3)},
        r"spatial dimensions of \[4, 4\] and scale_factor of shape \(3, 3, 3\)",
    ),
    "float sizes": ((1, 2, 4, 4), {"size": (3.0, 4.0)}, "got size with types .*float"),
    "words as factor": ((1, 2, 4, 4), {"scale_factor": "2"}, "expected scale_factor to be"),
    "recomputed without factor": (
        (1, 2, 4, 4),
        {"size": 3, "recompute_scale_factor": True},
        "recompute_scale_factor is not meaningful with an explicit size",
    ),
    "aligned nearest": (
        (1, 2, 4, 4),
        {"size": 3, "align_corners": False},
        "align_corners option can only be set with .* leave it None for mode='nearest'",
    ),
    "unknown mode": ((1, 2, 4, 4), {"size": 3, "mode": "foo"}, r"\(got 4D\).*\(got foo\)"),
    "2-d": ((4, 4), {"size": 3}, r"\(got 2D\).*\(got nearest\)"),
    "6-d": ((1, 2, 2, 2, 2, 2), {"size": 3}, r"\(got 6D\)"),
    "bilinear, 3-d": (
        (1, 2, 4),
        {"size": 3, "mode": "bilinear"},
        "Got 3D input, but bilinear mode needs 4D input",
    ),
    "linear, 4-d": (
        (1, 2, 4, 4),
        {"size": 3, "mode": "linear"},
        "Got 4D input, but linear mode needs 3D input",
    ),
    "bicubic, 5-d": ((1, 2, 4, 4, 4), {"size": 3, "mode": "bicubic"}, r"\(got bicubic\)"),
    "antialiased nearest": ((1, 2, 4, 4), {"size": 3, "antialias": True}, "got mode='nearest'"),
    "lanczos": ((1, 2, 4, 4), {"size": 3, "mode": "lanczos"}, "Lanczos mode requires antialias"),
    "lanczos, aligned": (
        (1, 2, 4, 4),
        {"size": 3, "mode": "lanczos", "antialias": True, "align_corners": True},
        "Lanczos mode does not support align_corners=True",
    ),
    "nothing left": (
        (1, 2, 4, 5),
        {"scale_factor": 0.1},
        r"got input \(H: 4, W: 5\) output \(H: 0, W: 0\)",
    ),
    "nothing given": ((1, 2, 0, 4), {"size": 3}, r"got input \(H: 0, W: 4\) output \(H: 3, W: 3\)"),
    "no channels": ((1, 0, 4, 4), {"size": 3}, r"Non-empty 4D data tensor expected .*\[1, 0, 4"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_resizing_raises_pytorchs_error(case: str) -> None:
    shape, settings, match = ERRORS[case]
    same_error(*both(), normal(*shape), match=match, **settings)


def test_types_that_cannot_be_resized_raise() -> None:
    whole = np.ones((1, 1, 4, 4), np.int32)
    same_error(*both(), whole, match="not implemented for 'Int': call .float", size=2)
    half = normal(1, 1, 4, 4, dtype=np.float16)
    settings = {"size": 2, "mode": "bilinear", "antialias": True}
    same_error(*both(), half, match="not implemented for 'Half'", **settings)
    with pytest.raises(NotImplementedError, match="mode='bilinear' not implemented for 'Byte'"):
        F.interpolate(jnp.ones((1, 1, 4, 4), jnp.uint8), size=2, mode="bilinear")
