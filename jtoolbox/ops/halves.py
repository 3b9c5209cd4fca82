"""bfloat16 and float16, of which long sums need a wider type.

NOTE: copies of halves. The gradient of what is broadcast is a sum over the copies, in the type
of the copies, and XLA's CPU backend rounds most sums of halves after each term: 32,768 ones add up
to 256 or 8,192. A half that is broadcast as float32, and rounded back, has the same value, and its
gradient is summed in float32, as PyTorch's is.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array

__all__ = ["is_half", "level", "rounded", "spread", "wide"]


def is_half(x: Array) -> bool:
    """Whether the array holds floats of 16 bits."""
    return x.dtype.itemsize == 2 and bool(jnp.issubdtype(x.dtype, jnp.floating))


def wide(x: Array) -> Array:
    """The array in float32 if it is of a half type: sums of many halves lose all precision."""
    return x.astype(np.float32) if is_half(x) else x


def rounded(y: Array, *operands: Array) -> Array:
    """What was computed in float32 from operands, in their common type if that is a half type."""
    like = jnp.zeros((), jnp.result_type(*operands))
    return y.astype(like.dtype) if is_half(like) else y


def spread(x: Array, shape: Sequence[int]) -> Array:
    """x broadcast to a shape; the gradients of the copies are summed in float32."""
    return jnp.broadcast_to(wide(x), shape).astype(x.dtype)


def level(x: Array, y: Array) -> tuple[Array, Array]:
    """Two halves in their common shape; other types as they are, which JAX broadcasts."""
    if x.shape == y.shape or not is_half(x):
        return x, y
    shape = np.broadcast_shapes(x.shape, y.shape)
    return spread(x, shape), spread(y, shape)
