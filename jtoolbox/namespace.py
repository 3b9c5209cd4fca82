"""Small functions and constants of the torch namespace that are no operations."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from jtoolbox import cpu, cuda, devices, dtypes, ops
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.record import as_node
from jtoolbox.layouts import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    jagged,
    layout,
    memory_format,
    preserve_format,
    sparse_bsc,
    sparse_bsr,
    sparse_coo,
    sparse_csc,
    sparse_csr,
    strided,
)
from jtoolbox.ops import filling
from jtoolbox.ops.storage import TypedStorage, UntypedStorage
from jtoolbox.tensor import Tensor, tensor

__all__ = [
    "can_cast",
    "channels_last",
    "channels_last_3d",
    "compile",
    "contiguous_format",
    "e",
    "fill",
    "finfo",
    "frobenius_norm",
    "frombuffer",
    "get_device_module",
    "iinfo",
    "inf",
    "is_complex",
    "is_conj",
    "is_distributed",
    "is_floating_point",
    "is_inference",
    "is_neg",
    "is_nonzero",
    "is_same_size",
    "is_signed",
    "is_storage",
    "jagged",
    "layout",
    "memory_format",
    "nan",
    "newaxis",
    "norm_except_dim",
    "nuclear_norm",
    "numel",
    "pi",
    "preserve_format",
    "promote_types",
    "result_type",
    "sparse_bsc",
    "sparse_bsr",
    "sparse_coo",
    "sparse_csc",
    "sparse_csr",
    "strided",
    "to_dlpack",
    "unsafe_chunk",
    "unsafe_split",
    "unsafe_split_with_sizes",
]

F = TypeVar("F")
e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None


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
    with jax.enable_x64(True):  # an integer is int64 whatever JAX's mode
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
        limits = chosen.limits()
        self.dtype = chosen.to_real().name
        self.bits = int(limits.bits)
        self.eps, self.max, self.min = float(limits.eps), float(limits.max), float(limits.min)
        self.tiny = self.smallest_normal = float(limits.tiny)
        self.resolution = 10.0 ** -int(limits.nmant * math.log10(2))

    def __repr__(self) -> str:
        values = ", ".join(
            f"{n}={getattr(self, n):g}"
            for n in ("resolution", "min", "max", "eps", "smallest_normal", "tiny")
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


def frobenius_norm(input: Tensor, dim: Any, keepdim: bool = False) -> Tensor:
    """The root of the sum of squares over `dim`: `norm(input, "fro", dim)`."""
    return ops.norm(input, "fro", dim, keepdim)


def nuclear_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The sum of the singular values of matrices: `norm(input, "nuc", dim)`."""
    return ops.norm(input, "nuc", dim, keepdim)


def norm_except_dim(v: Tensor, pow: int = 2, dim: int = 0) -> Tensor:
    """The `pow`-norm over all dimensions but `dim`, which stay with size 1; over all for dim -1."""
    if dim == -1:
        return ops.norm(v, pow)
    kept = dim % v.ndim
    return ops.norm(v, pow, [i for i in range(v.ndim) if i != kept], True)


def get_device_module(device: Any = None) -> Any:
    """`torch.cuda` or `torch.cpu`, by a device or its name; by default the present accelerator's.

    RuntimeError for a name that has none.
    """
    chosen = devices.default_device() if device is None else devices.device(device)
    found = {"cpu": cpu, "cuda": cuda}.get(chosen.type)
    if found is None:
        raise RuntimeError(f"Invalid device type '{chosen.type}': it has no module, use torch.cpu")
    return found


def _assert(condition: Any, message: str) -> None:
    """`assert` as a function: AssertionError with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether both have the same shape."""
    return tuple(input.shape) == tuple(other.shape)


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero; RuntimeError when there are more."""
    return bool(input)


def is_signed(input: Tensor) -> bool:
    """Whether the type has negative numbers."""
    return input.dtype.is_signed


def is_conj(input: Tensor) -> bool:
    """False: conjugates are computed here, not marked."""
    return False


def is_neg(input: Tensor) -> bool:
    """False: negative numbers are computed here, not marked."""
    return False


def is_inference(input: Tensor) -> bool:
    """False: a result of `inference_mode` may be used for gradients later, here."""
    return False


def is_distributed(input: Tensor) -> bool:
    """False."""
    return False


def is_storage(obj: Any, /) -> bool:
    """Whether an object is the storage of a tensor."""
    return isinstance(obj, (TypedStorage, UntypedStorage))


def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with one value everywhere: a number or a tensor without dimensions."""
    return filling.fill(input, value)


def frombuffer(
    buffer: Any,
    *,
    dtype: dtypes.dtype,
    count: int = -1,
    offset: int = 0,
    requires_grad: bool = False,
) -> Tensor:
    """A vector with a copy of the bytes of a buffer read as `dtype`.

    PyTorch shares the memory; here a change of one is not seen in the other. ValueError when the
    bytes do not fit.
    """
    size = memoryview(buffer).nbytes
    if size == 0 or offset >= size:
        raise ValueError(
            f"offset ({offset} bytes) must be non-negative and no greater than buffer length "
            f"({size} bytes) minus 1"
        )
    if count < 0 and (size - offset) % dtype.itemsize:
        raise ValueError(
            f"buffer length ({size - offset} bytes) after offset ({offset} bytes) must be a "
            f"multiple of element size ({dtype.itemsize})"
        )
    if count >= 0 and offset + count * dtype.itemsize > size:
        raise ValueError(
            f"requested buffer length ({count} * {dtype.itemsize} bytes) after offset ({offset} "
            f"bytes) must not be greater than actual buffer length ({size} bytes)"
        )
    values = np.frombuffer(buffer, dtype.dtype, count, offset)
    return tensor(values.copy(), requires_grad=requires_grad)


def unsafe_chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`chunk`: writes of the parts are tracked here."""
    return ops.chunk(input, chunks, dim)


def unsafe_split(tensor: Tensor, split_size: int, dim: int = 0) -> tuple[Tensor, ...]:
    """`split`: writes of the parts are tracked here."""
    return ops.split(tensor, split_size, dim)


def unsafe_split_with_sizes(
    input: Tensor, split_sizes: Sequence[int], dim: int = 0
) -> tuple[Tensor, ...]:
    """`split_with_sizes`: writes of the parts are tracked here."""
    return ops.split_with_sizes(input, split_sizes, dim)


def to_dlpack(tensor: Tensor) -> Any:
    """The tensor as a DLPack capsule, for other libraries to take over."""
    return tensor.__dlpack__()
