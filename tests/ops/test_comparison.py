"""Comparisons and logic agree with PyTorch."""

import numpy as np
import pytest
import torch

from jtoolbox.ops import comparison
from tests.ops.cases import BFLOAT16, SPECIAL, bools, floats, integers
from tests.reference import compare, same_error

ORDER = ["eq", "ne", "lt", "le", "gt", "ge"]
LOGIC = ["logical_and", "logical_or", "logical_xor"]
TESTS = ["isnan", "isinf", "isfinite", "isposinf", "isneginf", "isreal", "logical_not"]
A, N = floats(2, 5), integers(2, 5)


@pytest.mark.parametrize("name", ORDER)
@pytest.mark.parametrize(
    ("x", "y"), [(A, np.round(A)), (N, 0), (N, 0.5), (SPECIAL, 0.0), (bools(5), bools(5, seed=1))]
)
def test_order(name, x, y):
    compare(getattr(comparison, name), getattr(torch, name), x, y)


@pytest.mark.parametrize("y", [N, A.astype(np.float64), A[:1], A.astype(BFLOAT16), bools(2, 5)])
def test_operands_are_promoted(y):
    compare(comparison.lt, torch.lt, A, y)


@pytest.mark.parametrize("name", LOGIC)
@pytest.mark.parametrize(("x", "y"), [(bools(5), bools(5, seed=1)), (A, N), (SPECIAL, SPECIAL)])
def test_logic(name, x, y):
    compare(getattr(comparison, name), getattr(torch, name), x, y)


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.parametrize("x", [SPECIAL, SPECIAL.astype(BFLOAT16), N, bools(3)])
def test_of_one_number(name, x):
    compare(getattr(comparison, name), getattr(torch, name), x)


def test_aliases_are_the_same_functions():
    for alias, name in zip(
        ("not_equal", "less", "less_equal", "greater", "greater_equal"),
        ("ne", "lt", "le", "gt", "ge"),
        strict=True,
    ):
        assert getattr(comparison, alias) is getattr(comparison, name)


NEAR = SPECIAL * np.float32(1 + 5e-6)


@pytest.mark.parametrize(
    "settings", [{}, {"rtol": 0.0}, {"atol": 1.0}, {"equal_nan": True}, {"rtol": 1e-9, "atol": 0}]
)
def test_isclose_and_allclose(settings):
    compare(comparison.isclose, torch.isclose, SPECIAL, NEAR, **settings)
    compare(comparison.allclose, torch.allclose, SPECIAL, NEAR, grad=False, **settings)
    compare(comparison.allclose, torch.allclose, A, A, grad=False, **settings)


def test_isclose_of_integers():
    compare(comparison.isclose, torch.isclose, N, N + 1, rtol=0.0, atol=1.0)


@pytest.mark.parametrize(("x", "y"), [(A, A), (A, A + 1), (A, A[:1]), (N, N)])
def test_equal_is_a_python_bool(x, y):
    compare(comparison.equal, torch.equal, x, y, grad=False)


@pytest.mark.parametrize("settings", [{}, {"invert": True}, {"assume_unique": True}])
@pytest.mark.parametrize("test_elements", [np.array([1, 2, -3]), 2])
def test_isin(test_elements, settings):
    compare(comparison.isin, torch.isin, N, test_elements, **settings)


def test_isclose_refuses_two_dtypes():
    same_error(comparison.isclose, torch.isclose, A, A.astype(np.float64), match="did not match")


def test_complex_numbers_have_no_order():
    x = A.astype(np.complex64)
    same_error(comparison.lt, torch.lt, x, x, match="no order")
