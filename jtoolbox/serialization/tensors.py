"""Everything that saving and loading need to know of Tensors.

Values come out of a Tensor as a NumPy array and go into one as a fresh NumPy array that nothing
else holds (see NOTE [Fresh, aligned memory] in `source.py`).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.devices import device, find
from jtoolbox.nn.parameter import Parameter
from jtoolbox.tensor import Size, Tensor, from_host

__all__ = [
    "KEY_TYPES",
    "Parameter",
    "Size",
    "Tensor",
    "device",
    "find",
    "host_array",
    "host_bytes",
    "is_stored_as_tensor",
    "make_parameter",
    "make_tensor",
    "numpy_dtype",
    "storage_identity",
]

KEY_TYPES = frozenset({str, int, float, bool, type(None), bytes, complex, dtypes.dtype, device})


def is_stored_as_tensor(x: Any) -> bool:
    """Whether saving writes `x` as a tensor: Tensors, Parameters and JAX arrays."""
    return isinstance(x, (Tensor, jax.Array))


def numpy_dtype(x: Any) -> np.dtype:
    """The NumPy dtype of a Tensor or an array. TypeError for JAX's typed random keys."""
    if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        raise TypeError("a typed random key cannot be saved; save jax.random.key_data(key)")
    return np.dtype(dtypes.as_numpy(x.dtype))


def host_array(x: Any) -> np.ndarray:
    """The values of a Tensor or an array in row-major order."""
    return np.asarray(x.detach() if isinstance(x, Tensor) else x, order="C")


def host_bytes(x: Any) -> np.ndarray:
    """The values of a Tensor or an array as bytes in row-major order."""
    return host_array(x).reshape(-1).view(np.uint8)


def storage_identity(x: Any) -> int:
    """Equal for two Tensors exactly when they are written as one storage.

    A Tensor shares its storage with what `detach()` and `.data` made of it, as the entries of a
    state_dict for tied weights do. Other views, and equal values, are written separately.
    """
    if not isinstance(x, Tensor):
        return id(x)
    link = x._view
    while link is not None and link.op.name == "detach":
        if link.parent is None:
            return id(link.family)
        link = link.parent
    is_base = x._view is None and x._family is not None
    return id(x._family if is_base else x)


def make_tensor(values: np.ndarray, requires_grad: bool, place: Any) -> Tensor:
    """A Tensor that takes over a fresh array, on the device `place` or the default one."""
    tensor = from_host(values, place)
    return tensor.requires_grad_() if requires_grad else tensor


def make_parameter(tensor: Tensor, requires_grad: bool) -> Parameter:
    """A Parameter with the tensor's value."""
    return Parameter(tensor, requires_grad)
