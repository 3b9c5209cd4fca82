"""bfloat16 and float16, of which long sums need a wider type.

XLA's CPU backend rounds most sums of halves after each term: 32,768 ones add up to 256 or 8,192.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array

__all__ = ["is_half", "rounded", "wide"]


def is_half(x: Array) -> bool:
    """Whether the array holds floats of 16 bits."""
    return dtypes.is_half(x.dtype)


def wide(x: Array) -> Array:
    """The array in float32 if it is of a half type: sums of many halves lose all precision."""
    return x.astype(np.float32) if is_half(x) else x


def rounded(y: Array, *operands: Array) -> Array:
    """What was computed in float32 from operands, in their common type if that is a half type."""
    like = jnp.zeros((), jnp.result_type(*operands))
    return y.astype(like.dtype) if is_half(like) else y
