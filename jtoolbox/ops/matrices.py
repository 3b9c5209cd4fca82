"""Diagonals, triangles and blocks of matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import is_integer
from jtoolbox.ops.reduction import accumulated
from jtoolbox.ops.shape import diagonal

__all__ = [
    *("block_diag", "diag", "diag_embed", "diagflat", "trace", "tril", "triu"),
]


def at_least_matrix(name: str, x: Array) -> None:
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: input tensor must have at least 2 dimensions, got shape {tuple(x.shape)}"
        )


def floating(name: str, x: Array) -> None:
    """Raises RuntimeError for integers, of which nothing here has a use."""
    if is_integer(x):
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. Got "
            f"{dtypes.from_numpy(x.dtype)}. Use .float()."
        )


def square(name: str, x: Array) -> None:
    """Raises RuntimeError unless x holds square matrices of floats."""
    floating(name, x)
    if x.ndim < 2:
        raise RuntimeError(
            f"{name}: The input tensor A must have at least 2 dimensions, got {x.ndim}"
        )
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: A must be batches of square matrices, but they are {x.shape[-2]} by "
            f"{x.shape[-1]} matrices"
        )


def conjugate_transpose(x: Array) -> Array:
    """The conjugate transposes of matrices."""
    return jnp.conj(jnp.matrix_transpose(x))


@op(saves="none")
def tril(input: Array, diagonal: int = 0) -> Array:
    """The matrix with zeros above a diagonal."""
    at_least_matrix("tril", input)
    return jnp.tril(input, diagonal)


@op(saves="none")
def triu(input: Array, diagonal: int = 0) -> Array:
    """The matrix with zeros below a diagonal."""
    at_least_matrix("triu", input)
    return jnp.triu(input, diagonal)


@op(saves="none", refuses=("bool",))
def trace(input: Array) -> Array:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return jnp.trace(accumulated(input, None))


@op(saves="none")
def diag(input: Array, diagonal: int = 0) -> Array:
    """A vector as the diagonal of a square matrix, or the diagonal of a matrix."""
    if input.ndim not in (1, 2):
        raise RuntimeError(f"diag(): Supports 1D or 2D tensors. Got {input.ndim}D")
    return jnp.diag(input, diagonal)


@op(saves="none")
def diagflat(input: Array, offset: int = 0) -> Array:
    """All elements as the diagonal of a square matrix."""
    return jnp.diag(input.reshape(-1), offset)


@op(saves="none")
def diag_embed(input: Array, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Array:
    """The last dimension as a diagonal of matrices in dimensions dim1 and dim2."""
    size = input.shape[-1] + abs(offset)
    axes = [canonical_dim(d, input.ndim + 1) for d in (dim1, dim2)]
    if axes[0] == axes[1]:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    if axes[0] > axes[1]:
        axes, offset = axes[::-1], -offset
    before, after = max(-offset, 0), max(offset, 0)
    line = jnp.pad(input, [(0, 0)] * (input.ndim - 1) + [(before, after)])
    row = jax.lax.broadcasted_iota(jnp.int32, (size, size), 0)
    column = jax.lax.broadcasted_iota(jnp.int32, (size, size), 1)
    matrices = jnp.where(column == row + offset, line[..., None], jnp.zeros((), input.dtype))
    return jnp.moveaxis(matrices, (-2, -1), axes)


def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonal of matrices in the last two dimensions, a view."""
    return diagonal(A, offset, dim1, dim2)


@op(saves="none")
def _block_diag(tensors: Sequence[Array]) -> Array:
    common = dtypes.result_type(*tensors)
    for i, x in enumerate(tensors):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has "
                f"{x.ndim} dimensions"
            )
    return jax.scipy.linalg.block_diag(*[jnp.atleast_2d(x.astype(common)) for x in tensors])


def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of one, zeros elsewhere; a vector counts as a row."""
    return _block_diag(list(tensors))
