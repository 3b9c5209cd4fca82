"""Matrices: determinants, inverses, solutions of equations, powers.

Where PyTorch raises for a singular or indefinite matrix, a compiled program cannot: the result is
infinite or NaN, or comes with the `info` of the `_ex` functions.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.ops import return_types
from jtoolbox.ops.elementwise import is_complex
from jtoolbox.ops.failures import raises_on_request
from jtoolbox.ops.matrices import floating, square
from jtoolbox.ops.positive_definite import finite_info
from jtoolbox.ops.products import same_dtype

__all__ = [
    *("det", "inverse", "logdet", "matrix_exp", "matrix_power", "slogdet", "triangular_solve"),
]


@op(saves="both", refuses=("half",))
def det(A: Array) -> Array:
    """The determinant of square matrices (..., n, n); 1 if n is 0."""
    square("linalg.det", A)
    return jnp.linalg.det(A) if A.shape[-1] else jnp.ones(A.shape[:-2], A.dtype)


@op(saves="both", refuses=("half",))
def logdet(input: Array) -> Array:
    """The logarithm of the determinant; NaN if that is negative, complex if `input` is."""
    square("logdet", input)
    sign, logabsdet = jnp.linalg.slogdet(input)
    if is_complex(input):
        return logabsdet + jnp.log(sign)
    return jnp.where(sign == -1, jnp.nan, logabsdet)


@op(saves="both", name="slogdet", refuses=("half",))
def linalg_slogdet(A: Array) -> tuple[Array, Array]:
    """The sign and the logarithm of the size of the determinant: (sign, logabsdet)."""
    square("linalg.slogdet", A)
    return return_types.linalg_slogdet(*jnp.linalg.slogdet(A))


@op(saves="both", refuses=("half",))
def slogdet(input: Array) -> tuple[Array, Array]:
    """The sign and the logarithm of the size of the determinant: (sign, logabsdet)."""
    square("linalg.slogdet", input)
    return return_types.slogdet(*jnp.linalg.slogdet(input))


@op(saves="output", refuses=("half",))
def inv(A: Array) -> Array:
    """The inverse of square matrices. Of a singular one it is infinite or NaN."""
    square("linalg.inv", A)
    return jnp.linalg.inv(A)


@raises_on_request("the matrix is singular and has no inverse.")
@op(saves="output", refuses=("half",))
def inv_ex(A: Array, *, check_errors: bool = False) -> tuple[Array, Array]:
    """(inverse, info), where info is not 0 for a singular matrix; LinAlgError if `check_errors`."""
    square("linalg.inv_ex", A)
    inverse = jnp.linalg.inv(A)
    return return_types.linalg_inv_ex(inverse, finite_info(inverse))


def right_side(a: Array, b: Array) -> tuple[Array, bool]:
    """The right side as matrices, and whether it was given as vectors."""
    vectors = b.ndim == 1 or (a.ndim - 1 == b.ndim and b.shape == a.shape[:-1])
    return (b[..., None] if vectors else b), vectors


@op(saves="both", refuses=("half",))
def solve(A: Array, B: Array, *, left: bool = True) -> Array:
    """X with A @ X = B, or X @ A = B if not `left`; B holds vectors or matrices."""
    square("linalg.solve", A)
    same_dtype(A, B)
    b, vectors = right_side(A, B)
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


@raises_on_request("The solver failed because the input matrix is singular.")
@op(saves="both", name="solve_ex")
def solve_ex(
    A: Array, B: Array, *, left: bool = True, check_errors: bool = False
) -> tuple[Array, Array]:
    """(X, info) of `solve`, where info is not 0 for a singular matrix; LinAlgError if
    `check_errors`."""
    x = solve(A, B, left=left)
    zero = jnp.linalg.det(jax.lax.stop_gradient(A)) == 0
    return return_types.linalg_solve_ex(x, zero.astype(jnp.int32))


@op(saves="output", refuses=("half",))
def tensorinv(input: Array, ind: int = 2) -> Array:
    """The inverse of `input` as a map from its dimensions after `ind` to those before."""
    if ind <= 0:
        raise RuntimeError("Expected a strictly positive integer for 'ind'")
    rows, columns = input.shape[:ind], input.shape[ind:]
    if math.prod(rows) != math.prod(columns):
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {math.prod(columns)} != {math.prod(rows)}"
        )
    n = math.prod(rows)
    return jnp.linalg.inv(input.reshape(n, n)).reshape(*columns, *rows)


@op(saves="both")
def tensorsolve(input: Array, other: Array, dims: Any = None) -> Array:
    """X with tensordot(input, X, X.ndim) = other; `dims` of input are moved to its end first."""
    floating("linalg.tensorsolve", input)
    same_dtype(input, other)
    if dims is not None:
        input = jnp.moveaxis(input, dims, range(input.ndim - len(dims), input.ndim))
    shape = input.shape[other.ndim :]
    if math.prod(shape) != other.size:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {math.prod(shape)} != {other.size}"
        )
    return jnp.linalg.solve(input.reshape(other.size, other.size), other.reshape(-1)).reshape(shape)


@op(saves="both", refuses=("half",))
def triangular_solve(
    b: Array, A: Array, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Array, Array]:
    """(X, A) with A @ X = b (A^T @ X = b if `transpose`), reading only one triangle of A."""
    square("triangular_solve", A)
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


@op(saves="both", refuses=("bool", "int", "half"))
def solve_triangular(
    input: Array, B: Array, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    """X with input @ X = B (X @ input = B if not `left`), reading only one triangle."""
    square("linalg.solve_triangular", input)
    same_dtype(input, B)
    batch = jnp.broadcast_shapes(input.shape[:-2], B.shape[:-2])
    a = jnp.broadcast_to(input, (*batch, *input.shape[-2:]))
    b = jnp.broadcast_to(B, (*batch, *B.shape[-2:]))
    return jax.lax.linalg.triangular_solve(
        a, b, left_side=left, lower=not upper, unit_diagonal=unitriangular
    )


@op(saves="both", name="matrix_power")
def matrix_power(input: Array, n: int) -> Array:
    """The matrix multiplied n times; a negative n inverts it first."""
    if input.ndim < 2 or input.shape[-1] != input.shape[-2]:
        square("linalg.matrix_power", input)
    return jnp.linalg.matrix_power(input, n)


@op(saves="both", wide=True)
def matrix_exp(input: Array) -> Array:
    """The exponential of square matrices."""
    square("linalg.matrix_exp", input)
    return jnp.vectorize(jax.scipy.linalg.expm, signature="(n,n)->(n,n)")(input)


@op(saves="both")
def vecdot(x: Array, y: Array, *, dim: int = -1) -> Array:
    """Dot products along a dimension, the first operand conjugated."""
    floating("linalg.vecdot", x)
    same_dtype(x, y)
    return jnp.sum(jnp.conj(x) * y if is_complex(x) else x * y, dim)


inverse = inv
