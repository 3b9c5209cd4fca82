"""What functionals share: checks of types, arithmetic in wide types, warnings at user lines."""

from __future__ import annotations

import os
import sys
import warnings

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array
from jtoolbox.ops.halves import wide as wide

__all__ = ["clamp_min", "is_float", "require_float", "size", "type_name", "warn_user", "wide"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_LIBRARIES = (_PACKAGE + os.sep, os.path.dirname(os.path.abspath(jax.__file__)) + os.sep)
_TYPE_NAMES = {
    dtypes.float64: "Double",
    dtypes.float32: "Float",
    dtypes.float16: "Half",
    dtypes.bfloat16: "BFloat16",
    dtypes.int64: "Long",
    dtypes.int32: "Int",
    dtypes.int16: "Short",
    dtypes.int8: "Char",
    dtypes.uint8: "Byte",
    dtypes.bool: "Bool",
}


def type_name(x: Array) -> str:
    """PyTorch's word for the type of an array, such as Float or Long."""
    d = dtypes.from_numpy(x.dtype)
    return _TYPE_NAMES.get(d, d.name)


def size(x: Array) -> str:
    """The shape as PyTorch's messages print it."""
    return f"torch.Size({list(x.shape)})"


def is_float(x: Array) -> bool:
    """Whether the array holds real floats."""
    return bool(jnp.issubdtype(x.dtype, jnp.floating))


def require_float(name: str, *arrays: Array) -> None:
    """Raises NotImplementedError for integers, where PyTorch has no kernel for them either."""
    for x in arrays:
        if not is_float(x):
            raise NotImplementedError(
                f"\"{name}\" not implemented for '{type_name(x)}': it needs floats; call .float() "
                "on the input first"
            )


def clamp_min(x: Array, low: float) -> Array:
    """max(x, low) with PyTorch's gradient: 1 where they are equal (`jnp.maximum` gives 1/2)."""
    return jnp.where(x < low, jnp.asarray(low, x.dtype), x)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warns at the line of the user that led here, outside this package and JAX."""
    level, frame = 1, sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level + 1)
