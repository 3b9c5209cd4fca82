"""Matrix products of groups of rows, each group with its own matrix, and PyTorch's scaled ones."""

from __future__ import annotations

import enum
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import type_name, wide

__all__ = ["ScalingType", "SwizzleType", "grouped_mm", "scaled_grouped_mm", "scaled_mm"]

_TYPES = (np.float32, np.float16, jnp.bfloat16)
_SCALED = (
    "{name} multiplies float8 matrices by GPU kernels of PyTorch, which jtoolbox does not have. "
    "Multiply by the scales yourself, in float32 or bfloat16, and use {instead}."
)


def _check(a: Array, b: Array, offs: Any) -> None:
    for name, x in (("mat_a", a), ("mat_b", b)):
        if x.ndim not in (2, 3):
            raise RuntimeError(f"{name} has to be 2 or 3d, got shape {list(x.shape)}")
    if a.dtype not in _TYPES:
        raise RuntimeError(
            f"Expected mat_a to be Float32, BFloat16 or Float16 matrix, got {type_name(a)}"
        )
    if a.dtype != b.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{type_name(a)} != {type_name(b)}; convert one of them with .to()"
        )
    if (offs is None) != (a.ndim == b.ndim == 3):
        raise RuntimeError(
            "Have to provide offsets if there is a 2d matrix, or no offset if both matrices are 3d"
        )
    if offs is not None and offs.dtype != np.int32:
        raise RuntimeError(f"Offsets have to be int32, got {type_name(offs)}: call .int() on them")
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            "contraction dimension of mat_a and mat_b must match, got shapes "
            f"{list(a.shape)} and {list(b.shape)}"
        )
    _check_groups(a, b, offs)


def _check_groups(a: Array, b: Array, offs: Any) -> None:
    if offs is None:
        if a.shape[0] != b.shape[0]:
            raise RuntimeError(
                f"batched dimension has to match, got {a.shape[0]} and {b.shape[0]} matrices"
            )
        return
    stack = a if a.ndim == 3 else b
    if stack.ndim == 3 and stack.shape[0] != offs.shape[0]:
        raise RuntimeError(
            f"matrix batch sizes have to match: {stack.shape[0]} matrices, {offs.shape[0]} offsets"
        )


def _swapped(x: Array) -> Array:
    return jnp.swapaxes(x, -1, -2)


@op(name="grouped_mm")
def _grouped_mm(mat_a: Array, mat_b: Array, offs: Array | None) -> Array:
    _check(mat_a, mat_b, offs)
    a, b = wide(mat_a), wide(mat_b)
    if offs is None:
        return (a @ b).astype(mat_a.dtype)
    sizes = jnp.diff(offs, prepend=jnp.zeros(1, offs.dtype))
    if b.ndim == 3:
        y = jax.lax.ragged_dot(a, b, sizes)
    elif a.ndim == 3:
        y = _swapped(jax.lax.ragged_dot(_swapped(b), _swapped(a), sizes))
    else:
        positions = jnp.arange(b.shape[0])
        starts = offs - sizes
        member = (positions >= starts[:, None]) & (positions < offs[:, None])
        y = jnp.where(member[:, None, :], a, jnp.zeros((), a.dtype)) @ b
    return y.astype(mat_a.dtype)


def grouped_mm(
    mat_a: Array,
    mat_b: Array,
    *,
    offs: Array | None = None,
    bias: Array | None = None,
    out_dtype: Any = None,
) -> Array:
    """Products of groups: `offs[i]` (int32) is the end of group i along the divided dimension.

    Shapes: (M, K) and (G, K, N) divide the rows M, to (M, N); (G, M, K) and (K, N) the columns N,
    to (M, N); (M, K) and (K, N) the summed K, to (G, M, N); (G, M, K) and (G, K, N), without
    `offs`, give (G, M, N). What lies behind the last offset is 0. Any sizes fit; PyTorch wants rows
    of a multiple of 16 bytes. Raises RuntimeError for shapes or types that do not fit, for a `bias`
    and for another `out_dtype`, as PyTorch does.
    """
    if bias is not None:
        raise RuntimeError("Bias not supported yet: add it to the result")
    names = [str(d).rpartition(".")[2] for d in (mat_a.dtype, out_dtype or mat_a.dtype)]
    if names[0] != names[1]:
        raise RuntimeError(
            f"Grouped gemm output dtype must match `mat_a` dtype, got {out_dtype} and "
            f"{mat_a.dtype}; convert the result with .to()"
        )
    return _grouped_mm(mat_a, mat_b, offs)


class ScalingType(enum.Enum):
    """PyTorch's names for how a float8 matrix is scaled."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5


class SwizzleType(enum.Enum):
    """PyTorch's names for the order in which scales lie in memory."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1


def scaled_mm(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: there are no kernels for scaled float8 matrices."""
    raise NotImplementedError(_SCALED.format(name="scaled_mm", instead="a @ b"))


def scaled_grouped_mm(*args: Any, **kwargs: Any) -> NoReturn:
    """Raises NotImplementedError: there are no kernels for scaled float8 matrices."""
    raise NotImplementedError(_SCALED.format(name="scaled_grouped_mm", instead="grouped_mm"))
