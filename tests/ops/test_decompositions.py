"""Decompositions agree with PyTorch where only one triangle counts, nothing is left, or more."""

import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import linalg, ops
from tests.ops.cases import floats
from tests.reference import compare, same_error

TALL, SQUARE = floats(4, 2, dtype=np.float64), floats(3, 3, dtype=np.float64, seed=1)
RIGHT = floats(3, 2, dtype=np.float64, seed=2)
FACTOR = np.tril(SQUARE) + 4 * np.eye(3)
COMPLEX = SQUARE + 1j * floats(3, 3, dtype=np.float64, seed=3)


@pytest.mark.parametrize("upper", [False, True])
def test_solutions_from_a_cholesky_factor_have_the_gradient_of_a_full_factor(upper):
    factor = FACTOR.T.copy() if upper else FACTOR
    compare(ops.cholesky_solve, torch.cholesky_solve, RIGHT, factor, upper)
    turned = factor + 1j * (factor - np.diag(np.diag(factor)))
    compare(ops.cholesky_inverse, torch.cholesky_inverse, turned, upper)


def test_the_first_columns_of_a_full_svd_carry_the_gradient():
    for x in (TALL, TALL.T.copy()):
        compare(
            lambda x: [abs(v[:2, :2]) for v in linalg.svd(x)[::2]],
            lambda x: [abs(v[:2, :2]) for v in torch.linalg.svd(x)[::2]],
            x,
        )
    u, _, vh = linalg.svd(TALL)
    assert vh.shape == (2, 2)
    np.testing.assert_allclose(u.T @ u, np.eye(4), atol=1e-6)


def test_svd_of_an_empty_matrix_and_without_vectors():
    compare(linalg.svd, torch.linalg.svd, np.zeros((0, 3)))
    compare(lambda x: ops.svd(x, compute_uv=False), lambda x: torch.svd(x, compute_uv=False), TALL)
    assert not ops.svd(jtoolbox.ones(2, 2, requires_grad=True), compute_uv=False).U.requires_grad


@pytest.mark.parametrize("x", [SQUARE, COMPLEX, np.zeros((0, 0))])
def test_the_gradient_of_eigenvectors(x):
    """Of what does not depend on the order of the eigenvalues and the phase of the vectors."""

    def sums(values, vectors):
        return (values**2).sum(), (abs(vectors) ** 3).sum()

    compare(lambda x: sums(*linalg.eig(x)), lambda x: sums(*torch.linalg.eig(x)), x)


def test_pseudoinverse_and_rank_of_a_hermitian_matrix_read_the_lower_triangle():
    for ours, theirs in [
        (linalg.pinv, torch.linalg.pinv),
        (linalg.matrix_rank, torch.linalg.matrix_rank),
    ]:
        compare(ours, theirs, SQUARE, hermitian=True, grad=False)
        compare(ours, theirs, COMPLEX, hermitian=True, grad=False)


SMALL = np.diag([1.0, 0.1, 0.01])
TOLERANCES = [
    {"atol": np.array([0.05, 0.005])},
    {"rtol": np.array(0.05)},
    {"atol": np.array([0.05, 0.005]), "rtol": np.array([[0.5], [0.0]])},
    {"atol": 0.05},
    {"atol": 0.0, "rtol": 0.05},
]


@pytest.mark.parametrize("tolerances", TOLERANCES)
def test_tolerances_may_be_tensors_or_numbers(tolerances):
    names, values = list(tolerances), list(tolerances.values())
    for t, name in ((linalg, "matrix_rank"), (linalg, "pinv")):
        compare(
            lambda x, *v: getattr(t, name)(x, **dict(zip(names, v, strict=True))),  # noqa: B023
            lambda x, *v: getattr(torch.linalg, name)(x, **dict(zip(names, v, strict=True))),  # noqa: B023
            SMALL,
            *values,
            grad=False,
        )  # fmt: skip


def test_the_second_positional_argument_is_the_tolerance():
    compare(linalg.matrix_rank, torch.linalg.matrix_rank, SMALL, 0.05)
    compare(linalg.pinv, torch.linalg.pinv, SMALL, 0.05)
    compare(linalg.pinv, torch.linalg.pinv, floats(2, 3, 2, dtype=np.float64))
    compare(linalg.matrix_rank, torch.linalg.matrix_rank, np.zeros((2, 0, 3)))


@pytest.mark.parametrize("driver", [None, "gels", "gelsd"])
def test_lstsq_returns_what_its_driver_computes(driver):
    b = floats(4, 3, dtype=np.float64, seed=4)
    compare(linalg.lstsq, torch.linalg.lstsq, TALL, b, driver=driver)
    found = linalg.lstsq(*(jtoolbox.tensor(x, requires_grad=True) for x in (TALL, b)))
    assert [r.requires_grad for r in found] == [True, True, False, False]


@pytest.mark.parametrize("x", [TALL, np.zeros((2, 0, 0))])
def test_lu(x):
    compare(linalg.lu, torch.linalg.lu, x)
    compare(
        lambda x: ops.lu_unpack(*linalg.lu_factor(x)),
        lambda x: torch.lu_unpack(*torch.linalg.lu_factor(x)),
        x,
    )
    permutation, lower, upper = linalg.lu(jtoolbox.tensor(x, requires_grad=True))
    assert not permutation.requires_grad
    assert lower.requires_grad
    assert upper.requires_grad


def test_nothing_to_solve():
    empty, right = np.zeros((0, 0)), np.zeros((0, 4))
    compare(
        lambda a, b: linalg.lu_solve(*linalg.lu_factor(a), b),
        lambda a, b: torch.linalg.lu_solve(*torch.linalg.lu_factor(a), b),
        empty,
        right,
    )
    compare(linalg.ldl_factor_ex, torch.linalg.ldl_factor_ex, empty, grad=False)
    compare(linalg.det, torch.linalg.det, np.zeros((2, 0, 0)))
    compare(linalg.cond, torch.linalg.cond, empty, 1, grad=False)
    compare(ops.searchsorted, torch.searchsorted, empty, empty)
    compare(linalg.matrix_exp, torch.linalg.matrix_exp, np.zeros((2, 0, 0)))


def test_ldl_of_a_complex_symmetric_matrix():
    x, b = COMPLEX + COMPLEX.T, RIGHT + 0j
    compare(
        lambda x, b: linalg.ldl_solve(*linalg.ldl_factor(x), b),
        lambda x, b: torch.linalg.ldl_solve(*torch.linalg.ldl_factor(x), b),
        x,
        b,
        grad=False,
    )


def test_pivots_that_swap_rows_are_refused():
    with pytest.raises(RuntimeError, match="swap rows"):
        linalg.ldl_solve(jtoolbox.eye(2), jtoolbox.tensor([2, 1]), jtoolbox.ones(2, 1))


def test_logarithms_of_complex_matrices_and_sums():
    compare(ops.logdet, torch.logdet, COMPLEX)
    compare(ops.logsumexp, torch.logsumexp, COMPLEX, 1)


def test_the_condition_number_of_a_singular_matrix_is_infinite():
    compare(linalg.cond, torch.linalg.cond, np.ones((2, 2)), 1, grad=False)


@pytest.mark.parametrize("n", [None, 2, 4])
def test_vander_has_the_lowest_power_first(n):
    compare(linalg.vander, torch.linalg.vander, TALL, N=n)


def test_dimensions_of_size_1_are_contracted_with_any():
    dims = ([0, 1], [2, 0])
    x, y = floats(1, 1, 3), floats(2, 1, 4)
    compare(ops.tensordot, torch.tensordot, x, y, dims)


ERRORS = [
    (linalg.lu, torch.linalg.lu, (SQUARE,), {"pivot": False}, "without pivoting"),
    (linalg.lstsq, torch.linalg.lstsq, (SQUARE[0], RIGHT), {}, "at least 2 dimensions"),
    (linalg.lstsq, torch.linalg.lstsq, (SQUARE, RIGHT[:2]), {}, "should match"),
    (linalg.lstsq, torch.linalg.lstsq, (SQUARE, RIGHT), {"driver": "x"}, "should be one of"),
    (linalg.eigh, torch.linalg.eigh, (SQUARE, "X"), {}, "Expected UPLO"),
    (linalg.vander, torch.linalg.vander, (TALL,), {"N": 1}, "greater than 1"),
    (linalg.cross, torch.linalg.cross, (SQUARE, SQUARE[0]), {}, "same number of dimensions"),
    (ops.ormqr, torch.ormqr, (SQUARE, SQUARE[0], TALL), {}, "must be equal to input.shape"),
    (jtoolbox.fft.fft, torch.fft.fft, (np.array(1.0),), {}, "has no dimensions"),
    (ops.cholesky_solve, torch.cholesky_solve, (TALL, FACTOR), {}, "Incompatible matrix sizes"),
]


@pytest.mark.parametrize(("ours", "theirs", "inputs", "settings", "message"), ERRORS)
def test_errors(ours, theirs, inputs, settings, message):
    same_error(ours, theirs, *inputs, match=message, **settings)


@pytest.mark.parametrize("window", [None, floats(6, low=0.1, high=1) * (1 + 0.5j)])
def test_the_inverse_of_a_spectrum_that_is_not_of_a_real_signal(window):
    x = (floats(6, 4) + 1j * floats(6, 4, seed=1)).astype(np.complex64)
    settings = {"return_complex": window is not None}

    def back(t):
        return lambda x, *w: t.istft(x, 6, 2, window=w[0] if w else None, **settings)

    compare(back(ops), back(torch), x, *([] if window is None else [window.astype(np.complex64)]),
            rtol=1e-4, atol=1e-5, grad=window is None)  # fmt: skip


@pytest.mark.parametrize("p", [0.5, -1.0])
def test_the_gradient_of_a_norm_is_zero_at_elements_that_are_zero(p):
    compare(linalg.vector_norm, torch.linalg.vector_norm, np.array([[0.0, 2], [0, 0]]), p, 1)


def test_a_product_of_booleans_stays_boolean():
    x, y = np.array([True, False]), np.array([True, True])
    compare(ops.addr, torch.addr, np.array(False), x, y, beta=3, alpha=2)
