"""`torch.special`: every function agrees with PyTorch in value, dtype and (where any) gradient."""

import jax
import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import special
from tests.ops.cases import floats, integers
from tests.reference import assert_same, compare

WIDE = np.array([-40, -3.5, -1, -0.2, 0, 1e-9, 0.3, 1, 2.5, 7.9, 24.9, 25.1, 60, np.nan, np.inf])
UNIT = np.array([0.0, 0.01, 0.3, 0.5, 0.99, 1.0])
INSIDE = np.array([0.01, 0.3, 0.5, 0.99])
POSITIVE = np.array([0.1, 0.7, 1.0, 3.0, 20.0])

WITH_GRADIENT = [
    *(
        ("entr", POSITIVE),
        ("erfcx", WIDE[2:-2]),
        ("i0e", WIDE[:-2]),
        ("i1", WIDE[1:-5]),
        ("i1e", WIDE[:-2]),
    ),
    *(("log_ndtr", WIDE[:-2]), ("ndtr", WIDE[1:-3]), ("ndtri", INSIDE), ("gammaln", POSITIVE)),
    *(("psi", POSITIVE), ("expit", WIDE[:-2]), ("sinc", WIDE[:-2])),
]


@pytest.mark.parametrize(("name", "x"), WITH_GRADIENT)
def test_functions_with_a_gradient(name, x):
    compare(getattr(special, name), getattr(torch.special, name), x)


VALUES = [
    *("airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "modified_bessel_i0"),
    *("modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "spherical_bessel_j0"),
    *("scaled_modified_bessel_k0", "scaled_modified_bessel_k1"),
]


@pytest.mark.parametrize("name", VALUES)
def test_functions_without_a_gradient(name):
    f, g = getattr(special, name), getattr(torch.special, name)
    compare(f, g, WIDE, grad=False, rtol=1e-7, atol=1e-12)
    x = WIDE.astype(np.float32)
    ours, theirs = f(jax.numpy.asarray(x)), g(torch.from_numpy(x))  # 64-bit types are off here
    assert_same(ours, theirs, rtol=1e-4, atol=1e-6)


def test_functions_at_the_ends_of_their_domains():
    for name in ("entr", "ndtri", "ndtr"):
        compare(getattr(special, name), getattr(torch.special, name), UNIT, grad=False)
    compare(special.entr, torch.special.entr, np.array([-1.0, np.nan, np.inf]), grad=False)


PAIRS = [
    ("xlog1py", floats(4), floats(4, low=-0.9, high=3)),
    ("xlog1py", np.zeros(2, np.float32), np.array([-1, np.nan], np.float32)),
]


@pytest.mark.parametrize(("name", "x", "y"), PAIRS)
def test_functions_of_two_numbers(name, x, y):
    compare(getattr(special, name), getattr(torch.special, name), x, y, grad=bool(x.all()))


def test_incomplete_gamma_and_zeta_functions():
    a, x = np.array([0.0, 0.5, 2, 9]), np.array([1.0, 0.2, 2, 12])
    for name in ("gammainc", "gammaincc"):
        compare(getattr(special, name), getattr(torch.special, name), a, x, grad=False)
        compare(
            lambda x, name=name: getattr(special, name)(np.float64(2.0), x),
            lambda x, name=name: getattr(torch.special, name)(torch.tensor(2.0).double(), x),
            x,
        )
    compare(special.zeta, torch.special.zeta, np.array([1.5, 2, 8]), np.array([1.0, 3, 0.5]),
            grad=False)  # fmt: skip
    compare(special.zeta, torch.special.zeta, integers(3, low=2, high=5), integers(3, low=1),
            grad=False)  # fmt: skip


POLYNOMIALS = [n for n in special.__all__ if "polynomial" in n]


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name):
    x = np.array([[-1.5, -1, -0.3, 0, 0.6, 1, 2]]).T
    n = np.array([-1.0, 0, 1, 2, 5.7, 9])
    f, g = getattr(special, name), getattr(torch.special, name)
    compare(f, g, x, n, grad=False, rtol=1e-6, atol=1e-9)
    assert_same(f(jtoolbox.tensor(x), 3), g(torch.from_numpy(x), 3), rtol=1e-6)


def test_the_other_names_are_those_of_torch():
    compare(special.logsumexp, torch.special.logsumexp, floats(2, 3), 1)
    compare(special.softmax, torch.special.softmax, floats(2, 3), 1)
    compare(special.log_softmax, torch.special.log_softmax, floats(2, 3), 1)
    compare(special.multigammaln, torch.special.multigammaln, POSITIVE + 2, 3)
    compare(lambda x: special.polygamma(1, x), lambda x: torch.special.polygamma(1, x), POSITIVE)
    assert set(torch.special.__all__) <= set(special.__all__)


def test_no_gradient_flows_through_the_angle_at_the_origin():
    y, x = np.array([0.0, -0.0, 1.0, 0.0]), np.array([0.0, -0.0, 0.0, -1.0])
    compare(jtoolbox.atan2, torch.atan2, y, x)


@pytest.mark.parametrize("name", ["lgamma", "digamma"])
def test_the_pole_at_zero_has_infinite_slope(name):
    x = np.array([0.0, 0.5, -0.5, 3.0])
    compare(getattr(jtoolbox, name), getattr(torch, name), x)


def test_the_second_derivative_of_i1_is_zero_at_zero():
    def second(lib):
        x = lib.tensor([-1.0, 0.0, 2.0], dtype=lib.float64, requires_grad=True)
        (first,) = lib.autograd.grad(lib.special.i1(x).sum(), x, create_graph=True)
        return lib.autograd.grad(first.sum(), x)[0].numpy()

    np.testing.assert_allclose(second(jtoolbox), second(torch), rtol=1e-12)
