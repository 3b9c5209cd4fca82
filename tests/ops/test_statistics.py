"""Order statistics, counts and covariance agree with PyTorch."""

import functools

import numpy as np
import pytest
import torch

from jtoolbox.ops import statistics
from tests.ops.cases import BFLOAT16, bools, floats, integers
from tests.reference import compare, same_error

A, N = floats(3, 4), integers(3, 5)
NAN = np.where(A > 1, np.nan, A).astype(np.float32)
TIED = np.array([[1, 3, 3, 2], [0, 0, 0, 0], [5, 1, 5, 1]], np.float32)
SCALAR = np.array(3.0, np.float32)


@pytest.mark.parametrize("name", ["median", "nanmedian"])
@pytest.mark.parametrize("x", [A, TIED, N, NAN, SCALAR])
def test_median_is_the_lower_of_two(name, x):
    f, g = getattr(statistics, name), getattr(torch, name)
    compare(f, g, x, grad=x is not NAN)
    # Among equal elements PyTorch's index is any of them.
    compare(lambda v: f(v, 0).values, lambda v: g(v, 0).values, x, grad=False)
    if x is A or x is NAN:
        compare(f, g, x, -1, True)


@pytest.mark.parametrize("x", [TIED, N, A, SCALAR])
def test_mode_is_the_smallest_of_the_most_frequent(x):
    compare(statistics.mode, torch.mode, x)
    compare(statistics.mode, torch.mode, x, 0, True)


METHODS = ["linear", "lower", "higher", "midpoint", "nearest"]


@pytest.mark.parametrize("interpolation", METHODS)
@pytest.mark.parametrize("q", [0.3, np.array([0.0, 0.25, 1.0], np.float32)])
def test_quantile(q, interpolation):
    compare(
        lambda x, p: statistics.quantile(x, p, 1, True, interpolation=interpolation),
        lambda x, p: torch.quantile(x, p, 1, True, interpolation=interpolation),
        A,
        q,
        grad=False,
    )


def test_quantile_of_all_and_its_gradient():
    compare(statistics.quantile, torch.quantile, A, 0.3)
    compare(statistics.quantile, torch.quantile, A, 0.3, 0)
    compare(statistics.nanquantile, torch.nanquantile, NAN, 0.5, 1, grad=False)
    compare(statistics.quantile, torch.quantile, NAN, 0.5, grad=False)


@pytest.mark.parametrize("settings", [{}, {"minlength": 9}, {"weights": True}])
def test_bincount(settings):
    x, w = np.array([1, 3, 1, 0, 5]), floats(5)
    if "weights" in settings:
        compare(statistics.bincount, torch.bincount, x, w, grad=False)
        compare(statistics.bincount, torch.bincount, x, integers(5), grad=False)
    else:
        compare(statistics.bincount, torch.bincount, x, **settings)


@pytest.mark.parametrize("settings", [{}, {"bins": 4}, {"bins": 5, "min": -1, "max": 2}])
def test_histc(settings):
    compare(statistics.histc, torch.histc, A, grad=False, **settings)


def test_histc_of_equal_elements_and_histogram():
    compare(statistics.histc, torch.histc, np.ones(3, np.float32), 3, grad=False)
    edges = np.array([-3.0, -1.0, 0.0, 2.0], np.float32)
    compare(statistics.histogram, torch.histogram, A, edges, grad=False)


@pytest.mark.parametrize("settings", [{}, {"correction": 0}])
def test_covariance(settings):
    compare(statistics.cov, torch.cov, A, **settings)
    compare(statistics.cov, torch.cov, A[0], **settings)
    compare(statistics.corrcoef, torch.corrcoef, A)


def test_weighted_covariance():
    weights = np.array([0.5, 1.0, 2.0, 1.5], np.float32)
    f = functools.partial(compare, grad=False)
    f(lambda x, w: statistics.cov(x, aweights=w), lambda x, w: torch.cov(x, aweights=w), A, weights)


ERRORS = [
    (statistics.median, torch.median, (bools(3),), "not implemented"),
    (statistics.median, torch.median, (np.zeros((2, 0), np.float32), 1), "non-zero size"),
    (statistics.quantile, torch.quantile, (A, 1.5), r"must be in the range \[0, 1\] but got 1.5"),
    (statistics.quantile, torch.quantile, (N, 0.5), "either float or double"),
    (statistics.quantile, torch.quantile, (A, np.array(0.5)), "same dtype as the input"),
    (statistics.bincount, torch.bincount, (np.array([-1, 2]),), "1-d non-negative"),
    (statistics.bincount, torch.bincount, (A[0],), "not implemented"),
    (statistics.histc, torch.histc, (N,), "not implemented"),
    (statistics.cov, torch.cov, (floats(2, 2, 2),), "two or fewer dimensions"),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)


def test_median_of_half_precision():
    compare(statistics.median, torch.median, A.astype(BFLOAT16))


@pytest.mark.parametrize("x", [A, TIED[1], A[:0]], ids=["numbers", "equal", "none"])
def test_histogram_of_a_number_of_bins(x):
    compare(statistics.histogram, torch.histogram, x, 4, grad=False)


def test_histogram_in_a_range_with_weights():
    compare(
        lambda x, w: statistics.histogram(x, 3, range=(-1.0, 2.0), weight=w, density=True),
        lambda x, w: torch.histogram(x, 3, range=(-1.0, 2.0), weight=w, density=True),
        A, floats(3, 4, low=0, seed=1), grad=False,
    )  # fmt: skip


HISTOGRAM_ERRORS = [
    (lambda f, x: f(x, 0), A, "bins must be > 0"),
    (lambda f, x: f(x, 3, range=(2.0, 1.0)), A, "is not finite, or its end lies before"),
    (lambda f, x: f(x, 3), N, "not implemented"),
]


@pytest.mark.parametrize(("call", "x", "match"), HISTOGRAM_ERRORS)
def test_histogram_errors(call, x, match):
    same_error(functools.partial(call, statistics.histogram),
               functools.partial(call, torch.histogram), x, match=match)  # fmt: skip


def test_as_many_bins_as_dimensions():
    same_error(statistics.histogramdd, torch.histogramdd, A, [2, 3], match="innermost dimension")


def test_weights_of_a_covariance_are_checked():
    w = np.array([1, -1, 2, 1])
    for weights, match in ((w, "cannot be negative"), (A[0], "integral dtype")):
        same_error(lambda x, v: statistics.cov(x, fweights=v),
                   lambda x, v: torch.cov(x, fweights=v), A, weights, match=match)  # fmt: skip
