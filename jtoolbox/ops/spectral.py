"""Singular values and eigenvalues, and what is computed from them: pseudoinverse, rank, lstsq."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops import return_types
from jtoolbox.ops.linalg import right_side
from jtoolbox.ops.matrices import at_least_matrix, conjugate_transpose, floating, square
from jtoolbox.ops.norms import matrix_norm
from jtoolbox.ops.positive_definite import mirrored

__all__ = ["pinverse", "svd"]

# Singular values


def _completed(q: Array) -> Array:
    """Orthonormal columns and, after them, columns without gradient that make a full basis."""
    m, k = q.shape[-2:]
    if m == k:
        return q
    basis = jnp.linalg.qr(jax.lax.stop_gradient(q), mode="complete")[0]
    return jnp.concatenate([q, basis[..., k:]], -1)


def _svd(x: Array, full: bool) -> tuple[Array, Array, Array]:
    floating("linalg.svd", x)
    at_least_matrix("linalg.svd", x)
    u, s, vh = jnp.linalg.svd(x, full_matrices=False)
    if full:
        u, vh = _completed(u), conjugate_transpose(_completed(conjugate_transpose(vh)))
    return u, s, vh


@op(saves="output", name="svd")
def linalg_svd(
    A: Array, full_matrices: bool = True, *, driver: str | None = None
) -> tuple[Array, Array, Array]:
    """(U, S, Vh) with U @ diag(S) @ Vh = A and S decreasing.

    As in PyTorch, the columns that `full_matrices` adds for a matrix that is not square carry no
    gradient. `driver` changes nothing.
    """
    return return_types.linalg_svd(*_svd(A, full_matrices))


@op(saves="output", name="svd")
def _torch_svd(input: Array, some: bool) -> tuple[Array, Array, Array]:
    u, s, vh = _svd(input, not some)
    return return_types.svd(u, s, conjugate_transpose(vh))


@op(differentiable=False)
def _no_vectors(input: Array) -> tuple[Array, Array]:
    batch, sizes = input.shape[:-2], input.shape[-2:]
    u, v = (jnp.zeros((*batch, k, k), input.dtype) for k in sizes)
    return u, v


@numpy_names
def svd(input: Array, some: bool = True, compute_uv: bool = True) -> tuple[Array, Array, Array]:
    """(U, S, V) with U @ diag(S) @ V^H = input; `linalg.svd` returns V^H instead.

    Without `compute_uv`, U and V are zeros.
    """
    if compute_uv:
        return _torch_svd(input, some)
    values = svdvals(input)
    u, v = _no_vectors(input)
    return return_types.svd(u, values, v)


@op(saves="both")
def svdvals(A: Array, *, driver: str | None = None) -> Array:
    """The singular values, decreasing."""
    floating("linalg.svd", A)
    at_least_matrix("linalg.svd", A)
    return jnp.linalg.svd(A, compute_uv=False)


# What counts as zero


def _check_cut(name: str, shown: str, A: Any, atol: Any, rtol: Any) -> None:
    """What matrix_rank and pinv ask of their matrix and of their tolerances."""
    for which, value in (("atol", atol), ("rtol", rtol)):
        if value is not None and jnp.iscomplexobj(value):
            raise RuntimeError(
                f"torch.linalg.{name}: {which} tensor of complex type is not supported. Got "
                f"{dtypes.from_numpy(value.dtype)}"
            )
    floating(shown, A)
    at_least_matrix(shown, A)


def _limit(A: Array, values: Array, atol: Any, rtol: Any) -> Array:
    """max(atol, rtol * the largest), with rtol = max(m, n) * eps if no tolerance is given."""
    if rtol is None:
        rtol = max(A.shape[-2:]) * float(jnp.finfo(A.dtype).eps)
        rtol = rtol if atol is None else jnp.where(jnp.asarray(atol) > 0, 0.0, rtol)
    atol, rtol = (
        jnp.asarray(0.0 if t is None else t).astype(values.dtype)[..., None] for t in (atol, rtol)
    )
    largest = jnp.max(values, -1, keepdims=True, initial=0)
    return jax.lax.stop_gradient(jnp.maximum(atol, rtol * largest))


@op(differentiable=False, name="matrix_rank")
def _matrix_rank(A: Array, atol: Array | None, rtol: Array | None, hermitian: bool) -> Array:
    _check_cut("matrix_rank", "torch.linalg.matrix_rank", A, atol, rtol)
    if hermitian:
        square("linalg.eigh", A)
        values = jnp.abs(jnp.linalg.eigvalsh(mirrored(A, False), symmetrize_input=False))
    else:
        values = jnp.linalg.svd(A, compute_uv=False)
    return jnp.sum(values > _limit(A, values, atol, rtol), -1, dtype=dtypes.index_dtype())


@numpy_names
def matrix_rank(
    input: Any, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """How many singular values exceed max(atol, rtol * the largest).

    `atol` and `rtol` are numbers or tensors that broadcast with the batch; without them rtol is
    max(m, n) times the type's epsilon. `tol` is an `atol` with an rtol of 0. With `hermitian` only
    the lower triangle is read.
    """
    if tol is not None:
        atol, rtol = tol, 0.0
    return _matrix_rank(input, atol, rtol, hermitian)


@jax.custom_jvp
def _pseudoinverse(a: Array, atol: Any, rtol: Any) -> Array:
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    kept = s > _limit(a, s, atol, rtol)
    inverses = jnp.where(kept, 1 / jnp.where(kept, s, 1), 0).astype(a.dtype)
    return (conjugate_transpose(vh) * inverses[..., None, :]) @ conjugate_transpose(u)


@_pseudoinverse.defjvp
def _pseudoinverse_jvp(primals: Any, tangents: Any) -> tuple[Array, Array]:
    """Golub and Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares
    problems whose variables separate" (https://doi.org/10.1137/0710036), equation 4.12."""
    a, d = primals[0], tangents[0]
    p = _pseudoinverse(*primals)
    dh, ph = conjugate_transpose(d), conjugate_transpose(p)
    beyond = p @ ph @ (dh - dh @ a @ p) + (dh - p @ a @ dh) @ ph @ p
    return p, beyond - p @ d @ p


@op(saves="both", name="pinv")
def _pinv(A: Array, atol: Array | None, rtol: Array | None, hermitian: bool) -> Array:
    _check_cut("pinv", "linalg.pinv", A, atol, rtol)
    if hermitian:
        square("linalg.eigh", A)
        A = A + jax.lax.stop_gradient(mirrored(A, False) - A)
    return _pseudoinverse(A, atol, rtol)


@numpy_names
def pinv(
    input: Any, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None
) -> Any:
    """The pseudoinverse (..., n, m) of matrices (..., m, n).

    Singular values up to max(atol, rtol * the largest) count as 0. `atol` and `rtol` are numbers or
    tensors that broadcast with the batch; without them rtol is max(m, n) times the type's epsilon.
    `rcond` is another name of `rtol`. With `hermitian` only the lower triangle is read.
    """
    return _pinv(input, atol, rtol if rcond is None else rcond, hermitian)


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """The pseudoinverse; singular values below rcond times the largest count as 0."""
    return pinv(input, rcond)


# Least squares

_DRIVERS = ("gels", "gelsy", "gelsd", "gelss")


def _check_lstsq(A: Array, B: Array, driver: str | None) -> None:
    at_least_matrix("torch.linalg.lstsq", A)
    if B.ndim < 1:
        raise RuntimeError("torch.linalg.lstsq: other must have at least 1 dimension.")
    if A.dtype != B.dtype:
        raise RuntimeError(
            "torch.linalg.lstsq: Expected input and other to have the same dtype, but got input's "
            f"dtype {dtypes.from_numpy(A.dtype)} and other's dtype {dtypes.from_numpy(B.dtype)}"
        )
    floating("torch.linalg.lstsq", A)
    vectors = right_side(A, B)[1]
    if A.shape[-2] != B.shape[-1 if vectors else -2]:
        raise RuntimeError(
            f"torch.linalg.lstsq: input.size(-2) should match other.size({-1 if vectors else -2}), "
            f"got shapes {tuple(A.shape)} and {tuple(B.shape)}"
        )
    if driver not in (None, *_DRIVERS):
        raise RuntimeError(
            "torch.linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), "
            f"got {driver}"
        )


@op(saves="both", name="lstsq")
def _lstsq(A: Array, B: Array, rcond: float | None, driver: str | None) -> tuple[Array, Array]:
    _check_lstsq(A, B, driver)
    b, vectors = right_side(A, B)
    x = _pseudoinverse(A, None, rcond) @ b
    gaps = jnp.abs(A @ x - b)
    residuals = jnp.zeros((0,), gaps.dtype)
    if A.shape[-2] > A.shape[-1] and driver in ("gels", "gelsd", "gelss"):
        residuals = jnp.sum(gaps * gaps, -2)
        if driver != "gels":
            s = jnp.linalg.svd(jax.lax.stop_gradient(A), compute_uv=False)
            full = jnp.all(s > _limit(A, s, None, rcond))
            residuals = jnp.where(full, residuals, jnp.nan)
    return (x[..., 0] if vectors else x), residuals


@op(differentiable=False)
def _lstsq_facts(A: Array, rcond: float | None, driver: str | None) -> tuple[Array, Array]:
    """The rank and the singular values of A, each empty where the driver does not compute it."""
    values = jnp.linalg.svd(A, compute_uv=False)
    none = jnp.zeros((0,), values.dtype)
    if driver == "gels":
        return none.astype(dtypes.index_dtype()), none
    rank = jnp.sum(values > _limit(A, values, None, rcond), -1, dtype=dtypes.index_dtype())
    return rank, (values if driver in ("gelsd", "gelss") else none)


def lstsq(
    input: Any, b: Any, rcond: float | None = None, *, driver: str | None = None
) -> tuple[Any, Any, Any, Any]:
    """X with the smallest |input @ X - b|, of several the smallest: (solution, residuals, rank,
    singular_values).

    Always computed from singular values. `driver` decides only what comes with the solution:
    "gelsy" (the default, on accelerators too) the rank; "gels" the squared residuals if m > n;
    "gelsd" and "gelss" all three. The rest is empty. Departs from PyTorch where a matrix with m > n
    has not full rank: the residuals of "gelsd" and "gelss" are NaN, not empty, since a shape must
    not depend on values.
    """
    solution, residuals = _lstsq(input, b, rcond, driver)
    rank, values = _lstsq_facts(input, rcond, driver)
    return return_types.linalg_lstsq(solution, residuals, rank, values)


# The condition number


@op(saves="both", name="cond")
def cond(input: Array, p: Any = None) -> Array:
    """The condition number: the norm of `input` times that of its inverse, infinite if it has none.

    Without `p` (or p = 2, -2) the ratio of the extreme singular values. 0 for empty matrices.
    """
    floating("linalg.cond", input)
    at_least_matrix("linalg.cond", input)
    if 0 in input.shape[-2:]:
        return jnp.zeros(input.shape[:-2], input.real.dtype)
    if p is None or p in (2, -2):
        values = jnp.linalg.svd(input, compute_uv=False)
        most, least = values[..., 0], values[..., -1]
        return least / most if p == -2 else most / least
    square("linalg.cond", input)
    product = matrix_norm(input, p) * matrix_norm(jnp.linalg.inv(input), p)
    singular = jnp.isnan(product) & jnp.all(jnp.isfinite(input), (-2, -1))
    return jnp.where(singular, jnp.inf, product)


# Eigenvalues


@op(saves="output")
def eigh(input: Array, UPLO: str = "L") -> tuple[Array, Array]:
    """Eigenvalues (increasing) and eigenvectors (columns) of symmetric matrices.

    Only the triangle named by UPLO, "L" or "U", is read.
    """
    square("linalg.eigh", input)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    values, vectors = jnp.linalg.eigh(mirrored(input, UPLO.upper() == "U"), symmetrize_input=False)
    return return_types.linalg_eigh(values, vectors)


@op(saves="both")
def eigvalsh(input: Array, UPLO: str = "L") -> Array:
    """The eigenvalues of symmetric matrices, increasing; one triangle is read."""
    return eigh(input, UPLO)[0]


@op(saves="output")
def eig(input: Array) -> tuple[Array, Array]:
    """Complex eigenvalues and eigenvectors (columns) of square matrices.

    The eigenvectors have norm 1 and a real largest component. Their gradient holds for distinct
    eigenvalues. Departs from PyTorch where a loss depends on the phase of the eigenvectors:
    PyTorch raises, here the gradient is that of this choice of phase. On CPUs and GPUs.
    """
    square("linalg.eig", input)
    if not input.size:  # of which JAX has no derivative
        empty = input + 0j
        return return_types.linalg_eig(jnp.sum(empty, -1), empty)
    values, vectors = jax.lax.linalg.eig(
        input, compute_left_eigenvectors=False, enable_eigvec_derivs=True
    )
    return return_types.linalg_eig(values, vectors)


@op(saves="both")
def eigvals(input: Array) -> Array:
    """The complex eigenvalues of square matrices, on CPUs and GPUs."""
    square("linalg.eigvals", input)
    return jnp.linalg.eigvals(input)
