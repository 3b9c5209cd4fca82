"""bfloat16 and float16, of which long sums need a wider type.

NOTE: copies of halves. The gradient of what is broadcast is a sum over the copies, in the type
of the copies, and XLA's CPU backend rounds most sums of halves after each term: 32,768 ones add up
to 256 or 8,192. A half that is broadcast as float32, and rounded back, has the same value, and its
gradient is summed in float32, as PyTorch's is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array

__all__ = ["copied", "is_half", "level", "spread", "wide"]


def is_half(x: Array) -> bool:
    """Whether the array holds floats of 16 bits."""
    return x.dtype.itemsize == 2 and bool(jnp.issubdtype(x.dtype, jnp.floating))


def wide(x: Array) -> Array:
    """The array in float32 if it is of a half type: sums of many halves lose all precision."""
    return x.astype(np.float32) if is_half(x) else x


def copied(copy: Callable[[Array], Array], x: Array) -> Array:
    """copy(x), a function that copies elements: the gradients of copies are summed in float32."""
    return copy(wide(x)).astype(x.dtype)


def spread(x: Array, shape: Sequence[int]) -> Array:
    """x broadcast to a shape."""
    return copied(lambda v: jnp.broadcast_to(v, shape), x)


def level(x: Array, y: Array) -> tuple[Array, Array]:
    """Two halves in their common shape; other types as they are, which JAX broadcasts."""
    if x.shape == y.shape or not is_half(x):
        return x, y
    shape = np.broadcast_shapes(x.shape, y.shape)
    return spread(x, shape), spread(y, shape)
