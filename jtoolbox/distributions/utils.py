"""What distributions share: broadcasting of parameters, probabilities and logits, lazy values."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from numbers import Number
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes, ops
from jtoolbox.engine import enable_grad
from jtoolbox.engine.graph import is_tracer
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import node_of
from jtoolbox.nn import functional as F
from jtoolbox.ops.conversion import cast
from jtoolbox.tensor import Size, Tensor, tensor

__all__ = [
    "broadcast_all",
    "cast_like",
    "clamp_probs",
    "constant",
    "euler_constant",
    "in_brief",
    "is_array",
    "known_value",
    "lazy_property",
    "limits",
    "own_size",
    "logits_to_probs",
    "probs_to_logits",
    "shown",
    "stopped",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def is_array(x: Any) -> bool:
    """Whether `x` is a Tensor, an array of JAX or NumPy, or a tracer."""
    return isinstance(x, (Tensor, jax.Array, np.ndarray))


def known_value(x: Any) -> np.ndarray | None:
    """The value of a Tensor, array or number where it lies in the host's memory, else None.

    Runs nothing: a pending Tensor, a tracer and an array on an accelerator have no known value.
    """
    if isinstance(x, Tensor):
        x = node_of(x).value
    if isinstance(x, (np.ndarray, np.generic, int, float)):
        return np.asarray(x)
    if not isinstance(x, jax.Array) or is_tracer(x) or not x.is_fully_addressable:
        return None
    return np.asarray(x) if all(d.platform == "cpu" for d in x.devices()) else None


def shown(x: Any) -> Any:
    """How messages show a value: a tensor of no dimension as its number, others as they print."""
    known = known_value(x)
    return known.item() if known is not None and not known.ndim else x


def in_brief(x: Any) -> Any:
    """A parameter in a repr: its value if it is one number that can be had, else its shape."""
    shape = own_size(tuple(x.shape))
    if shape.numel() != 1 or known_value(x) is not None:
        return shape if shape.numel() != 1 else shown(x)
    traced = is_tracer(node_of(x).value if isinstance(x, Tensor) else x)
    if traced or mode.capture is not None:
        return shape
    return x if shape else x.item()


def stopped(x: Any) -> Any:
    """A sample as a constant, also where JAX and not the grad mode records gradients."""
    if isinstance(x, Tensor):
        return x.detach() if is_tracer(node_of(x).value) else x
    return jax.lax.stop_gradient(x)


def limits(x: Any) -> Any:
    """Limits of the float type of a Tensor or array, as `jax.numpy.finfo` gives them."""
    return jnp.finfo(dtypes.as_numpy(x.dtype))  # type: ignore[arg-type]


def cast_like(x: Any, other: Any) -> Any:
    """`x` in the type of `other`."""
    return cast(x, dtypes.from_numpy(dtypes.as_numpy(other.dtype)))


def constant(values: Any, like: Any, dtype: Any = None) -> Any:
    """Values known on the host as a Tensor beside `like`, of its type; as an array if it is one."""
    array = np.asarray(values, dtypes.as_numpy(like.dtype if dtype is None else dtype))
    if not isinstance(like, Tensor):
        return jnp.asarray(array)
    place = node_of(like).aval.device
    return tensor(array, device=None if hasattr(place, "mesh") else place)


def _as_array(value: Any, example: Any) -> Any:
    """A number as a Tensor, or as an array where the other parameters are arrays."""
    if isinstance(value, np.ndarray):
        return jnp.asarray(value)
    if is_array(value):
        return value
    if example is None:
        return tensor(value, dtype=dtypes.get_default_dtype())
    if isinstance(example, Tensor):
        return tensor(value, dtype=example.dtype)
    return jnp.asarray(value, example.dtype)


def broadcast_all(*values: Any) -> tuple[Any, ...]:
    """The values as tensors of one shape; numbers take the type of the first tensor among them.

    Arrays stay arrays, so that a distribution of arrays computes arrays. Raises ValueError for
    what is neither number nor tensor, RuntimeError for shapes that do not broadcast.
    """
    if not all(is_array(v) or isinstance(v, Number) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            f"__torch_function__. Got {', '.join(type(v).__name__ for v in values)}."
        )
    example = next((v for v in values if is_array(v)), None)
    tensors = [_as_array(v, example) for v in values]
    shapes = [tuple(v.shape) for v in tensors]
    if len(set(shapes)) == 1:
        return tuple(tensors)
    wide = ops.broadcast_tensors(*tensors)
    # What had the shape already stays itself: the value of a parameter can be checked, and that of
    # a recorded view of it cannot.
    shape = tuple(wide[0].shape)
    return tuple(t if s == shape else w for t, s, w in zip(tensors, shapes, wide, strict=True))


def clamp_probs(probs: Any) -> Any:
    """Probabilities between eps and 1 - eps of their type, so that both logarithms are finite."""
    eps = float(limits(probs).eps)
    return ops.clamp(probs, min=eps, max=1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """log p, or log(p / (1 - p)) for binary ones, with p clamped away from 0 and 1."""
    clamped = clamp_probs(probs)
    return ops.log(clamped) - ops.log1p(-clamped) if is_binary else ops.log(clamped)


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """softmax over the last dimension, or sigmoid for binary ones."""
    return ops.sigmoid(logits) if is_binary else F.softmax(logits, -1)


def tril_matrix_to_vec(mat: Any, diag: int = 0) -> Any:
    """The lower triangle of matrices (..., D, D) up to a diagonal, row by row, as (..., D*(D+1)/2).

    Raises ValueError for a diagonal that the matrices do not have.
    """
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = np.tril_indices(n, diag)
    return ops.index_select(ops.flatten(mat, -2), -1, rows * n + columns)


def vec_to_tril_matrix(vec: Any, diag: int = 0) -> Any:
    """The inverse of `tril_matrix_to_vec`: vectors (..., D*(D+1)/2) to matrices (..., D, D).

    Raises ValueError when the length is that of no triangle.
    """
    length = vec.shape[-1]
    n = (
        math.isqrt((1 + 2 * diag) ** 2 + 8 * length + 4 * abs(diag) * (diag + 1)) - 1 - 2 * diag
    ) // 2
    rows, columns = np.tril_indices(max(n, 0), diag)
    if n <= 0 or len(rows) != length:
        raise ValueError(
            f"The size of last dimension is {length} which cannot be expressed as the lower "
            "triangular part of a square D x D matrix."
        )
    # Entry k of the matrix comes from vector entry places[k]; the others from a zero at the end.
    places = np.full(n * n, length)
    places[rows * n + columns] = np.arange(length)
    return ops.unflatten(ops.index_select(F.pad(vec, (0, 1)), -1, places), -1, (n, n))


def _sum_rightmost(value: Any, dim: int) -> Any:
    """The sum over the `dim` last dimensions."""
    return value if dim == 0 else ops.sum(value, tuple(range(-dim, 0)))


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Any:
    """Standard normal numbers, under the name by which libraries import them."""
    return ops.randn(shape, dtype=dtype, device=device)


class lazy_property:
    """A property computed at first use, with gradients, and kept in the instance.

    Inside `jtoolbox.jit` and JAX's transformations it is computed at each use instead: a value of
    a recording must not outlive it.
    """

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        traced = is_tracer(node_of(value).value if isinstance(value, Tensor) else value)
        if not traced and mode.capture is None and mode.functional is None:
            setattr(instance, self.wrapped.__name__, value)
        return value


def own_size(shape: Any) -> Size:
    """A shape given as any sequence of ints."""
    return shape if isinstance(shape, Size) else Size(shape)
