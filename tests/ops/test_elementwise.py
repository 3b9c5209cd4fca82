"""Functions of one number agree with PyTorch: values, dtypes, gradients, special points."""

import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox.ops import elementwise, special
from tests.ops.cases import BFLOAT16, SPECIAL, bools, floats, integers
from tests.reference import assert_same, compare, same_error

# Each function with the domain on which its values and gradients are compared.
DOMAINS = {
    **dict.fromkeys(("exp", "exp2", "expm1", "sin", "cos", "sinh", "cosh", "tanh"), (-3, 3)),
    **dict.fromkeys(("atan", "asinh", "deg2rad", "rad2deg", "sinc", "sigmoid"), (-3, 3)),
    **dict.fromkeys(("erf", "erfc", "i0", "tan"), (-1.2, 1.2)),
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt", "reciprocal"), (0.1, 5)),
    **dict.fromkeys(("log1p", "asin", "acos", "atanh", "erfinv"), (-0.9, 0.9)),
    **dict.fromkeys(("lgamma", "digamma"), (0.3, 5)),
    "acosh": (1.1, 5),
    "logit": (0.1, 0.9),
}
EXACT = ("abs", "neg", "square", "sign", "floor", "ceil", "trunc", "round")
ALIASES = {
    **{"absolute": "abs", "negative": "neg", "fix": "trunc", "arcsin": "asin", "arccos": "acos"},
    **{"arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"},
}


def ours(name):
    return getattr(elementwise, name, None) or getattr(special, name)


@pytest.mark.parametrize("name", DOMAINS)
def test_values_and_gradients_on_the_domain(name):
    low, high = DOMAINS[name]
    compare(ours(name), getattr(torch, name), floats(10, low=low, high=high))


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "rsqrt", "sigmoid", "erf"])
@pytest.mark.parametrize("dtype", [np.float64, BFLOAT16])
def test_other_floats_keep_their_type(name, dtype):
    x = floats(10, low=0.2, high=2, dtype=dtype)
    compare(ours(name), getattr(torch, name), x)


@pytest.mark.parametrize("name", ["exp", "sqrt", "sin", "reciprocal", "sigmoid", "lgamma", "sinc"])
@pytest.mark.parametrize("x", [integers(10, low=1), np.array([True, True])], ids=["int64", "bool"])
def test_integers_and_bools_become_floats(name, x):
    compare(ours(name), getattr(torch, name), x, rtol=1e-4)


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("dtype", [np.float32, BFLOAT16, np.int64])
def test_keeps_the_type(name, dtype):
    compare(ours(name), getattr(torch, name), floats(10, dtype=dtype))


@pytest.mark.parametrize("name", [*DOMAINS, *EXACT, "frac", "sgn"])
def test_values_at_special_points(name):
    compare(ours(name), getattr(torch, name), SPECIAL, grad=False)


# Zero, whole numbers and bounds of domains; outside its domain a gradient is of no use.
INSIDE = {
    **dict.fromkeys(("log1p", "asin", "acos", "atanh", "erfinv"), (-1, 1)),
    **dict.fromkeys(("log", "log2", "log10", "sqrt", "rsqrt"), (0, 2)),
    "logit": (0, 1),
}


@pytest.mark.parametrize(
    "name", [n for n in (*DOMAINS, *EXACT, "frac") if n not in ("digamma", "lgamma")]
)
def test_gradients_at_special_points(name):
    low, high = INSIDE.get(name, (-2, 2))
    points = np.array([0.0, 0.75, 1.0, -1.0, 0.5, 0.25, 2.0, -1.5, 0.0, 1.0], np.float32)
    compare(ours(name), getattr(torch, name), np.clip(points, low, high))


def test_sgn_of_real_numbers_is_sign():
    compare(elementwise.sgn, torch.sgn, floats(10), grad=False)


@pytest.mark.parametrize("name", ALIASES)
def test_aliases_are_the_same_functions(name):
    assert getattr(elementwise, name) is getattr(elementwise, ALIASES[name])


@pytest.mark.parametrize("shape", [(), (0,), (2, 0, 3), (1, 1)])
@pytest.mark.parametrize("name", ["exp", "abs", "floor", "sigmoid"])
def test_scalars_and_empty_tensors(name, shape):
    compare(ours(name), getattr(torch, name), floats(*shape))


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "tanh", "abs", "square", "sgn"])
def test_complex_numbers(name):
    x = floats(4) + 1j * floats(4, seed=1)
    compare(ours(name), getattr(torch, name), x.astype(np.complex64), rtol=1e-4)


@pytest.mark.parametrize("eps", [None, 0.1, 0.3])
def test_logit_with_and_without_eps(eps):
    x = np.array([0.05, 0.2, 0.5, 0.7, 0.95], np.float32)
    compare(elementwise.logit, torch.logit, x, eps)


@pytest.mark.parametrize("decimals", [0, 1, 3, -1])
def test_round_is_half_to_even_at_any_decimal(decimals):
    x = np.array([0.5, 1.5, 2.5, -0.5, 12.345, 0.0625], np.float32)
    compare(elementwise.round, torch.round, x, decimals=decimals)


@pytest.mark.parametrize(
    "settings", [{}, {"nan": 1.0}, {"posinf": 9.0, "neginf": -9.0}, {"nan": 2, "posinf": 3}]
)
@pytest.mark.parametrize("dtype", [np.float32, BFLOAT16])
def test_nan_to_num(settings, dtype):
    compare(elementwise.nan_to_num, torch.nan_to_num, SPECIAL.astype(dtype), **settings)


def test_nan_to_num_leaves_integers_alone():
    compare(elementwise.nan_to_num, torch.nan_to_num, integers(3))


@pytest.mark.parametrize("x", [integers(4), bools(4), integers(4, dtype=np.uint8, low=0)])
def test_bitwise_not(x):
    compare(elementwise.bitwise_not, torch.bitwise_not, x)


@pytest.mark.parametrize("x", [SPECIAL[:-1], integers(5), floats(3, dtype=np.float64)])
def test_signbit(x):
    compare(elementwise.signbit, torch.signbit, x)


def test_positive_returns_the_tensor():
    compare(elementwise.positive, torch.positive, floats(3))


def test_frexp_splits_mantissa_and_exponent():
    x = np.array([0.0, 1.0, -3.5, 1024.0, 1e-3], np.float32)
    compare(lambda v: tuple(elementwise.frexp(v)), lambda v: tuple(torch.frexp(v)), x)


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma(n):
    x = floats(5, low=0.5, high=4)
    compare(lambda v: special.polygamma(n, v), lambda v: torch.polygamma(n, v), x, rtol=1e-4)
    theirs, ours = torch.tensor(x), jtoolbox.tensor(x)
    assert_same(ours.polygamma(n), theirs.polygamma(n), rtol=1e-4)
    assert_same(ours.polygamma_(n), theirs.polygamma_(n), rtol=1e-4)


@pytest.mark.parametrize("p", [1, 2, 4])
def test_mvlgamma(p):
    compare(special.mvlgamma, torch.mvlgamma, floats(4, low=3, high=6), p, rtol=1e-4)


ERRORS = [
    (elementwise.neg, torch.neg, bools(2), "bool tensor is not supported"),
    (elementwise.invert, lambda x: ~x, floats(2), "only implemented on integer"),
    (elementwise.round, torch.round, bools(2), "not implemented for 'Bool'"),
    (lambda x: special.polygamma(-1, x), lambda x: torch.polygamma(-1, x), floats(2), "negative n"),
]


@pytest.mark.parametrize(("f", "g", "x", "message"), ERRORS)
def test_errors(f, g, x, message):
    same_error(f, g, x, match=message)
