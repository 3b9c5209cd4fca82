"""Views of the same bytes as another type, and of complex numbers as pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op

__all__ = ["view_as_complex", "view_as_real"]


def _write_bits(base: Any, value: Any, dtype: Any) -> Any:
    return view_dtype(value, base.dtype)


@op(view=True, saves="none", differentiable=False, write=_write_bits)
def view_dtype(input: Array, dtype: Any) -> Array:
    """The bytes read as another type; the last dimension grows or shrinks with the width."""
    new, old = dtypes.canonical(dtypes.as_numpy(dtype)), input.dtype
    if new.itemsize != old.itemsize:
        _check_last_dim(input.shape, old, new)
    if new.itemsize > old.itemsize:
        ratio = new.itemsize // old.itemsize
        input = jnp.reshape(input, (*input.shape[:-1], input.shape[-1] // ratio, ratio))
    out = jnp.asarray(input).view(new) if old == new else _bitcast(input, new)
    if new.itemsize < old.itemsize:
        out = jnp.reshape(out, (*out.shape[:-2], -1))
    return out


def _bitcast(x: Any, new: np.dtype) -> Any:
    """`lax.bitcast_convert_type`, with complex numbers as pairs and bool as bytes."""
    if x.dtype == np.bool_:
        x = x.astype(np.uint8)
    if x.dtype.kind == "c":
        x = jnp.stack([x.real, x.imag], axis=-1)
    if new.kind == "c":
        part = dtypes.from_numpy(new).to_real().dtype
        pair = jax.lax.bitcast_convert_type(x, part)
        return jax.lax.complex(pair[..., 0], pair[..., 1])
    if new == np.bool_:
        return jax.lax.bitcast_convert_type(x, np.uint8) != 0
    return jax.lax.bitcast_convert_type(x, new)


def _check_last_dim(shape: Sequence[int], old: np.dtype, new: np.dtype) -> None:
    names = f"to view {old} as {new} (different element sizes)"
    if not shape:
        raise RuntimeError(f"self.dim() cannot be 0 {names}")
    ratio = max(1, new.itemsize // old.itemsize)
    if shape[-1] % ratio:
        raise RuntimeError(
            f"self.size(-1) must be divisible by {ratio} {names}, but got {shape[-1]}"
        )


def _write_complex(base: Any, value: Any) -> Any:
    return jax.lax.complex(value[..., 0], value[..., 1])


@op(view=True, saves="none", write=_write_complex)
def view_as_real(input: Array) -> Array:
    """A complex tensor as pairs of real and imaginary part, in a new last dimension."""
    if input.dtype.kind != "c":
        raise RuntimeError(f"view_as_real is only supported for complex tensors, got {input.dtype}")
    return jnp.stack([input.real, input.imag], axis=-1)


def _write_real(base: Any, value: Any) -> Any:
    return jnp.stack([value.real, value.imag], axis=-1)


@op(view=True, saves="none", write=_write_real)
def view_as_complex(input: Array) -> Array:
    """Pairs in the last dimension read as complex numbers."""
    if input.dtype not in (np.float32, np.float64):
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a "
            f"tensor of scalar type: {input.dtype}"
        )
    if not input.ndim or input.shape[-1] != 2:
        raise RuntimeError(
            f"Tensor must have a last dimension of size 2, got shape {list(input.shape)}"
        )
    return jax.lax.complex(input[..., 0], input[..., 1])
