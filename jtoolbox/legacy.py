"""The old tensor classes, one for each type: `torch.FloatTensor(2, 3)`, `torch.LongTensor([1])`."""

from __future__ import annotations

from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.tensor import Size, Tensor, tensor, zeros_of

__all__ = [
    *("BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor"),
    *("HalfTensor", "IntTensor", "LongTensor", "ShortTensor", "set_default_tensor_type"),
    "typename",
]


class TensorType(type):
    """The class of the typed classes: calling one makes a Tensor, `isinstance` asks its type."""

    dtype: dtypes.dtype

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        if device is not None and str(device).partition(":")[0] != "cpu":
            raise RuntimeError(
                f"legacy constructor expects device type: cpu but device type: {device} was passed"
            )
        if not data:
            return zeros_of((0,), cls.dtype)
        if len(data) == 1 and not isinstance(data[0], (int, Size)):
            return _from_data(cls, data[0])
        return zeros_of(data[0] if isinstance(data[0], Size) else data, cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype and instance.is_cpu

    def __repr__(cls) -> str:
        return f"<class 'torch.{cls.__name__}'>"


def _from_data(cls: TensorType, data: Any) -> Tensor:
    if isinstance(data, Tensor):
        if data.dtype is not cls.dtype:
            raise TypeError(
                f"{cls.__name__} expected a tensor of {cls.dtype}, got {data.dtype}. Convert it "
                f"with .to({cls.dtype})."
            )
        return data.detach()
    if not hasattr(data, "__len__"):
        raise TypeError(f"new(): data must be a sequence (got {type(data).__name__})")
    if isinstance(data, range):
        data = list(data)
    values = np.asarray(data) if isinstance(data, np.ndarray) else data
    return tensor(values, dtype=cls.dtype)


def _typed(name: str, dtype: dtypes.dtype) -> TensorType:
    text = (
        f"Tensors of {dtype.name} under PyTorch's old name: `{name}(2, 3)` gives zeros of that "
        f"shape (PyTorch leaves them undefined), `{name}([1, 2])` these values. `isinstance(x, "
        f"{name})` tells whether x has that type and lies on the CPU. TypeError for a tensor of "
        "another type."
    )
    return TensorType(name, (), {"dtype": dtype, "__doc__": text, "__module__": "torch"})


FloatTensor = _typed("FloatTensor", dtypes.float32)
DoubleTensor = _typed("DoubleTensor", dtypes.float64)
HalfTensor = _typed("HalfTensor", dtypes.float16)
BFloat16Tensor = _typed("BFloat16Tensor", dtypes.bfloat16)
LongTensor = _typed("LongTensor", dtypes.int64)
IntTensor = _typed("IntTensor", dtypes.int32)
ShortTensor = _typed("ShortTensor", dtypes.int16)
CharTensor = _typed("CharTensor", dtypes.int8)
ByteTensor = _typed("ByteTensor", dtypes.uint8)
BoolTensor = _typed("BoolTensor", dtypes.bool)

_CLASSES = (
    *(FloatTensor, DoubleTensor, HalfTensor, BFloat16Tensor, LongTensor, IntTensor),
    *(ShortTensor, CharTensor, ByteTensor, BoolTensor),
)


def set_default_tensor_type(t: Any) -> None:
    """Sets the default float type by an old class or its name, such as 'torch.DoubleTensor'.

    TypeError for integer classes, and for the CUDA ones, whose device `set_default_device` sets.
    """
    name = t if isinstance(t, str) else f"torch.{getattr(t, '__name__', t)}"
    found = [c for c in _CLASSES if f"torch.{c.__name__}" == name]
    if not found:
        raise TypeError(
            f"type {name} not available: one of {', '.join(c.__name__ for c in _CLASSES[:4])}. "
            "Use set_default_device for the device of new tensors."
        )
    dtypes.set_default_dtype(found[0].dtype)


def typename(obj: Any, /) -> str:
    """The name of a type with its module; for a Tensor the old name, 'torch.FloatTensor'."""
    if isinstance(obj, Tensor):
        return obj.type()  # type: ignore[attr-defined]
    if isinstance(obj, TensorType):
        return f"torch.{obj.__name__}"
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None)
    name = named.__qualname__
    return name if module in (None, "builtins", "") else f"{module}.{name}"
