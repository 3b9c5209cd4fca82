"""Small functions and constants of the torch namespace that are no operations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.record import as_node
from jtoolbox.tensor import Tensor

__all__ = [
    "can_cast",
    "channels_last",
    "channels_last_3d",
    "compile",
    "contiguous_format",
    "e",
    "finfo",
    "iinfo",
    "inf",
    "is_complex",
    "is_floating_point",
    "nan",
    "newaxis",
    "numel",
    "pi",
    "preserve_format",
    "promote_types",
    "result_type",
    "strided",
]

F = TypeVar("F")
e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None


class MemoryFormat(str):
    """A name of a memory layout. Layouts are XLA's business: the names are accepted everywhere."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"torch.{self}"


contiguous_format = MemoryFormat("contiguous_format")
preserve_format = MemoryFormat("preserve_format")
channels_last = MemoryFormat("channels_last")
channels_last_3d = MemoryFormat("channels_last_3d")
strided = MemoryFormat("strided")


def compile(model: F | None = None, **options: Any) -> F | Callable[[F], F]:
    """The model as it is: every step of a jtoolbox model runs compiled anyway.

    All of `torch.compile`'s options are accepted. To freeze a whole training step, use
    `jtoolbox.jit`.
    """
    return (lambda wrapped: wrapped) if model is None else model


def numel(input: Tensor) -> int:
    """The number of elements."""
    return input.numel()


def is_floating_point(input: Tensor) -> bool:
    """Whether the elements are floats."""
    return input.is_floating_point()


def is_complex(input: Tensor) -> bool:
    """Whether the elements are complex numbers."""
    return input.is_complex()


def promote_types(type1: dtypes.dtype, type2: dtypes.dtype) -> dtypes.dtype:
    """The type that holds values of both."""
    return dtypes.from_numpy(dtypes.promote_types(type1, type2))


def result_type(tensor1: Any, tensor2: Any) -> dtypes.dtype:
    """The type of an arithmetic operation on two tensors or numbers."""
    return dtypes.from_numpy(_result_type([tensor1, tensor2]))


def _result_type(values: list[Any]) -> Any:
    structs = [
        np.empty(as_node(v).aval.shape, as_node(v).aval.dtype) if isinstance(v, Handle) else v
        for v in values
    ]
    return dtypes.result_type(*structs)


def can_cast(from_: dtypes.dtype, to: dtypes.dtype) -> bool:
    """Whether a result of type `from_` may be written into one of type `to`."""
    low, high = dtypes.kind(from_.dtype), dtypes.kind(to.dtype)
    return low <= high


class finfo:
    """Limits of a float type: bits, eps, max, min, tiny, smallest_normal, resolution."""

    def __init__(self, type: dtypes.dtype | None = None):
        chosen = dtypes.get_default_dtype() if type is None else type
        if not (chosen.is_floating_point or chosen.is_complex):
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                f"'{chosen}'"
            )
        limits = jnp.finfo(chosen.to_real().dtype)
        self.dtype = chosen.to_real().name
        self.bits = int(limits.bits)
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = float(limits.resolution)

    def __repr__(self) -> str:
        values = ", ".join(
            f"{n}={getattr(self, n):g}" for n in ("resolution", "min", "max", "eps", "tiny")
        )
        return f"finfo({values}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer type: bits, max, min."""

    def __init__(self, type: dtypes.dtype):
        if type.is_floating_point or type.is_complex or type is dtypes.bool:
            raise TypeError(
                f"torch.iinfo() requires an integer input type. Use torch.finfo to handle '{type}'"
            )
        limits = np.iinfo(type.dtype)
        self.dtype = type.name
        self.bits, self.max, self.min = int(limits.bits), int(limits.max), int(limits.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
