"""Cholesky factorizations of positive-definite matrices, and solutions from the factor."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp

from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops import return_types
from jtoolbox.ops.failures import raises_on_request
from jtoolbox.ops.matrices import conjugate_transpose, square
from jtoolbox.ops.products import same_dtype

__all__ = ["cholesky", "cholesky_inverse", "cholesky_solve"]


def finite_info(x: Array) -> Array:
    """0 where a factorization succeeded, 1 where it has an infinity or NaN."""
    return (~jnp.all(jnp.isfinite(x), (-2, -1))).astype(jnp.int32)


def mirrored(x: Array, upper: bool) -> Array:
    """The Hermitian matrix that one triangle stands for; its gradient goes to both triangles."""
    other = conjugate_transpose(x)
    half = jnp.triu(x) + jnp.tril(other, -1) if upper else jnp.tril(x) + jnp.triu(other, 1)
    both = (x + other) / 2
    return both + jax.lax.stop_gradient((half + conjugate_transpose(half)) / 2 - both)


@op(saves="output", name="cholesky", refuses=("half",))
def linalg_cholesky(input: Array, *, upper: bool = False) -> Array:
    """Lower triangular L with L @ L^H = input (upper with U^H @ U); NaN if not positive."""
    square("linalg.cholesky", input)
    factor = jnp.linalg.cholesky(mirrored(input, upper), symmetrize_input=False)
    return conjugate_transpose(factor) if upper else factor


@numpy_names
def cholesky(input: Array, upper: bool = False) -> Array:
    """Lower triangular L with L @ L^H = input; NaN if input is not positive-definite."""
    return linalg_cholesky(input, upper=upper)


@raises_on_request("the input is not positive-definite and has no such factor.")
@op(saves="output", refuses=("half",))
def cholesky_ex(
    input: Array, *, upper: bool = False, check_errors: bool = False
) -> tuple[Array, Array]:
    """(L, info), where info is not 0 if `input` is not positive-definite; LinAlgError if
    `check_errors`."""
    factor = linalg_cholesky(input, upper=upper)
    return return_types.linalg_cholesky_ex(factor, finite_info(factor))


def _by_two_triangles(factor: Array, upper: bool, b: Array) -> Array:
    """X with L @ L^H @ X = b, or U^H @ U @ X = b if `upper`."""
    solve = functools.partial(
        jax.lax.linalg.triangular_solve, factor, left_side=True, lower=not upper, conjugate_a=True
    )
    plain = functools.partial(
        jax.lax.linalg.triangular_solve, factor, left_side=True, lower=not upper
    )
    if upper:
        return plain(solve(b, transpose_a=True))
    return solve(plain(b), transpose_a=True)


@op(saves="both", refuses=("half",))
def cholesky_solve(B: Array, L: Array, upper: bool = False) -> Array:
    """X with A @ X = B, from the Cholesky factor L of A.

    One triangle of L is read; the gradient, as PyTorch's, is that of A = L @ L^H for a full L, and
    not zero in the other triangle.
    """
    if B.ndim < 2 or L.ndim < 2:
        raise RuntimeError("cholesky_solve: B and L must have at least 2 dimensions")
    square("cholesky_solve", L)
    same_dtype(B, L)
    if B.shape[-2] != L.shape[-1]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by "
            f"{L.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    batch = jnp.broadcast_shapes(B.shape[:-2], L.shape[:-2])
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    full = jnp.broadcast_to(L, (*batch, *L.shape[-2:]))
    factor = jax.lax.stop_gradient(jnp.triu(full) if upper else jnp.tril(full))
    full = factor + (full - jax.lax.stop_gradient(full))
    left, right = (conjugate_transpose(full), full) if upper else (full, conjugate_transpose(full))
    return jax.lax.custom_linear_solve(
        lambda x: left @ (right @ x),
        b,
        lambda _, b: _by_two_triangles(factor, upper, b),
        lambda _, b: jnp.conj(_by_two_triangles(factor, upper, jnp.conj(b))),
    )


@op(saves="both")
def cholesky_inverse(L: Array, upper: bool = False) -> Array:
    """The inverse of A, from its Cholesky factor L; the gradient as in `cholesky_solve`."""
    square("cholesky_inverse", L)
    eye = jnp.broadcast_to(jnp.eye(L.shape[-1], dtype=L.dtype), L.shape)
    return cholesky_solve(eye, L, upper)
