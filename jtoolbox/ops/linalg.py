"""Matrices: determinants, inverses, solutions of equations and factorizations.

Where PyTorch raises for a singular or indefinite matrix, a compiled program cannot: the result is
infinite or NaN, or comes with the `info` of the `_ex` functions.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops import return_types
from jtoolbox.ops.elementwise import is_complex, is_integer
from jtoolbox.ops.matrices import at_least_matrix
from jtoolbox.ops.norms import matrix_norm
from jtoolbox.ops.products import same_dtype

__all__ = [
    *("cholesky", "cholesky_inverse", "cholesky_solve", "det", "inverse", "logdet"),
    *("matrix_exp", "matrix_power", "pinverse", "qr", "slogdet", "svd", "triangular_solve"),
]


# Determinants, inverses, solutions


def _square(name: str, x: Array) -> None:
    if is_integer(x):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.from_numpy(x.dtype)}. Use .float()."
        )
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, got {x.ndim}"
        )
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by "
            f"{x.shape[-1]} matrices"
        )


@op(saves="both")
def det(A: Array) -> Array:
    """The determinant of square matrices (..., n, n)."""
    _square("linalg.det", A)
    return jnp.linalg.det(A)


@op(saves="both")
def logdet(input: Array) -> Array:
    """The logarithm of the determinant; NaN if that is negative."""
    _square("logdet", input)
    sign, logabsdet = jnp.linalg.slogdet(input)
    return jnp.where(sign == -1, jnp.nan, logabsdet)


@op(saves="both", name="slogdet")
def linalg_slogdet(A: Array) -> tuple[Array, Array]:
    """The sign and the logarithm of the size of the determinant: (sign, logabsdet)."""
    _square("linalg.slogdet", A)
    return return_types.linalg_slogdet(*jnp.linalg.slogdet(A))


@op(saves="both")
def slogdet(input: Array) -> tuple[Array, Array]:
    """The sign and the logarithm of the size of the determinant: (sign, logabsdet)."""
    _square("linalg.slogdet", input)
    return return_types.slogdet(*jnp.linalg.slogdet(input))


@op(saves="output")
def inv(A: Array) -> Array:
    """The inverse of square matrices. Of a singular one it is infinite or NaN."""
    _square("linalg.inv", A)
    return jnp.linalg.inv(A)


def _info(x: Array) -> Array:
    """0 where a factorization succeeded, 1 where it has an infinity or NaN."""
    return (~jnp.all(jnp.isfinite(x), (-2, -1))).astype(jnp.int32)


@op(saves="output")
def inv_ex(A: Array, *, check_errors: bool = False) -> tuple[Array, Array]:
    """(inverse, info), where info is not 0 for a singular matrix."""
    _square("linalg.inv_ex", A)
    inverse = jnp.linalg.inv(A)
    return return_types.linalg_inv_ex(inverse, _info(inverse))


@op(saves="both")
def pinv(A: Array, rtol: float | None = None, hermitian: bool = False) -> Array:
    """The pseudoinverse; singular values below rtol times the largest count as 0."""
    limit = max(A.shape[-2:]) * float(jnp.finfo(A.dtype).eps) if rtol is None else rtol
    return jnp.linalg.pinv(A, rtol=limit, hermitian=hermitian)


def pinverse(input: Array, rcond: float = 1e-15) -> Array:
    """The pseudoinverse; singular values below rcond times the largest count as 0."""
    return pinv(input, rcond)


def _right_side(a: Array, b: Array) -> tuple[Array, bool]:
    """The right side as matrices, and whether it was given as vectors."""
    vectors = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    return (b[..., None] if vectors else b), vectors


@op(saves="both")
def solve(A: Array, B: Array, *, left: bool = True) -> Array:
    """X with A @ X = B, or X @ A = B if not `left`; B holds vectors or matrices."""
    _square("linalg.solve", A)
    same_dtype(A, B)
    b, vectors = _right_side(A, B)
    if A.shape[-1] != b.shape[-2 if left else -1]:
        raise RuntimeError(
            "linalg.solve: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({A.shape[-2]}x{A.shape[-1]} and "
            f"{b.shape[-2]}x{b.shape[-1]})"
        )
    if left:
        x = jnp.linalg.solve(A, b)
    else:
        x = jnp.swapaxes(jnp.linalg.solve(jnp.swapaxes(A, -1, -2), jnp.swapaxes(b, -1, -2)), -1, -2)
    return x[..., 0] if vectors else x


@op(saves="both", name="solve_ex")
def solve_ex(
    A: Array, B: Array, *, left: bool = True, check_errors: bool = False
) -> tuple[Array, Array]:
    """(X, info) of `solve`, where info is not 0 for a singular matrix."""
    x = solve(A, B, left=left)
    zero = jnp.linalg.det(jax.lax.stop_gradient(A)) == 0
    return return_types.linalg_solve_ex(x, zero.astype(jnp.int32))


@op(saves="output")
def tensorinv(A: Array, ind: int = 2) -> Array:
    """The inverse of A as a map from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows, columns = A.shape[:ind], A.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {math.prod(columns)} != {math.prod(rows)}"
        )
    n = math.prod(rows)
    return jnp.linalg.inv(A.reshape(n, n)).reshape(*columns, *rows)


@op(saves="both")
def tensorsolve(A: Array, B: Array, dims: Any = None) -> Array:
    """X with tensordot(A, X, X.ndim) = B; `dims` of A are moved to its end first."""
    same_dtype(A, B)
    if dims is not None:
        A = jnp.moveaxis(A, dims, range(A.ndim - len(dims), A.ndim))
    shape = A.shape[B.ndim :]
    if math.prod(shape) != B.size:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {math.prod(shape)} != {B.size}"
        )
    return jnp.linalg.solve(A.reshape(B.size, B.size), B.reshape(-1)).reshape(shape)


@op(saves="both")
def triangular_solve(
    b: Array, A: Array, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Array, Array]:
    """(X, A) with A @ X = b (A^T @ X = b if `transpose`), reading only one triangle of A."""
    _square("triangular_solve", A)
    batch = jnp.broadcast_shapes(A.shape[:-2], b.shape[:-2])
    a = jnp.broadcast_to(A, (*batch, *A.shape[-2:]))
    x = jax.lax.linalg.triangular_solve(
        a,
        jnp.broadcast_to(b, (*batch, *b.shape[-2:])),
        left_side=True,
        lower=not upper,
        transpose_a=transpose,
        unit_diagonal=unitriangular,
    )
    return return_types.triangular_solve(x, a)


@op(saves="both")
def solve_triangular(
    A: Array, B: Array, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    """X with A @ X = B (X @ A = B if not `left`), reading only one triangle of A."""
    _square("linalg.solve_triangular", A)
    same_dtype(A, B)
    batch = jnp.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    a = jnp.broadcast_to(A, (*batch, *A.shape[-2:]))
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    return jax.lax.linalg.triangular_solve(
        a, b, left_side=left, lower=not upper, unit_diagonal=unitriangular
    )


@op(saves="both", name="matrix_power")
def matrix_power(input: Array, n: int) -> Array:
    """The matrix multiplied n times; a negative n inverts it first."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        _square("linalg.matrix_power", input)
    return jnp.linalg.matrix_power(input, n)


@op(saves="both")
def matrix_exp(input: Array) -> Array:
    """The exponential of square matrices."""
    _square("linalg.matrix_exp", input)
    flat = input.reshape(-1, *input.shape[-2:])
    return jax.vmap(jax.scipy.linalg.expm)(flat).reshape(input.shape)


@op(saves="both")
def lstsq(
    A: Array, B: Array, rcond: float | None = None, *, driver: str | None = None
) -> tuple[Array, Array, Array, Array]:
    """X with the smallest |A @ X - B|, of several the smallest: (solution, residuals, rank,
    singular_values).

    Always computed from singular values, whatever `driver` says; `residuals` and
    `singular_values` are empty, as with PyTorch's default driver.
    """
    if A.dtype != B.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's "
            f"dtype {dtypes.from_numpy(A.dtype)} and other's dtype {dtypes.from_numpy(B.dtype)}"
        )
    b, vectors = _right_side(A, B)
    limit = max(A.shape[-2:]) * float(jnp.finfo(A.dtype).eps) if rcond is None else rcond
    x = jnp.linalg.pinv(A, rtol=limit) @ b
    values = jnp.linalg.svd(jax.lax.stop_gradient(A), compute_uv=False)
    rank = jnp.sum(values > limit * values[..., :1], -1, dtype=dtypes.index_dtype())
    none = jnp.zeros((0,), values.dtype)
    return return_types.linalg_lstsq(x[..., 0] if vectors else x, none, rank, none)


@op(differentiable=False)
def matrix_rank(
    A: Array, *, atol: float | None = None, rtol: float | None = None, hermitian: bool = False
) -> Array:
    """How many singular values exceed max(atol, rtol * the largest)."""
    values = jnp.linalg.svd(A, compute_uv=False, hermitian=hermitian)
    default = 0.0 if atol else max(A.shape[-2:]) * float(jnp.finfo(A.dtype).eps)
    relative = default if rtol is None else rtol
    limit = jnp.maximum(atol or 0.0, relative * jnp.max(values, -1, keepdims=True))
    return jnp.sum(values > limit, -1, dtype=dtypes.index_dtype())


def cond(A: Array, p: Any = None) -> Array:
    """The condition number: the norm of A times that of its inverse."""
    if p is None or (p in (2, -2)):
        return _spectral_cond(A, -1 if p == -2 else 1)
    return matrix_norm(A, p) * matrix_norm(inv(A), p)


@op(saves="both", name="cond")
def _spectral_cond(A: Array, sign: int) -> Array:
    values = jnp.linalg.svd(A, compute_uv=False)
    ratio = values[..., 0] / values[..., -1]
    return ratio if sign > 0 else 1 / ratio


# Factorizations


def _mirrored(x: Array, upper: bool) -> Array:
    """The symmetric matrix that one triangle stands for; its gradient goes to both triangles."""
    other = jnp.conj(jnp.swapaxes(x, -1, -2))
    half = jnp.triu(x) + jnp.tril(other, -1) if upper else jnp.tril(x) + jnp.triu(other, 1)
    both = (x + other) / 2
    return both + jax.lax.stop_gradient(half - both)


@op(saves="output", name="cholesky")
def linalg_cholesky(A: Array, *, upper: bool = False) -> Array:
    """Lower triangular L with L @ L^H = A (upper with U^H @ U); NaN if A is not positive."""
    _square("linalg.cholesky", A)
    factor = jnp.linalg.cholesky(_mirrored(A, upper), symmetrize_input=False)
    return jnp.conj(jnp.swapaxes(factor, -1, -2)) if upper else factor


def cholesky(input: Array, upper: bool = False) -> Array:
    """Lower triangular L with L @ L^H = input; NaN if input is not positive-definite."""
    return linalg_cholesky(input, upper=upper)


@op(saves="output")
def cholesky_ex(
    A: Array, *, upper: bool = False, check_errors: bool = False
) -> tuple[Array, Array]:
    """(L, info), where info is not 0 if A is not positive-definite."""
    factor = linalg_cholesky(A, upper=upper)
    return return_types.linalg_cholesky_ex(factor, _info(factor))


@op(saves="both")
def cholesky_solve(B: Array, L: Array, upper: bool = False) -> Array:
    """X with A @ X = B, from the Cholesky factor L of A."""
    if B.ndim < 2 or L.ndim < 2:
        raise RuntimeError("cholesky_solve: B and L must have at least 2 dimensions")
    batch = jnp.broadcast_shapes(B.shape[:-2], L.shape[:-2])
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    factor = jnp.broadcast_to(L, (*batch, *L.shape[-2:]))
    solved = functools.partial(
        jax.lax.linalg.triangular_solve, factor, left_side=True, lower=not upper, conjugate_a=True
    )
    plain = functools.partial(
        jax.lax.linalg.triangular_solve, factor, left_side=True, lower=not upper
    )
    if upper:
        return plain(solved(b, transpose_a=True))
    return solved(plain(b), transpose_a=True)


def cholesky_inverse(L: Array, upper: bool = False) -> Array:
    """The inverse of A, from its Cholesky factor L."""
    return _cholesky_inverse(L, upper)


@op(saves="both", name="cholesky_inverse")
def _cholesky_inverse(L: Array, upper: bool) -> Array:
    eye = jnp.broadcast_to(jnp.eye(L.shape[-1], dtype=L.dtype), L.shape)
    return cholesky_solve(eye, L, upper)


def _qr(x: Array, mode: str) -> tuple[Array, Array]:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    at_least_matrix("linalg.qr", x)
    if mode == "r":
        return jnp.zeros((0,), x.dtype), jnp.linalg.qr(x, mode="r")
    q, r = jnp.linalg.qr(x, mode=mode)
    return q, r


@op(saves="output", name="qr")
def linalg_qr(A: Array, mode: str = "reduced") -> tuple[Array, Array]:
    """Q with orthonormal columns and upper triangular R with Q @ R = A."""
    return return_types.linalg_qr(*_qr(A, mode))


@op(saves="output")
def qr(input: Array, some: bool = True) -> tuple[Array, Array]:
    """Q with orthonormal columns and upper triangular R with Q @ R = input."""
    return return_types.qr(*_qr(input, "reduced" if some else "complete"))


def _svd(x: Array, full: bool) -> tuple[Array, Array, Array]:
    at_least_matrix("linalg.svd", x)
    full = full and x.shape[-1] != x.shape[-2]
    u, s, vh = jnp.linalg.svd(x, full_matrices=full)
    return u, s, vh


@op(saves="output", name="svd")
def linalg_svd(
    A: Array, full_matrices: bool = True, *, driver: str | None = None
) -> tuple[Array, Array, Array]:
    """(U, S, Vh) with U @ diag(S) @ Vh = A and S decreasing.

    Gradients of a matrix that is not square need full_matrices=False.
    """
    return return_types.linalg_svd(*_svd(A, full_matrices))


@op(saves="output")
def svd(input: Array, some: bool = True, compute_uv: bool = True) -> tuple[Array, Array, Array]:
    """(U, S, V) with U @ diag(S) @ V^H = input; `linalg.svd` returns V^H instead."""
    if not compute_uv:
        batch, (m, n) = input.shape[:-2], input.shape[-2:]
        s = jnp.linalg.svd(input, compute_uv=False)
        u, v = (jnp.zeros((*batch, k, k), input.dtype) for k in (m, n))
        return return_types.svd(u, s, v)
    u, s, vh = _svd(input, not some)
    return return_types.svd(u, s, jnp.conj(jnp.swapaxes(vh, -1, -2)))


@op(saves="both")
def svdvals(A: Array, *, driver: str | None = None) -> Array:
    """The singular values, decreasing."""
    return jnp.linalg.svd(A, compute_uv=False)


@op(saves="output")
def eigh(A: Array, UPLO: str = "L") -> tuple[Array, Array]:
    """Eigenvalues (increasing) and eigenvectors (columns) of symmetric matrices."""
    _square("linalg.eigh", A)
    values, vectors = jnp.linalg.eigh(_mirrored(A, UPLO.upper() == "U"), symmetrize_input=False)
    return return_types.linalg_eigh(values, vectors)


@op(saves="both")
def eigvalsh(A: Array, UPLO: str = "L") -> Array:
    """The eigenvalues of symmetric matrices, increasing."""
    return eigh(A, UPLO)[0]


@op(saves="output")
def eig(A: Array) -> tuple[Array, Array]:
    """Complex eigenvalues and eigenvectors (columns) of square matrices; on the CPU only."""
    _square("linalg.eig", A)
    return return_types.linalg_eig(*jnp.linalg.eig(A))


@op(saves="both")
def eigvals(A: Array) -> Array:
    """The complex eigenvalues of square matrices; on the CPU only."""
    _square("linalg.eigvals", A)
    return jnp.linalg.eigvals(A)


@op(saves="both")
def lu(A: Array, *, pivot: bool = True) -> tuple[Array, Array, Array]:
    """(P, L, U): a permutation, a lower and an upper triangular matrix with P @ L @ U = A."""
    at_least_matrix("linalg.lu", A)
    if not pivot:
        raise NotImplementedError("linalg.lu: only pivot=True is supported")
    m, n = A.shape[-2:]
    packed, _, order = jax.lax.linalg.lu(A)
    k = min(m, n)
    lower = jnp.tril(packed[..., :, :k], -1) + jnp.eye(m, k, dtype=A.dtype)
    upper = jnp.triu(packed[..., :k, :])
    rows = jnp.arange(m, dtype=order.dtype)
    permutation = (rows[:, None] == order[..., None, :]).astype(A.dtype)
    return return_types.linalg_lu(permutation, lower, upper)


@op(saves="both")
def lu_factor(A: Array, *, pivot: bool = True) -> tuple[Array, Array]:
    """Both triangular factors in one matrix, and the rows swapped (from 1): (LU, pivots)."""
    at_least_matrix("linalg.lu_factor", A)
    packed, pivots, _ = jax.lax.linalg.lu(A)
    return return_types.linalg_lu_factor(packed, pivots + 1)


@op(saves="both")
def vecdot(x: Array, y: Array, *, dim: int = -1) -> Array:
    """Dot products along a dimension, the first operand conjugated."""
    same_dtype(x, y)
    return jnp.sum(jnp.conj(x) * y if is_complex(x) else x * y, dim)


inverse = inv
