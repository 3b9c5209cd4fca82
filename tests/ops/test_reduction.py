"""Reductions agree with PyTorch: dimensions, dtypes, ties, NaN, empty tensors, errors."""

import numpy as np
import pytest
import torch

from jtoolbox import dtypes
from jtoolbox.ops import norms, reduction, scan, variance
from tests.ops.cases import BFLOAT16, bools, floats, integers
from tests.reference import compare, same_error

A, N = floats(2, 3, 4), integers(2, 3, 4)
NAN = np.where(A > 1, np.nan, A).astype(np.float32)
SCALAR = np.array(3.0, np.float32)
TIED = np.array([[1, 3, 3, 2], [0, 0, 0, 0], [5, 1, 5, 1]], np.float32)


def ours(name):
    for module in (reduction, variance, norms, scan):
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(name)


SUMS = ["sum", "mean", "nansum", "nanmean"]
DIMS = [None, 0, -1, (0, 2), (-1,), ()]


@pytest.mark.parametrize("dim", DIMS)
@pytest.mark.parametrize("name", [*SUMS, "amax", "amin", "logsumexp", "std", "var", "norm"])
def test_dimensions(name, dim):
    if (name == "logsumexp" and dim in (None, ())) or (name.startswith("nan") and dim == ()):
        return  # PyTorch needs a dimension here
    if name in ("amax", "amin") and dim is None:
        dim = ()
    call = {"norm": lambda f: lambda x: f(x, dim=dim)}.get(name, lambda f: lambda x: f(x, dim))
    # PyTorch's own gradient of std and var is infinite where dim is ().
    grad = dim != () or name not in ("std", "var")
    compare(call(ours(name)), call(getattr(torch, name)), A, grad=grad)


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "logsumexp", "std", "norm", "all"])
def test_keepdim(name):
    compare(ours(name), getattr(torch, name), A, dim=(0, 2), keepdim=True)


@pytest.mark.parametrize("name", ["sum", "mean", "std", "var", "logsumexp"])
def test_half_precision(name):
    compare(ours(name), getattr(torch, name), A.astype(BFLOAT16), dim=1)


@pytest.mark.parametrize("x", [N, bools(3, 4), integers(3, 4, dtype=np.int32)])
@pytest.mark.parametrize("name", ["sum", "prod", "nansum"])
def test_integers_and_bools_sum_to_int64(name, x):
    compare(ours(name), getattr(torch, name), x)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "cumsum", "cumprod"])
def test_dtype(name):
    f, g = ours(name), getattr(torch, name)
    compare(lambda x: f(x, 1, dtype=dtypes.float64), lambda x: g(x, 1, dtype=torch.float64), N)


@pytest.mark.parametrize("name", ["nansum", "nanmean"])
def test_nan_is_left_out(name):
    compare(ours(name), getattr(torch, name), NAN, 1)


ZEROS = np.array([[0.0, 2.0, 3.0], [0.0, 0.0, 4.0], [1.0, 2.0, 5.0]], np.float32)


@pytest.mark.parametrize("dim", [0, 1])
def test_prod_and_cumprod_have_the_right_gradient_at_zeros(dim):
    compare(reduction.prod, torch.prod, ZEROS, dim)
    compare(scan.cumprod, torch.cumprod, ZEROS, dim)
    compare(reduction.prod, torch.prod, ZEROS)


@pytest.mark.parametrize("name", ["all", "any"])
@pytest.mark.parametrize("x", [bools(3, 4), N[0], (N[0] % 2).astype(np.uint8), A[0]])
def test_logic(name, x):
    compare(ours(name), getattr(torch, name), x)
    compare(ours(name), getattr(torch, name), x, 1)
    compare(ours(name), getattr(torch, name), x, (0, 1), True)


def test_count_nonzero():
    compare(reduction.count_nonzero, torch.count_nonzero, N)
    compare(reduction.count_nonzero, torch.count_nonzero, N, (0, 2))


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("x", [A, TIED, N, NAN, SCALAR, A.astype(BFLOAT16)])
def test_extreme_of_all_shares_the_gradient_of_ties(name, x):
    compare(ours(name), getattr(torch, name), x, grad=x is not NAN)


@pytest.mark.parametrize("name", ["max", "min"])
@pytest.mark.parametrize("x", [A, TIED, N, NAN, SCALAR])
def test_extreme_along_a_dimension_gives_the_first_index_the_gradient(name, x):
    compare(ours(name), getattr(torch, name), x, -1)
    compare(ours(name), getattr(torch, name), x, 0, True)


def test_max_of_two_tensors_is_maximum():
    compare(reduction.max, torch.max, A, A[::-1].copy())
    compare(reduction.min, torch.min, A, A[::-1].copy())


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_amax_shares_the_gradient_of_ties(name):
    compare(ours(name), getattr(torch, name), TIED, 1)
    compare(ours(name), getattr(torch, name), TIED, (0, 1))


@pytest.mark.parametrize("settings", [{}, {"dim": 0}, {"dim": -1, "keepdim": True}])
def test_aminmax(settings):
    compare(reduction.aminmax, torch.aminmax, A, **settings)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("x", [A, TIED, N, NAN, SCALAR])
def test_arg_extremes_are_the_first(name, x):
    compare(ours(name), getattr(torch, name), x)
    compare(ours(name), getattr(torch, name), x, -1)
    compare(ours(name), getattr(torch, name), x, 0, True)


def test_named_results_print_as_pytorch_prints_them():
    result = reduction.max(TIED, 1)
    assert repr(result).startswith("torch.return_types.max(\nvalues=")
    assert result.values.shape == result.indices.shape == (3,)


def test_logsumexp_of_infinities_and_integers():
    x = np.array([[np.inf, 1], [-np.inf, -np.inf], [-np.inf, 2]], np.float32)
    compare(reduction.logsumexp, torch.logsumexp, x, 1, grad=False)
    compare(reduction.logsumexp, torch.logsumexp, N, 1)
    compare(reduction.logsumexp, torch.logsumexp, np.zeros((0, 3), np.float32), 0)


SPELLINGS = [
    ((), {}),
    ((False,), {}),
    ((0, False), {}),
    ((0, True, True), {}),
    ((), {"unbiased": False}),
    ((1,), {"correction": 0}),
    ((), {"dim": (0, 1), "correction": 2, "keepdim": True}),
]


@pytest.mark.parametrize(("args", "settings"), SPELLINGS)
@pytest.mark.parametrize("name", ["std", "var", "std_mean", "var_mean"])
def test_both_spellings_of_the_correction(name, args, settings):
    compare(ours(name), getattr(torch, name), A, *args, **settings)


def test_std_of_equal_elements_has_gradient_zero():
    compare(variance.std, torch.std, np.ones((2, 3), np.float32), 1)


@pytest.mark.filterwarnings("ignore:std():UserWarning")
def test_std_of_one_element_is_nan():
    compare(variance.std, torch.std, np.ones((2, 1), np.float32), 1, grad=False)


ORDERS = ["fro", 2, 1, 0, 3, 2.5, np.inf, -np.inf, -1, None]


@pytest.mark.parametrize("p", ORDERS)
def test_norm_of_any_order(p):
    compare(norms.norm, torch.norm, A, p, 1)
    compare(norms.norm, torch.norm, A, p)


def test_nuclear_norm():
    compare(norms.norm, torch.norm, A, "nuc", (0, 1), rtol=1e-4)


@pytest.mark.parametrize("p", [1, 2, 3])
def test_norm_at_zero_has_gradient_zero(p):
    compare(norms.norm, torch.norm, np.zeros((2, 3), np.float32), p, 1)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"])
def test_running_results(name, dim):
    compare(ours(name), getattr(torch, name), A, dim)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_running_results_of_integers_ties_and_nan(name):
    compare(ours(name), getattr(torch, name), N, 1)
    compare(ours(name), getattr(torch, name), TIED, 1)
    compare(ours(name), getattr(torch, name), NAN, 2, grad=False)
    compare(ours(name), getattr(torch, name), SCALAR, 0)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "all", "any", "norm"])
def test_empty_tensors(name):
    compare(ours(name), getattr(torch, name), np.zeros(0, np.float32), grad=False)


EMPTY, NOTHING = np.zeros((0, 3), np.float32), np.zeros(0, np.float32)
ERRORS = [
    (reduction.sum, torch.sum, (A, 3), r"expected to be in range of \[-3, 2\], but got 3"),
    (reduction.sum, torch.sum, (A, (0, 0)), "dim 0 appears multiple times"),
    (reduction.mean, torch.mean, (N,), "could not infer output dtype"),
    (variance.std, torch.std, (N,), "only support floating point"),
    (reduction.max, torch.max, (EMPTY, 0), "Expected reduction dim 0 to have non-zero size"),
    (reduction.max, torch.max, (NOTHING,), "Expected reduction dim to be specified"),
    (reduction.argmax, torch.argmax, (NOTHING,), "Expected reduction dim to be specified"),
    (reduction.argmax, torch.argmax, (EMPTY, 0), "Expected reduction dim 0"),
    (reduction.argmax, torch.argmax, (bools(3),), "does not support bool"),
    (reduction.argmax, torch.argmax, (A, 1.5), "must be int"),
    (reduction.amax, torch.amax, (EMPTY, 0), "Expected reduction dim 0"),
    (reduction.aminmax, torch.aminmax, (NOTHING,), "has no identity"),
    (norms.norm, torch.norm, (N,), "Expected a floating point or complex tensor"),
    (norms.norm, torch.norm, (A[0], "x"), "Order x not supported"),
    (norms.norm, torch.norm, (NOTHING, np.inf), "does not have an identity"),
    (scan.cumsum, torch.cumsum, (A, 3), "Dimension out of range"),
    (scan.logcumsumexp, torch.logcumsumexp, (N, 0), "not implemented"),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)
