"""LU and LDL factorizations and their solutions."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops import return_types
from jtoolbox.ops.failures import raises_on_request
from jtoolbox.ops.matrices import at_least_matrix, conjugate_transpose, square
from jtoolbox.ops.products import same_dtype

__all__ = ["lu", "lu_solve", "lu_unpack"]


def _singular(packed: Array) -> Array:
    """The number (from 1) of the first zero pivot, or 0."""
    zero = jnp.diagonal(packed, axis1=-2, axis2=-1) == 0
    if not zero.shape[-1]:
        return jnp.zeros(zero.shape[:-1], jnp.int32)
    return jnp.where(jnp.any(zero, -1), jnp.argmax(zero, -1) + 1, 0).astype(jnp.int32)


def _check_lu(name: str, A: Array, pivot: bool) -> None:
    at_least_matrix(name, A)
    if not pivot:
        raise RuntimeError(f"{name}: LU without pivoting is not implemented: use pivot=True")


@raises_on_request("U has a zero on its diagonal, by which lu_solve would divide.", RuntimeError)
@op(saves="both", refuses=("bool", "int", "half"))
def lu_factor_ex(
    A: Array, *, pivot: bool = True, check_errors: bool = False
) -> tuple[Array, Array, Array]:
    """(LU, pivots, info): both factors in one matrix, the rows swapped (from 1), and the number of
    the first zero pivot, or 0; RuntimeError for one if `check_errors`."""
    _check_lu("linalg.lu_factor", A, pivot)
    packed, pivots, _ = jax.lax.linalg.lu(A)
    return return_types.linalg_lu_factor_ex(packed, pivots + 1, _singular(packed))


@numpy_names
def lu_factor(A: Any, *, pivot: bool = True) -> tuple[Any, Any]:
    """(LU, pivots) of `lu_factor_ex`."""
    packed, pivots, _ = lu_factor_ex(A, pivot=pivot)
    return return_types.linalg_lu_factor(packed, pivots)


def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> tuple[Any, ...]:
    """`torch.lu`: (LU, pivots), and with `get_infos` the info of `linalg.lu_factor_ex`."""
    packed, pivots, info = lu_factor_ex(A, pivot=pivot)
    return (packed, pivots, info) if get_infos else (packed, pivots)


def _triangles(packed: Array) -> tuple[Array, Array]:
    """The unit lower triangular (..., m, k) and the upper triangular (..., k, n) factor."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    lower = jnp.tril(packed[..., :, :k], -1) + jnp.eye(m, k, dtype=packed.dtype)
    return lower, jnp.triu(packed[..., :k, :])


@op(saves="both", name="lu", refuses=("bool", "int", "half"))
def _lu_with_order(A: Array, pivot: bool) -> tuple[Array, Array, Array]:
    _check_lu("linalg.lu", A, pivot)
    packed, _, order = jax.lax.linalg.lu(A)
    return (order, *_triangles(packed))


@op(differentiable=False)
def _permutation(order: Array, like: Array) -> Array:
    """The matrix P (..., m, m) for which P @ x puts row i of x at row order[i]."""
    rows = jnp.arange(order.shape[-1], dtype=order.dtype)
    return (rows[:, None] == order[..., None, :]).astype(like.dtype)


@numpy_names
def linalg_lu(A: Any, *, pivot: bool = True) -> tuple[Any, Any, Any]:
    """(P, L, U): a permutation, a lower and an upper triangular matrix with P @ L @ U = A."""
    order, lower, upper = _lu_with_order(A, pivot)
    return return_types.linalg_lu(_permutation(order, A), lower, upper)


def _order(pivots: Array, rows: int) -> Array:
    """The permutation of the rows that the swaps (from 1) make."""

    def swaps(pivots: Array) -> Array:
        def swap(i: Array, order: Array) -> Array:
            j = pivots[i] - 1
            return order.at[i].set(order[j]).at[j].set(order[i])

        start = jnp.arange(rows, dtype=pivots.dtype)
        return jax.lax.fori_loop(0, pivots.shape[0], swap, start) if rows else start

    return jnp.vectorize(swaps, signature="(k)->(m)")(pivots)


@op(saves="both", name="lu_unpack")
def _unpacked(LU_data: Array) -> tuple[Array, Array]:
    at_least_matrix("lu_unpack", LU_data)
    return _triangles(LU_data)


@op(differentiable=False)
def _swapped_rows(LU_data: Array, LU_pivots: Array) -> Array:
    at_least_matrix("lu_unpack", LU_data)
    if LU_pivots.dtype != np.int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            f"dtype, got {dtypes.from_numpy(LU_pivots.dtype)}: give the pivots of lu_factor"
        )
    return _permutation(_order(LU_pivots, LU_data.shape[-2]), LU_data)


@op(differentiable=False)
def _nothing(like: Array) -> Array:
    return jnp.zeros((0,), like.dtype)


@numpy_names
def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Any, Any, Any]:
    """(P, L, U) with P @ L @ U = A, from the result of `lu_factor`; what is not asked is empty."""
    none = _nothing(LU_data)
    permutation = _swapped_rows(LU_data, LU_pivots) if unpack_pivots else none
    lower, upper = _unpacked(LU_data) if unpack_data else (none, none)
    return return_types.lu_unpack(permutation, lower, upper)


@op(saves="both", name="lu_solve", refuses=("half",))
def linalg_lu_solve(
    LU: Array, pivots: Array, B: Array, *, left: bool = True, adjoint: bool = False
) -> Array:
    """X with A @ X = B (X @ A = B if not `left`, A^H for A if `adjoint`), from A's `lu_factor`."""
    same_dtype(LU, B)
    if LU.shape[-1] != LU.shape[-2] or LU.shape[-1] != B.shape[-2 if left else -1]:
        raise RuntimeError(
            f"linalg.lu_solve: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({LU.shape[-2]}x{LU.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
    if not left:  # X A = B is A^H X^H = B^H
        turned = conjugate_transpose(B)
        solved = linalg_lu_solve(LU, pivots, turned, adjoint=not adjoint)
        return conjugate_transpose(solved)
    batch = jnp.broadcast_shapes(LU.shape[:-2], B.shape[:-2])
    packed = jnp.broadcast_to(LU, (*batch, *LU.shape[-2:]))
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    order = jnp.broadcast_to(_order(pivots, LU.shape[-1]), (*batch, LU.shape[-1]))
    triangular = jax.lax.linalg.triangular_solve
    if not adjoint:
        b = jnp.take_along_axis(b, order[..., None], -2)
        y = triangular(packed, b, left_side=True, lower=True, unit_diagonal=True)
        return triangular(packed, y, left_side=True, lower=False)
    settings: dict[str, Any] = {"left_side": True, "transpose_a": True, "conjugate_a": True}
    y = triangular(packed, b, lower=False, **settings)
    x = triangular(packed, y, lower=True, unit_diagonal=True, **settings)
    return jnp.take_along_axis(x, jnp.argsort(order, -1)[..., None], -2)


@numpy_names
def lu_solve(b: Any, LU_data: Any, LU_pivots: Any) -> Any:
    """`torch.lu_solve`: X with A @ X = b, from A's `lu_factor`."""
    return linalg_lu_solve(LU_data, LU_pivots, b)


# LDL: of symmetric matrices, without pivoting


def _ldl(a: Array, hermitian: bool) -> Array:
    """L below the diagonal and D on it, of the symmetric matrix in the lower half."""

    def column(k: Array, a: Array) -> Array:
        below = jnp.arange(a.shape[-1]) > k
        factor = jnp.where(below, a[:, k] / a[k, k], 0)
        row = jnp.where(below, jnp.conj(a[:, k]) if hermitian else a[:, k], 0)
        update = factor[:, None] * row[None, :]
        return (a - update).at[:, k].set(jnp.where(below, factor, a[:, k]))

    return jax.lax.fori_loop(0, a.shape[-1], column, a) if a.shape[-1] else a


@raises_on_request("D has a zero on its diagonal, by which ldl_solve would divide.", RuntimeError)
@op(saves="both", differentiable=False, name="ldl_factor_ex", refuses=("half",))
def ldl_factor_ex(
    input: Array, *, hermitian: bool = False, check_errors: bool = False
) -> tuple[Array, Array, Array]:
    """(LD, pivots, info): L below the diagonal of LD and D on it, with L @ D @ L^T = input
    (L^H for L^T if `hermitian`).

    Departs from PyTorch in never swapping rows (pivots are 1, 2, ...): of a matrix with a zero on
    the way the factors are infinite or NaN and info is not 0 (RuntimeError if `check_errors`).
    `ldl_solve` takes the result.
    """
    square("linalg.ldl_factor_ex", input)
    n = input.shape[-1]
    factor = functools.partial(_ldl, hermitian=hermitian)
    packed = jnp.tril(jnp.vectorize(factor, signature="(n,n)->(n,n)")(jnp.tril(input)))
    bad = ~jnp.all(jnp.isfinite(packed), (-2, -1))
    info = jnp.where(bad, 1, _singular(packed)).astype(jnp.int32)
    pivots = jnp.broadcast_to(jnp.arange(1, n + 1, dtype=jnp.int32), input.shape[:-1])
    return return_types.linalg_ldl_factor_ex(packed, pivots, info)


@numpy_names
def ldl_factor(input: Any, *, hermitian: bool = False) -> tuple[Any, Any]:
    """(LD, pivots) of `ldl_factor_ex`."""
    packed, pivots, _ = ldl_factor_ex(input, hermitian=hermitian)
    return return_types.linalg_ldl_factor(packed, pivots)


def _check_pivots(LD: Any, pivots: Any, B: Any, hermitian: bool) -> None:
    if isinstance(pivots, np.ndarray) and (pivots != np.arange(1, pivots.shape[-1] + 1)).any():
        raise RuntimeError(
            "ldl_solve: these pivots swap rows, which jtoolbox's ldl_factor never does: factor A "
            "with it, or use linalg.solve"
        )


@op(saves="both", name="ldl_solve", check=_check_pivots, refuses=("half",))
def ldl_solve(LD: Array, pivots: Array, B: Array, *, hermitian: bool = False) -> Array:
    """X with A @ X = B, from A's `ldl_factor`. RuntimeError if `pivots` swap rows."""
    square("linalg.ldl_solve", LD)
    same_dtype(LD, B)
    if B.ndim < 2 or B.shape[-2] != LD.shape[-1]:
        raise RuntimeError(
            f"linalg.ldl_solve: Expected B to have {LD.shape[-1]} rows, as A has, got shape "
            f"{tuple(B.shape)}"
        )
    batch = jnp.broadcast_shapes(LD.shape[:-2], B.shape[:-2])
    packed = jnp.broadcast_to(LD, (*batch, *LD.shape[-2:]))
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    solve = jax.lax.linalg.triangular_solve
    y = solve(packed, b, left_side=True, lower=True, unit_diagonal=True)
    y = y / jnp.diagonal(packed, axis1=-2, axis2=-1)[..., None]
    return solve(packed, y, left_side=True, lower=True, unit_diagonal=True, transpose_a=True,
                 conjugate_a=hermitian)  # fmt: skip
