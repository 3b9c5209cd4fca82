"""QR factorizations, and products of the Householder reflections that make them."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.ops import return_types
from jtoolbox.ops.matrices import at_least_matrix, conjugate_transpose, floating

__all__ = ["geqrf", "orgqr", "ormqr", "qr"]


def _qr(x: Array, mode: str) -> tuple[Array, Array]:
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), "
            "'r', or 'complete'"
        )
    floating("linalg.qr", x)
    at_least_matrix("linalg.qr", x)
    if mode == "r":
        return jnp.zeros((0,), x.dtype), jnp.linalg.qr(x, mode="r")
    q, r = jnp.linalg.qr(x, mode=mode)
    return q, r


@op(saves="output", name="qr", refuses=("half",))
def linalg_qr(A: Array, mode: str = "reduced") -> tuple[Array, Array]:
    """Q with orthonormal columns and upper triangular R with Q @ R = A."""
    return return_types.linalg_qr(*_qr(A, mode))


@op(saves="output", refuses=("half",))
def qr(input: Array, some: bool = True) -> tuple[Array, Array]:
    """Q with orthonormal columns and upper triangular R with Q @ R = input."""
    return return_types.qr(*_qr(input, "reduced" if some else "complete"))


@op(saves="both", differentiable=False, refuses=("half",))
def geqrf(input: Array) -> tuple[Array, Array]:
    """(a, tau): R in the upper triangle of a, below it the reflections whose product is Q."""
    at_least_matrix("torch.geqrf", input)
    h, tau = jnp.linalg.qr(input, mode="raw")
    return return_types.geqrf(jnp.matrix_transpose(h), tau)


@op(saves="both", refuses=("bool", "int", "half"))
def householder_product(input: Array, tau: Array) -> Array:
    """The first columns of the product of the reflections that `geqrf` returns."""
    at_least_matrix("torch.linalg.householder_product", input)
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(
            "torch.linalg.householder_product: input.shape[-2] must be greater than or equal to "
            f"input.shape[-1], got {m} and {n}"
        )
    eye = jnp.broadcast_to(jnp.eye(m, n, dtype=input.dtype), input.shape)
    return _reflected(input, tau, eye, False)


def _reflected(A: Array, tau: Array, x: Array, adjoint: bool) -> Array:
    """The product of the reflections I - tau v v^H (its adjoint) times x."""
    m = A.shape[-2]
    order = range(tau.shape[-1])
    for i in order if adjoint else reversed(order):
        v = jnp.where(jnp.arange(m) > i, A[..., :, i], (jnp.arange(m) == i).astype(A.dtype))
        t = jnp.conj(tau[..., i]) if adjoint else tau[..., i]
        along = jnp.einsum("...m,...mk->...k", jnp.conj(v), x)
        x = x - t[..., None, None] * v[..., :, None] * along[..., None, :]
    return x


def orgqr(input: Any, input2: Any) -> Any:
    """`linalg.householder_product` under LAPACK's name."""
    return householder_product(input, input2)


def _check_ormqr(input: Array, tau: Array, other: Array, left: bool) -> None:
    at_least_matrix("torch.ormqr", input)
    at_least_matrix("torch.ormqr", other)
    side = -2 if left else -1
    if other.shape[side] < tau.shape[-1]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{side}] must be greater than or equal to tau.shape[-1], got "
            f"{other.shape[side]} and {tau.shape[-1]}"
        )
    if other.shape[side] != input.shape[-2]:
        raise RuntimeError(
            f"torch.ormqr: other.shape[{side}] must be equal to input.shape[-2], got "
            f"{other.shape[side]} and {input.shape[-2]}"
        )
    if tau.shape[-1] > min(input.shape[-2:]):
        raise RuntimeError(
            "torch.ormqr: tau.shape[-1] must be less than or equal to min(input.shape[-2:]), got "
            f"{tau.shape[-1]} and {min(input.shape[-2:])}"
        )


@op(saves="both", refuses=("half",))
def ormqr(
    input: Array, tau: Array, other: Array, left: bool = True, transpose: bool = False
) -> Array:
    """Q @ other (other @ Q if not `left`, Q^H for Q if `transpose`), Q from `geqrf`."""
    _check_ormqr(input, tau, other, left)
    if left:
        return _reflected(input, tau, other, transpose)
    turned = conjugate_transpose(other)
    return conjugate_transpose(_reflected(input, tau, turned, not transpose))
