"""Weights as functions of other values: by direction and length, by largest singular value,
orthogonal ones."""

from __future__ import annotations

import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import clamp_min
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.householder import householder_product
from jtoolbox.ops.linalg import matrix_exp
from jtoolbox.ops.norms import vector_norm_of

__all__ = [
    "norm_except_dim",
    "orthogonal_weight",
    "power_iteration",
    "spectral_norm_weight",
    "weight_matrix",
    "weight_norm_weight",
]


@op
def norm_except_dim(v: Array, pow: int = 2, dim: int = 0) -> Array:
    """The norm of each slice of v along `dim`, kept as 1s elsewhere; of all of v for dim -1."""
    if dim == -1:
        return vector_norm_of(v, pow, tuple(range(v.ndim)), False)
    axis = canonical_dim(dim, v.ndim)
    return vector_norm_of(v, pow, tuple(d for d in range(v.ndim) if d != axis), True)


@op
def weight_norm_weight(v: Array, g: Array, dim: int = 0) -> Array:
    """g v / |v|, with a norm for each slice along `dim`, or one for all of v for dim -1.

    Paper: Weight Normalization (https://arxiv.org/abs/1602.07868).
    """
    return v * (g / norm_except_dim(v, 2, dim))


def weight_matrix(weight: Array, dim: int) -> Array:
    """The weight with axis `dim` first and the other axes flattened into the second."""
    moved = jnp.moveaxis(weight, dim, 0)
    return moved.reshape(moved.shape[0], -1)


def _unit(x: Array, eps: float) -> Array:
    return x / clamp_min(jnp.sqrt(jnp.sum(x * x)), eps)


@op
def power_iteration(
    weight: Array,
    u: Array,
    v: Array,
    steps: int,
    dim: int = 0,
    eps: float = 1e-12,
    u_first: bool = False,
) -> tuple[Array, Array]:
    """Left and right singular vectors (u, v) nearer to those of the largest singular value.

    Each step is v = W^T u / |W^T u|, u = W v / |W v|, where W is the weight as a matrix with the
    axis `dim` first; in the other order with `u_first`.
    """
    w = weight_matrix(weight, dim)
    for _ in range(steps):
        if u_first:
            u = _unit(w @ v, eps)
        v = _unit(w.T @ u, eps)
        if not u_first:
            u = _unit(w @ v, eps)
    return u, v


@op
def spectral_norm_weight(weight: Array, u: Array, v: Array, dim: int = 0) -> Array:
    """The weight divided by u . W v, about its largest singular value.

    Paper: Spectral Normalization for Generative Adversarial Networks
    (https://arxiv.org/abs/1802.05957).
    """
    return weight / (u @ (weight_matrix(weight, dim) @ v))


def _from_skew(x: Array, kind: str) -> Array:
    """The matrix exponential, or the Cayley map, of x's lower triangle minus its transpose."""
    n, k = x.shape[-2:]
    lower = jnp.tril(x)
    if n != k:
        lower = jnp.pad(lower, [(0, 0)] * (x.ndim - 1) + [(0, n - k)])
    skew = lower - jnp.conj(jnp.swapaxes(lower, -1, -2))
    if kind == "matrix_exp":
        return matrix_exp(skew)[..., :k]
    identity = jnp.eye(n, dtype=x.dtype)
    return jnp.linalg.solve(identity - 0.5 * skew, identity + 0.5 * skew)[..., :k]


def _from_reflections(x: Array) -> Array:
    """The product of the Householder reflections below x's diagonal, signed by the diagonal."""
    lower = jnp.tril(x, -1)
    tau = 2.0 / (1.0 + jnp.sum(lower * jnp.conj(lower), -2))
    signs = jnp.trunc(jnp.real(jnp.diagonal(x, axis1=-2, axis2=-1)))
    return householder_product(lower, tau.astype(x.dtype)) * signs[..., None, :]


@op
def orthogonal_weight(x: Array, base: Array | None, kind: str) -> Array:
    """An orthogonal (or unitary) matrix of the shape of x (..., n, k), times `base` if given.

    `kind` is "matrix_exp", "cayley" or "householder". If n < k the rows are orthonormal, else the
    columns. Paper: Trivializations for Gradient-Based Optimization on Manifolds
    (https://arxiv.org/abs/1909.09501).
    """
    wide = x.shape[-2] < x.shape[-1]
    x = jnp.swapaxes(x, -1, -2) if wide else x
    q = _from_reflections(x) if kind == "householder" else _from_skew(x, kind)
    q = q if base is None else base @ q
    return jnp.swapaxes(q, -1, -2) if wide else q
