"""What `zero_`, `fill_` and `copy_` write: a tensor's new elements.

Each is a pure function of the tensor that is filled, of which only shape and dtype are read.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.ops.gathering import check_fill_value
from jtoolbox.ops.indexing import cast_value
from jtoolbox.ops.shape import broadcast_shape

__all__ = ["copy", "fill", "zero"]


@op(saves="none", name="zero")
def zero(input: Array) -> Array:
    """Zeros."""
    return jnp.zeros(input.shape, input.dtype)


def _check_fill(input: Any, value: Any) -> None:
    check_fill_value(input, None, value)


@op(saves="none", name="fill", check=_check_fill)
def fill(input: Array, value: Array) -> Array:
    """One value everywhere: a number, or a tensor without dimensions."""
    if np.ndim(value):
        raise RuntimeError(
            "fill_ only supports 0-dimension value tensor but got tensor with "
            f"{np.ndim(value)} dimensions."
        )
    return jnp.broadcast_to(cast_value(value, input.dtype), input.shape)


@op(saves="none", name="copy")
def copy(input: Array, src: Array) -> Array:
    """The elements of `src`, broadcast to the shape of `input` and in its type."""
    shape = np.shape(src)
    if broadcast_shape(input.shape, shape) != input.shape:
        raise RuntimeError(
            f"output with shape {list(input.shape)} doesn't match the broadcast shape "
            f"{list(broadcast_shape(input.shape, shape))}"
        )
    return jnp.broadcast_to(cast_value(src, input.dtype), input.shape)
