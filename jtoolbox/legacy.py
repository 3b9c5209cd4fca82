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
    place: str

    def __call__(cls, *data: Any, device: Any = None) -> Tensor:
        if device is not None and str(device).partition(":")[0] != cls.place:
            raise RuntimeError(
                f"legacy constructor expects device type: {cls.place} but device type: {device} "
                "was passed"
            )
        if not data:
            made = zeros_of((0,), cls.dtype)
        elif len(data) == 1 and not isinstance(data[0], (int, Size)):
            made = _from_data(cls, data[0])
        else:
            made = zeros_of(data[0] if isinstance(data[0], Size) else data, cls.dtype)
        where = cls.place if device is None else device
        return made if cls.place == "cpu" else made.to(where)  # type: ignore[attr-defined]

    def __instancecheck__(cls, instance: Any) -> bool:
        fits = isinstance(instance, Tensor) and instance.dtype is cls.dtype
        return fits and instance.device.type == cls.place

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


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


def typed(name: str, dtype: dtypes.dtype, place: str = "cpu") -> TensorType:
    """The old class of a type on the CPU, or on another kind of device."""
    where = "CPU" if place == "cpu" else "GPU"
    text = (
        f"Tensors of {dtype.name} under PyTorch's old name: `{name}(2, 3)` gives zeros of that "
        f"shape (PyTorch leaves them undefined), `{name}([1, 2])` these values. `isinstance(x, "
        f"{name})` tells whether x has that type and lies on the {where}. TypeError for a tensor "
        "of another type."
    )
    module = "torch" if place == "cpu" else f"torch.{place}"
    members = {"dtype": dtype, "place": place, "__doc__": text, "__module__": module}
    return TensorType(name, (), members)


FloatTensor = typed("FloatTensor", dtypes.float32)
DoubleTensor = typed("DoubleTensor", dtypes.float64)
HalfTensor = typed("HalfTensor", dtypes.float16)
BFloat16Tensor = typed("BFloat16Tensor", dtypes.bfloat16)
LongTensor = typed("LongTensor", dtypes.int64)
IntTensor = typed("IntTensor", dtypes.int32)
ShortTensor = typed("ShortTensor", dtypes.int16)
CharTensor = typed("CharTensor", dtypes.int8)
ByteTensor = typed("ByteTensor", dtypes.uint8)
BoolTensor = typed("BoolTensor", dtypes.bool)

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
        return f"{obj.__module__}.{obj.__name__}"
    named = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(named, "__module__", None)
    name = named.__qualname__
    return name if module in (None, "builtins", "") else f"{module}.{name}"
