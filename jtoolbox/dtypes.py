"""Data types under PyTorch's names, and PyTorch's rules for combining them.

A `dtype` is a named NumPy dtype. Programs of the engine run with 64-bit types enabled, so `int64`
and `float64` are what they say. Under plain `jax.jit` without x64, JAX's own narrowing applies, and
`canonical` says to what.
"""

from __future__ import annotations

import builtins
from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np


class dtype:
    """A data type, such as `jtoolbox.float32`. Compares by identity; prints as PyTorch's."""

    __slots__ = ("name", "dtype", "is_floating_point", "is_complex", "itemsize", "is_signed")

    def __init__(self, name: str, numpy_dtype: Any):
        self.name = name
        self.dtype = np.dtype(numpy_dtype)
        self.is_complex = jnp.issubdtype(self.dtype, jnp.complexfloating)
        self.is_floating_point = jnp.issubdtype(self.dtype, jnp.floating)
        self.itemsize = self.dtype.itemsize
        self.is_signed = self.dtype != np.bool_ and not jnp.issubdtype(
            self.dtype, jnp.unsignedinteger
        )

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def to_complex(self) -> dtype:
        """The complex type whose parts have this type's width."""
        return complex128 if self is float64 else complex64

    def to_real(self) -> dtype:
        """The type of the parts of a complex type; any other type is returned as it is."""
        return {complex64: float32, complex128: float64}.get(self, self)

    def limits(self) -> Any:
        """The limits of the floats of this type, or of its parts."""
        return jnp.finfo(self.to_real().dtype)


float16 = half = dtype("float16", np.float16)
bfloat16 = dtype("bfloat16", ml_dtypes.bfloat16)
float32 = dtype("float32", np.float32)
float64 = double = dtype("float64", np.float64)
uint8 = dtype("uint8", np.uint8)
uint16 = dtype("uint16", np.uint16)
uint32 = dtype("uint32", np.uint32)
uint64 = dtype("uint64", np.uint64)
int8 = dtype("int8", np.int8)
int16 = short = dtype("int16", np.int16)
int32 = dtype("int32", np.int32)
int64 = long = dtype("int64", np.int64)
bool = dtype("bool", np.bool_)
complex64 = cfloat = dtype("complex64", np.complex64)
complex128 = cdouble = dtype("complex128", np.complex128)
float = float32
int = int32


class _Named(dtype):
    """A type that can be named and compared with, and of which there are no tensors."""

    __slots__ = ()

    def __init__(self, name: str, signed: builtins.bool = True):
        self.name = name
        self.is_complex, self.is_floating_point, self.is_signed = False, True, signed
        self.itemsize = 1

    @property
    def dtype(self) -> Any:
        raise NotImplementedError(
            f"tensors of torch.{self.name} are not supported: use torch.bfloat16"
        )

    def limits(self) -> Any:
        return ml_dtypes.finfo(getattr(ml_dtypes, self.name.removesuffix("_x2")))


float8_e4m3fn = _Named("float8_e4m3fn")
float8_e4m3fnuz = _Named("float8_e4m3fnuz")
float8_e5m2 = _Named("float8_e5m2")
float8_e5m2fnuz = _Named("float8_e5m2fnuz")
float8_e8m0fnu = _Named("float8_e8m0fnu", signed=False)
float4_e2m1fn_x2 = _Named("float4_e2m1fn_x2")

ALL = (
    *(float16, bfloat16, float32, float64, uint8, uint16, uint32, uint64),
    *(int8, int16, int32, int64, bool, complex64, complex128),
)
_BY_NUMPY = {d.dtype: d for d in ALL}
_default = float32


def from_numpy(numpy_dtype: Any) -> dtype:
    """The jtoolbox dtype of a NumPy dtype; TypeError when PyTorch has no such type."""
    try:
        return _BY_NUMPY[np.dtype(numpy_dtype)]
    except KeyError:
        names = ", ".join(d.name for d in ALL)
        raise TypeError(
            f"can't convert np.ndarray of type {numpy_dtype}. The only supported types are: {names}"
        ) from None


def as_numpy(d: Any) -> np.dtype | None:
    """The NumPy dtype of a jtoolbox dtype, a NumPy dtype, or a Python type; None stays None."""
    if d is None:
        return None
    if isinstance(d, dtype):
        return d.dtype
    return np.dtype(d)  # Python's int, float and complex are 64 and 128 bits wide here and there


def canonical(numpy_dtype: Any) -> np.dtype:
    """The dtype as the present JAX mode holds it: int64 becomes int32 where x64 is off."""
    return np.dtype(jax.dtypes.canonicalize_dtype(numpy_dtype))


def index_dtype() -> np.dtype:
    """The type of indices and labels: int64, or int32 under plain JAX without x64."""
    return canonical(np.int64)


def get_default_dtype() -> dtype:
    """The type of floats where none is given: float32 unless `set_default_dtype` changed it."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the type of floats where none is given. Raises TypeError for a type that is no float."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {d}")
    _default = d


def default_float() -> np.dtype:
    """The default float type as a NumPy dtype."""
    return _default.dtype


# PyTorch's promotion. Operands fall into three classes: tensors with dimensions, tensors without,
# and Python numbers. A class decides the result only if its kind (bool < integer < float < complex)
# is higher than that of the classes before it.

_KINDS = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2, "c": 3}


def kind(numpy_dtype: np.dtype) -> builtins.int:
    """0 for bool, 1 for integers, 2 for floats (bfloat16 too), 3 for complex numbers."""
    if numpy_dtype == bfloat16.dtype:
        return 2
    return _KINDS[numpy_dtype.kind]


def is_half(numpy_dtype: Any) -> builtins.bool:
    """Whether a type is a float of 16 bits."""
    return numpy_dtype in (float16.dtype, bfloat16.dtype)


def refuse(name: str, x: Any, *kinds: str) -> None:
    """Raises NotImplementedError if an operand is of a kind that PyTorch's function does not take.

    The kinds are "bool", "int", "float", "complex", and "half" for floats of 16 bits.
    """
    d = _operand(x)[1]
    found = ("bool", "int", "float", "complex")[kind(d)]
    if found in kinds or ("half" in kinds and is_half(d)):
        raise NotImplementedError(
            f'"{name}" not implemented for {from_numpy(d)}: convert it to another dtype first'
        )


def check_number(value: Any, numpy_dtype: Any) -> None:
    """RuntimeError for a Python number that a type cannot hold; anything else passes.

    As in PyTorch, infinities fit floats, and unsigned types take negative integers, which wrap
    around, but no negative floats.
    """
    if value.__class__ not in (builtins.int, builtins.float, builtins.complex):
        return
    wanted: Any = as_numpy(numpy_dtype)
    k = kind(wanted)
    parts = (value.real, value.imag)
    if (k < 3 and value.imag) or (k and not all(_fits(part, wanted, k == 1) for part in parts)):
        raise RuntimeError(
            f"value cannot be converted to type {wanted} without overflow: it is {value}"
        )


def check_operand(value: Any, numpy_dtype: Any) -> None:
    """`check_number`, where a number takes the type of the tensor it is combined with."""
    wanted: Any = as_numpy(numpy_dtype)
    if value.__class__ is builtins.int or kind(wanted) >= 2:
        check_number(value, wanted if kind(wanted) else int64.dtype)


def _fits(value: Any, wanted: np.dtype, whole: builtins.bool) -> builtins.bool:
    if not whole:
        limit = builtins.float(jnp.finfo(from_numpy(wanted).to_real().dtype).max)
        return not np.isfinite(value) or -limit <= value <= limit
    limits = np.iinfo(wanted)
    least, most = builtins.int(limits.min), builtins.int(limits.max)
    if isinstance(value, builtins.float):
        return least <= value <= most
    return (least or -most) <= value <= most


def promote_types(a: Any, b: Any) -> np.dtype:
    """The type that holds both: PyTorch's table, which differs from NumPy's in keeping floats."""
    a, b = as_numpy(a), as_numpy(b)
    if a == b:
        return a
    if kind(a) != kind(b):
        low, high = (a, b) if kind(a) < kind(b) else (b, a)
        if high.kind == "c" and kind(low) == 2:
            return np.promote_types(high, np.float32 if low.itemsize < 4 else low)
        return high
    if kind(a) == 2 and {a, b} == {float16.dtype, bfloat16.dtype}:
        return float32.dtype
    if kind(a) == 2:
        return a if a.itemsize > b.itemsize else b
    if kind(a) == 1 and a.itemsize == b.itemsize == 8:
        raise RuntimeError(f"Promotion for uint64 and {from_numpy(a if a.kind == 'i' else b)} "
                           "is not supported; convert one of the two")  # fmt: skip
    return np.promote_types(a, b)


def _scalar_dtype(value: Any) -> np.dtype:
    if isinstance(value, (builtins.bool, np.bool_)):
        return bool.dtype
    if isinstance(value, builtins.int):
        return int64.dtype
    if isinstance(value, builtins.complex):
        return _default.to_complex().dtype
    return _default.dtype


def _operand(value: Any) -> tuple[builtins.int, np.dtype]:
    """The class of an operand (0 number, 1 without dimensions, 2 with) and its type."""
    numbers = (builtins.bool, builtins.int, builtins.float, builtins.complex)
    if isinstance(value, numbers) and not isinstance(value, np.generic):
        return 0, _scalar_dtype(value)
    if getattr(value, "weak_type", False):
        as_scalar = {0: bool.dtype, 1: int64.dtype, 2: _default.dtype}
        numpy_dtype = np.dtype(value.dtype)
        return 0, as_scalar.get(kind(numpy_dtype), _default.to_complex().dtype)
    return (2 if np.ndim(value) else 1), np.dtype(value.dtype)


def result_type(*operands: Any) -> np.dtype:
    """PyTorch's common type of arrays, zero-dimensional arrays and (weakly typed) numbers."""
    classes: list[np.dtype | None] = [None, None, None]
    for value in operands:
        rank, d = _operand(value)
        known = classes[rank]
        classes[rank] = d if known is None else promote_types(known, d)
    result = None
    for d in reversed(classes):
        if d is not None and (result is None or kind(d) > kind(result)):
            result = d if result is None or kind(d) < 3 else promote_types(result, d)
    if result is None:
        raise ValueError("result_type needs at least one operand")
    return canonical(result)
