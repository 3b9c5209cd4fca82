"""Linear, Bilinear and Identity against PyTorch's."""

from __future__ import annotations

import math

import pytest

import jtoolbox as jt
from tests.nn.twins import normal, same_layer, same_uniform_start


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_pytorchs(shape, bias) -> None:
    same_layer(f"Linear(5, 4, bias={bias})", normal(*shape))


def test_bilinear_is_pytorchs() -> None:
    same_layer("Bilinear(4, 5, 3)", normal(2, 6, 4), normal(2, 6, 5))
    same_layer("Bilinear(4, 5, 3, bias=False)", normal(4), normal(5))


def test_identity_takes_anything_and_returns_its_input() -> None:
    same_layer("Identity(54, unused=0.1)", normal(2, 3))


def test_initial_values_have_pytorchs_distribution() -> None:
    same_uniform_start("Linear(50, 400)", "weight", 1 / math.sqrt(50))
    same_uniform_start("Linear(50, 400)", "bias", 1 / math.sqrt(50))
    same_uniform_start("Bilinear(30, 20, 400)", "weight", 1 / math.sqrt(30))
    same_uniform_start("Bilinear(30, 20, 400)", "bias", 1 / math.sqrt(30))


def test_the_dtype_of_a_layer_can_be_given() -> None:
    assert jt.nn.Linear(2, 3, dtype=jt.float64).weight.dtype is jt.float64


def test_a_bilinear_layer_needs_features() -> None:
    with pytest.raises(ValueError, match="in1_features must be > 0"):
        jt.nn.Bilinear(0, 1, 2)


def test_a_wrong_shape_names_the_flattening_that_would_fit() -> None:
    with pytest.raises(RuntimeError, match="Flattening from axis 1 would fit"):
        jt.nn.Linear(784, 10)(jt.tensor(normal(64, 1, 28, 28)))
