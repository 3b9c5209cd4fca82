"""Linear algebra agrees with PyTorch: products of all ranks, factorizations, norms, errors."""

import jax
import numpy as np
import pytest
import torch

from jtoolbox import linalg, ops
from jtoolbox.ops import contraction, matrices, norms, products
from tests.ops.cases import BFLOAT16, bools, floats, integers
from tests.reference import compare, same_error

V, W, U = floats(3), floats(4, seed=1), floats(3, seed=5)
A, B = floats(2, 3, seed=2), floats(3, 4, seed=3)
BATCH, OTHERS = floats(5, 2, 3, seed=4), floats(5, 3, 4, seed=6)
N, M = integers(2, 3), integers(3, 4, seed=1)
# A well conditioned matrix, a batch of them, and a symmetric positive one.
S = floats(3, 3, low=-1, high=1, dtype=np.float64, seed=7) + 3 * np.eye(3)
MANY = floats(2, 3, 3, low=-1, high=1, dtype=np.float64, seed=8) + 3 * np.eye(3)
P = S @ S.T

RANKS = [
    *((V, U), (A, V), (V, B), (A, B), (BATCH, OTHERS), (BATCH, B), (A, OTHERS), (BATCH, V)),
    *((V, OTHERS), (BATCH[:1], OTHERS), (BATCH[None], OTHERS), (N, M)),
    (floats(0, 3), B),
]


@pytest.mark.parametrize(("x", "y"), RANKS)
def test_matmul_of_all_ranks(x, y):
    compare(products.matmul, torch.matmul, x, y)


PRODUCTS = [
    *(("mm", A, B), ("bmm", BATCH, OTHERS), ("mv", A, V), ("dot", V, U), ("vdot", V, U)),
    *(("inner", A, V), ("inner", A, A), ("outer", V, W), ("kron", A, V), ("mm", N, M)),
    ("kron", N, B),
]


@pytest.mark.parametrize(("name", "x", "y"), PRODUCTS)
def test_products(name, x, y):
    compare(getattr(products, name), getattr(torch, name), x, y)


def test_products_in_half_precision():
    compare(products.mm, torch.mm, A.astype(BFLOAT16), B.astype(BFLOAT16))


SUMS = [
    ("addmm", floats(2, 4), A, B),
    ("addmm", floats(4), A, B),
    ("addmv", floats(2), A, V),
    ("baddbmm", floats(5, 2, 4), BATCH, OTHERS),
    ("addbmm", floats(2, 4), BATCH, OTHERS),
    ("addr", floats(3, 4), V, W),
]


@pytest.mark.parametrize("settings", [{}, {"beta": 0.5, "alpha": 2}])
@pytest.mark.parametrize(("name", "x", "y", "z"), SUMS)
def test_products_added_to_a_tensor(name, x, y, z, settings):
    compare(getattr(products, name), getattr(torch, name), x, y, z, **settings)


def test_beta_of_zero_leaves_even_a_nan_out():
    compare(
        products.addmm, torch.addmm, np.full((2, 4), np.nan, np.float32), A, B, beta=0, grad=False
    )


EQUATIONS = [
    ("ij,jk->ik", (A, B)),
    ("ij,jk", (A, B)),
    ("ij->ji", (A,)),
    ("ij->", (A,)),
    ("ii->i", (S,)),
    ("ii", (S,)),
    ("bij, bjk -> bik", (BATCH, OTHERS)),
    ("...ij,jk->...ik", (BATCH, B)),
    ("i,j->ij", (V, W)),
    ("ij,jk,k->i", (A, B, W)),
    ("b i j -> b j i", (BATCH,)),
    ("ij,kj->ik", (A, A[:, :1])),
]


@pytest.mark.parametrize(("equation", "operands"), EQUATIONS)
def test_einsum(equation, operands):
    compare(
        lambda *x: contraction.einsum(equation, *x),
        lambda *x: torch.einsum(equation, *x),
        *operands,
    )


def test_einsum_takes_sublists_and_a_list_of_operands():
    compare(
        lambda x, y: contraction.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        lambda x, y: torch.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        A,
        B,
    )
    compare(lambda x: contraction.einsum("ij->j", [x]), lambda x: torch.einsum("ij->j", [x]), A)


@pytest.mark.parametrize("dims", [1, 0, ([1], [0]), ([-1], [0])])
def test_tensordot(dims):
    compare(contraction.tensordot, torch.tensordot, A, B, dims)


def test_cross():
    compare(products.cross, torch.cross, floats(4, 3), floats(4, 3, seed=1), 1)
    compare(linalg.cross, torch.linalg.cross, floats(3, 4), floats(3, 1, seed=1), dim=0)


def test_multi_dot_and_chain_matmul():
    compare(linalg.multi_dot, torch.linalg.multi_dot, [A, B, floats(4, 2)])
    compare(linalg.multi_dot, torch.linalg.multi_dot, [V, B, W])


# Diagonals, triangles, blocks


@pytest.mark.parametrize("k", [-1, 0, 2])
@pytest.mark.parametrize("name", ["tril", "triu"])
@pytest.mark.parametrize("x", [A, BATCH, bools(3, 3)])
def test_triangles(name, x, k):
    compare(getattr(matrices, name), getattr(torch, name), x, k)


@pytest.mark.parametrize("k", [-1, 0, 1])
@pytest.mark.parametrize("x", [V, A, N])
def test_diag(x, k):
    compare(matrices.diag, torch.diag, x, k)
    compare(matrices.diagflat, torch.diagflat, x, k)


@pytest.mark.parametrize("settings", [{}, {"offset": 1}, {"offset": -2, "dim1": 0, "dim2": 2}])
def test_diag_embed(settings):
    compare(matrices.diag_embed, torch.diag_embed, A, **settings)
    compare(matrices.diag_embed, torch.diag_embed, A, dim1=-1, dim2=0, offset=1)


def test_trace_and_block_diag():
    compare(matrices.trace, torch.trace, A)
    compare(matrices.trace, torch.trace, N)
    compare(matrices.block_diag, torch.block_diag, A, V, np.array(2.0, np.float32), N)


# Norms and distances


@pytest.mark.parametrize("order", [2, 1, 0, 3, np.inf, -np.inf, 0.5])
@pytest.mark.parametrize("dim", [None, 0, (0, 1)])
def test_vector_norm(order, dim):
    compare(linalg.vector_norm, torch.linalg.vector_norm, A, order, dim)


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
@pytest.mark.parametrize("keepdim", [False, True])
def test_matrix_norm(order, keepdim):
    compare(linalg.matrix_norm, torch.linalg.matrix_norm, MANY, order, keepdim=keepdim)


@pytest.mark.parametrize(
    ("args", "x"), [((), A), ((2,), A), ((2,), V), ((None, 1), A), (("fro",), A)]
)
def test_linalg_norm(args, x):
    compare(linalg.norm, torch.linalg.norm, x, *args, rtol=1e-4)


@pytest.mark.parametrize("p", [0, 1, 2, 3.0, np.inf])
def test_distances(p):
    x, y = floats(2, 4, 3), floats(2, 5, 3, seed=1)
    compare(norms.cdist, torch.cdist, x, y, p, grad=p != 0)
    compare(norms.dist, torch.dist, A, A + 1, p, grad=p != 0)


def test_distances_of_many_points_come_from_a_product():
    x, y = floats(30, 3, dtype=np.float64), floats(28, 3, dtype=np.float64, seed=1)
    compare(norms.cdist, torch.cdist, x, y)


def test_the_distance_of_equal_points_has_gradient_zero():
    compare(norms.cdist, torch.cdist, A, A.copy())


# Determinants, inverses, equations


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])


def test_det():
    compare(linalg.det, torch.linalg.det, S)
    compare(linalg.det, torch.linalg.det, MANY)
    compare(linalg.det, torch.linalg.det, SINGULAR, grad=False)


def test_the_gradient_of_det_is_right_for_a_singular_matrix():
    with jax.enable_x64(True):
        cofactors = jax.grad(linalg.det)(SINGULAR)
    np.testing.assert_allclose(cofactors, [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize("x", [S, MANY])
def test_inverse_and_determinants(x):
    compare(linalg.inv, torch.linalg.inv, x)
    compare(linalg.slogdet, torch.linalg.slogdet, x)
    compare(ops.logdet, torch.logdet, x)
    compare(linalg.pinv, torch.linalg.pinv, x)
    compare(linalg.matrix_exp, torch.linalg.matrix_exp, x)


@pytest.mark.parametrize("n", [-2, -1, 0, 1, 3])
def test_matrix_power(n):
    compare(linalg.matrix_power, torch.linalg.matrix_power, S, n)


RIGHT = floats(3, 2, dtype=np.float64)


@pytest.mark.parametrize(
    ("a", "b"),
    [(S, RIGHT), (S, RIGHT[:, 0]), (MANY, RIGHT), (MANY, floats(2, 3, dtype=np.float64))],
)
def test_solve(a, b):
    compare(linalg.solve, torch.linalg.solve, a, b)


def test_solve_from_the_right_and_triangular():
    compare(linalg.solve, torch.linalg.solve, S, RIGHT.T.copy(), left=False)
    compare(linalg.solve_triangular, torch.linalg.solve_triangular, MANY, RIGHT, upper=True)
    compare(linalg.solve_triangular, torch.linalg.solve_triangular, MANY, RIGHT, upper=False)


def test_lstsq():
    a = floats(4, 2, dtype=np.float64)
    b = floats(4, 3, dtype=np.float64, seed=1)
    compare(
        lambda x, y: linalg.lstsq(x, y).solution,
        lambda x, y: torch.linalg.lstsq(x, y).solution,
        a,
        b,
    )
    compare(
        lambda x, y: linalg.lstsq(x, y).rank, lambda x, y: torch.linalg.lstsq(x, y).rank, a, b[:, 0]
    )


def test_rank_and_condition():
    compare(linalg.matrix_rank, torch.linalg.matrix_rank, SINGULAR)
    compare(linalg.cond, torch.linalg.cond, S)
    compare(linalg.cond, torch.linalg.cond, S, 1, grad=False)


# Factorizations


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(upper):
    compare(linalg.cholesky, torch.linalg.cholesky, P, upper=upper)
    compare(linalg.cholesky_ex, torch.linalg.cholesky_ex, P, upper=upper, grad=False)
    factor = np.linalg.cholesky(P)
    factor = factor.T.copy() if upper else factor
    compare(ops.cholesky_solve, torch.cholesky_solve, RIGHT, factor, upper, grad=False)
    compare(ops.cholesky_inverse, torch.cholesky_inverse, factor, upper, grad=False)


def test_cholesky_reads_one_triangle():
    compare(linalg.cholesky, torch.linalg.cholesky, np.tril(P), grad=False)
    compare(lambda x: linalg.eigh(x)[0], lambda x: torch.linalg.eigh(x)[0], np.tril(P), grad=False)


def test_a_matrix_that_is_not_positive_gives_nan_and_info():
    factor, info = linalg.cholesky_ex(-np.eye(2, dtype=np.float32))
    assert np.isnan(np.asarray(factor)).any()
    assert int(info) != 0


@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr(mode):
    x = floats(4, 3, dtype=np.float64)
    compare(linalg.qr, torch.linalg.qr, x, mode, grad=mode == "reduced")


def test_svd_puts_the_matrix_together():
    x = floats(4, 3, dtype=np.float64)

    def again(svd):
        def whole(x):
            u, s, vh = svd(x, full_matrices=False)
            return (u * s) @ vh

        return whole

    compare(again(linalg.svd), again(torch.linalg.svd), x)
    compare(linalg.svdvals, torch.linalg.svdvals, x)
    compare(
        lambda v: [r.shape for r in linalg.svd(v)],
        lambda v: [tuple(r.shape) for r in torch.linalg.svd(v)],
        x,
        grad=False,
    )
    compare(lambda v: ops.svd(v).S, lambda v: torch.svd(v).S, x)


def test_eigenvalues():
    compare(linalg.eigvalsh, torch.linalg.eigvalsh, P)
    compare(lambda x: abs(linalg.eigh(x)[1]), lambda x: abs(torch.linalg.eigh(x)[1]), P, grad=False)
    ours = np.sort_complex(np.asarray(linalg.eigvals(S.astype(np.float32))))
    theirs = np.sort_complex(torch.linalg.eigvals(torch.from_numpy(S).float()).numpy())
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)


def test_lu():
    compare(linalg.lu, torch.linalg.lu, S)
    compare(linalg.lu_factor, torch.linalg.lu_factor, S, grad=False)


ERRORS = [
    (products.matmul, torch.matmul, (A, floats(4, 5)), r"cannot be multiplied \(2x3 and 4x5\)"),
    (
        products.matmul,
        torch.matmul,
        (A, W),
        r"size mismatch, got input \(2\), mat \(2x3\), vec \(4\)",
    ),
    (products.matmul, torch.matmul, (W, A), r"cannot be multiplied \(1x4 and 2x3\)"),
    (products.matmul, torch.matmul, (V, W), "inconsistent tensor size"),
    (products.matmul, torch.matmul, (BATCH, BATCH), r"to be: \[5, 3\] but got: \[5, 2\]"),
    (products.matmul, torch.matmul, (BATCH, OTHERS[:2]), "must match the size of tensor b"),
    (
        products.matmul,
        torch.matmul,
        (A, B.astype(np.float64)),
        "same dtype, but got: float != double",
    ),
    (products.matmul, torch.matmul, (N, B), "same dtype, but got: long int != float"),
    (products.matmul, torch.matmul, (np.array(1.0, np.float32), V), "at least 1D"),
    (products.matmul, torch.matmul, (bools(2, 2), bools(2, 2)), "not implemented for 'Bool'"),
    (products.mm, torch.mm, (V, B), "must be a matrix"),
    (products.bmm, torch.bmm, (A, B), "must be a 3D tensor"),
    (products.bmm, torch.bmm, (BATCH, OTHERS[:2]), "Expected size for first two dimensions"),
    (products.dot, torch.dot, (A, V), "1D tensors expected"),
    (products.inner, torch.inner, (A, B), "last dimension must match"),
    (products.outer, torch.outer, (A, V), "Expected 1-D argument self"),
    (products.addmm, torch.addmm, (floats(3, 3), A, B), "must match the existing size"),
    (matrices.tril, torch.tril, (V,), "at least 2 dimensions"),
    (matrices.diag, torch.diag, (BATCH,), "Supports 1D or 2D tensors. Got 3D"),
    (matrices.trace, torch.trace, (V,), "expected a matrix"),
    (contraction.tensordot, torch.tensordot, (A, A, 1), "contracted dimensions need to match"),
    (norms.cdist, torch.cdist, (A, B), "same number of columns"),
    (linalg.inv, torch.linalg.inv, (A,), "batches of square matrices, but they are 2 by 3"),
    (linalg.det, torch.linalg.det, (N,), "Expected a floating point or complex tensor"),
    (linalg.solve, torch.linalg.solve, (S, floats(2, 2, dtype=np.float64)), "Incompatible shapes"),
    (linalg.cross, torch.linalg.cross, (S[:2], S[:2].T.copy()), "."),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)


EINSUM_ERRORS = [
    ("ij,jk->ik", (A, A), "subscript j has size 2 for operand 1"),
    ("ij,jk", (A,), "fewer operands were provided"),
    ("ij->iz", (A,), "output subscript z does not appear"),
    ("ijk->i", (A,), "does not match the number of dimensions"),
    ("ij->ii", (A,), "more than once"),
    ("ij,jk->ik", (A, B.astype(np.float64)), "expected scalar type"),
]


@pytest.mark.parametrize(("equation", "operands", "message"), EINSUM_ERRORS)
def test_einsum_errors(equation, operands, message):
    same_error(
        lambda *x: contraction.einsum(equation, *x),
        lambda *x: torch.einsum(equation, *x),
        *operands,
        match=message,
    )
