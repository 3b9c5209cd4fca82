"""`grid_sample` and `affine_grid` against PyTorch's: modes, borders, gradients and errors."""

from __future__ import annotations

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox.nn.functional as F
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def places(*shape: int) -> np.ndarray:
    """Coordinates in the image and far outside of it."""
    return np.random.default_rng(sum(shape)).uniform(-2.5, 2.5, shape).astype(np.float32)


def both(name: str) -> tuple:
    return getattr(F, name), getattr(TF, name)


@pytest.mark.parametrize(
    ("mode", "n", "align_corners", "padding_mode"),
    [
        ("bilinear", 2, False, "zeros"),
        ("bilinear", 2, True, "border"),
        ("bilinear", 2, False, "reflection"),
        ("nearest", 2, False, "border"),
        ("bicubic", 2, True, "zeros"),
        ("bicubic", 2, False, "reflection"),
        ("bilinear", 3, True, "reflection"),
        ("nearest", 3, False, "zeros"),
    ],
)
def test_sampling_equals_pytorchs(mode, n, align_corners, padding_mode) -> None:
    x, grid = (normal(2, 2, 4, 5), places(2, 3, 2, 2)) if n == 2 else (
        (normal(1, 2, 3, 4, 5), places(1, 2, 3, 2, 3))
    )  # fmt: skip
    settings = {"mode": mode, "padding_mode": padding_mode, "align_corners": align_corners}
    compare(*both("grid_sample"), x, grid, atol=3e-5, **settings)


def test_the_ends_of_the_image_are_pytorchs_in_value_and_gradient() -> None:
    grid = np.array([[[[-1, -1], [1, 1], [0, 0], [-3, 1]]]], np.float32)
    settings = {"padding_mode": "border", "align_corners": True}
    compare(*both("grid_sample"), normal(1, 2, 4, 5), grid, **settings)
    compare(*both("grid_sample"), normal(1, 2, 1, 1), grid, atol=3e-5, padding_mode="reflection",
            align_corners=True)  # fmt: skip


def test_coordinates_that_are_no_numbers_read_what_pytorchs_read() -> None:
    grid = np.array([[[[np.nan, 0], [np.inf, 0], [0, -np.inf]]]], np.float32)
    compare(*both("grid_sample"), normal(1, 2, 4, 5), grid, grad=False, align_corners=False)


def test_sampling_works_under_transformations_and_for_empty_grids() -> None:
    def f(x, grid):
        return F.grid_sample(x, grid, align_corners=False).sum()

    x, grid = jnp.asarray(normal(1, 1, 3, 3)), jnp.asarray(places(1, 2, 2, 2))
    assert jax.jit(jax.vmap(jax.grad(f)))(x[None], grid[None]).shape == (1, 1, 1, 3, 3)
    empty = np.zeros((1, 0, 3, 2), np.float32)
    compare(*both("grid_sample"), normal(1, 2, 4, 4), empty, grad=False, align_corners=True)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("matrices", "size"), [((2, 2, 3), (2, 1, 3, 4)), ((1, 3, 4), (1, 1, 2, 3, 4))]
)
def test_grids_of_affine_maps_are_pytorchs(matrices, size, align_corners) -> None:
    compare(*both("affine_grid"), normal(*matrices), size=size, align_corners=align_corners)


def test_missing_alignment_warns_at_the_users_line() -> None:
    x, theta = jnp.asarray(normal(1, 1, 4, 4)), jnp.asarray(normal(1, 2, 3))
    with pytest.warns(UserWarning, match="Please specify align_corners=True if") as caught:
        grid = F.affine_grid(theta, (1, 1, 2, 2))
    with pytest.warns(UserWarning, match="Default grid_sample and affine_grid") as again:
        F.grid_sample(x, grid)
    assert caught[0].filename == again[0].filename == __file__
    with pytest.warns(UserWarning, match="unit-size grids when align_corners=True"):
        unit = F.affine_grid(theta, (1, 1, 1, 2), True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        expected = TF.affine_grid(TF.torch.tensor(np.asarray(theta)), (1, 1, 1, 2), True)
    np.testing.assert_allclose(unit, expected, rtol=1e-6)


SAMPLING = {
    "mode": ((1, 2, 4, 4), (1, 3, 3, 2), {"mode": "foo"}, "but got: 'foo'"),
    "padding": ((1, 2, 4, 4), (1, 3, 3, 2), {"padding_mode": "foo"}, "padding_mode to be 'zeros'"),
    "last axis": ((1, 2, 4, 4), (1, 3, 3, 3), {}, "expected grid to have size 2 in last dimension"),
    "batch": ((1, 2, 4, 4), (2, 3, 3, 2), {}, r"same batch size.*\[1, 2, 4, 4\].*\[2, 3, 3, 2\]"),
    "rank": ((1, 2, 4, 4), (1, 3, 2), {}, "expected 4D input and grid with same number of"),
    "bicubic volume": (
        (1, 2, 4, 4, 4),
        (1, 2, 2, 2, 3),
        {"mode": "bicubic"},
        "bicubic interpolation only supports 4D input",
    ),
    "empty": ((1, 2, 0, 4), (1, 3, 3, 2), {}, "with dimension 2 being empty"),
}


@pytest.mark.parametrize("case", SAMPLING)
def test_wrong_sampling_raises_pytorchs_error(case: str) -> None:
    shape, grid, settings, match = SAMPLING[case]
    settings = {"align_corners": True, **settings}
    same_error(*both("grid_sample"), normal(*shape), places(*grid), match=match, **settings)


def test_types_that_do_not_fit_raise_pytorchs_error() -> None:
    x, grid = normal(1, 1, 2, 2), places(1, 2, 2, 2)
    words = "expected scalar type Float but found Double"
    same_error(*both("grid_sample"), x, grid.astype(float), match=words, align_corners=True)
    whole = x.astype(np.int32), grid.astype(np.int32)
    same_error(*both("grid_sample"), *whole, match="not implemented for 'Int'", align_corners=True)


AFFINE = {
    "3-d size": ((1, 2, 3), (1, 1, 2), r"only supports 4D and 5D sizes.*Got size \[1, 1, 2\]"),
    "matrix": ((1, 3, 4), (1, 1, 2, 2), r"Expected a batch of 2D affine matrices of shape Nx2x3"),
    "no batch": ((2, 3), (1, 1, 2, 2), r"Got torch.Size\(\[2, 3\]\)"),
    "nothing": ((1, 2, 3), (1, 1, 0, 2), r"positive output size. Got \[1, 1, 0, 2\]"),
    "batch": ((2, 2, 3), (1, 1, 2, 2), r"batch2 tensor to be: \[1, 3\] but got: \[2, 3\]"),
}


@pytest.mark.parametrize("case", AFFINE)
def test_wrong_affine_maps_raise_pytorchs_error(case: str) -> None:
    shape, size, match = AFFINE[case]
    same_error(*both("affine_grid"), normal(*shape), match=match, size=size, align_corners=False)


def test_an_affine_map_of_integers_raises_pytorchs_error() -> None:
    theta = np.ones((1, 2, 3), np.int32)
    words = "Expected theta to have floating point type"
    same_error(*both("affine_grid"), theta, match=words, size=(1, 1, 2, 2), align_corners=True)
