"""Linear and bilinear maps against PyTorch's."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional.linear import bilinear, linear
from tests.reference import compare, same_error


def normal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (2, 1, 3, 5), (0, 5)])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_equals_pytorchs_with_any_leading_dimensions(shape, biased) -> None:
    compare(linear, TF.linear, normal(*shape), normal(4, 5), *([normal(4)] if biased else []))


def test_linear_takes_a_vector_as_weight_and_a_bias_that_broadcasts() -> None:
    compare(linear, TF.linear, normal(3, 5), normal(5))
    compare(linear, TF.linear, normal(3, 5), normal(4, 5), normal(1))


@pytest.mark.parametrize("dtype", [np.float64, np.int64, ml_dtypes.bfloat16])
def test_linear_keeps_the_dtype(dtype) -> None:
    compare(linear, TF.linear, normal(3, 5, dtype=dtype), normal(4, 5, dtype=dtype))


ERRORS = {
    "features": (
        (64, 10),
        (5, 20),
        r"mat1 and mat2 shapes cannot be multiplied \(64x10 and 20x5\): expected 20 features last, "
        r"received shape \[64, 10\]",
    ),
    "images": (
        (64, 1, 28, 28),
        (10, 784),
        r"\(1792x28 and 784x10\): expected 784 features last, received shape \[64, 1, 28, 28\]\. "
        "Flattening from axis 1 would fit",
    ),
    "one vector": ((10,), (5, 20), r"\(1x10 and 20x5\)"),
    "a number": ((), (4, 20), "both arguments to linear need to be at least 1D"),
    "weight": ((3, 20), (2, 4, 20), "weight of shape"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_a_wrong_shape_raises_pytorchs_error(case: str) -> None:
    shape, weight, match = ERRORS[case]
    same_error(linear, TF.linear, normal(*shape), normal(*weight), match=match)


def test_a_wrong_type_or_bias_raises_pytorchs_error() -> None:
    x, w = normal(3, 20), normal(4, 20)
    same_error(linear, TF.linear, x.astype(np.float64), w, match="got Double and Float")
    same_error(linear, TF.linear, x, w, normal(4, dtype=np.float64), match="same dtype")
    same_error(linear, TF.linear, x, w, normal(5), match=r"bias of shape \[4\], got \[5\]")


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_bilinear_equals_pytorchs(lead) -> None:
    inputs = normal(*lead, 4), normal(*lead, 5), normal(2, 4, 5)
    compare(bilinear, TF.bilinear, *inputs)
    compare(bilinear, TF.bilinear, *inputs, normal(2))


@pytest.mark.parametrize(
    ("shapes", "match"),
    [
        (((3, 6), (3, 5), (2, 4, 5)), "input1 size does not match weight size: got 6"),
        (((3, 4), (3, 6), (2, 4, 5)), "input2 size does not match weight size: got 6"),
        (((3, 4), (2, 5), (2, 4, 5)), "batch dimensions do not match at dim 0: got 3 and 2"),
        (((3, 4), (3, 1, 5), (2, 4, 5)), "input dimensions do not match: got 2 and 3"),
        (((3, 4), (3, 5), (2, 4, 5), (3,)), "bias size does not match weight size: got 3"),
    ],
)
def test_a_wrong_bilinear_map_raises_pytorchs_error(shapes, match) -> None:
    same_error(bilinear, TF.bilinear, *[normal(*s) for s in shapes], match=match)
