"""Every name that a checkpoint may use, with the plain constructor that jtoolbox runs for it.

None of them is looked up by import: a name in a file is a key of the table below, or an error.
"""

from __future__ import annotations

import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any

from jtoolbox import dtypes
from jtoolbox.serialization.machine import Internal, check_key, describe, refuse
from jtoolbox.serialization.safe_globals import is_marked_safe
from jtoolbox.serialization.storages import Storage
from jtoolbox.serialization.tensors import Size, Tensor, device, make_parameter

__all__ = ["STORAGE_DTYPES", "StorageType", "find_global", "find_global_without_tensors"]

_UNKNOWN = (
    "Weights only load failed. Unsupported global: GLOBAL {name} was not an allowed global by "
    "default. jtoolbox builds plain data from a file and never runs its code{marked}. If you trust "
    "the file, open it in PyTorch and save only plain data from it: tensors, numbers, strings, "
    "lists, dicts; of a whole module, model.state_dict()"
)
_MARKED = ", which add_safe_globals does not change"
_UNSUPPORTED = (
    "Unsupported global: GLOBAL {name}: jtoolbox has no {kind}. In PyTorch, {advice} and save again"
)
_DROPPED = "Python attributes of a tensor in the file are left out: {names}"

# Type names of storages, less "Storage", as torch.save writes them.
STORAGE_DTYPES = {
    "Double": dtypes.float64,
    "Float": dtypes.float32,
    "Half": dtypes.float16,
    "BFloat16": dtypes.bfloat16,
    "Long": dtypes.int64,
    "Int": dtypes.int32,
    "Short": dtypes.int16,
    "Char": dtypes.int8,
    "Byte": dtypes.uint8,
    "Bool": dtypes.bool,
    "ComplexFloat": dtypes.complex64,
    "ComplexDouble": dtypes.complex128,
}


class StorageType(Internal):
    """The class of a storage, which says the type of its elements; None for raw bytes."""

    def __init__(self, name: str, dtype: dtypes.dtype | None):
        self.name = name
        self.dtype = dtype

    def __str__(self) -> str:
        return self.name


class Constructor(Internal):
    """A name that may be called, and the function that stands for it."""

    def __init__(self, name: str, build: Callable[..., Any] | None):
        self.name = name
        self.build = build

    def __str__(self) -> str:
        return self.name


def find_global(module: str, name: str) -> Any:
    """What the table has for a name; `pickle.UnpicklingError` that says the name otherwise."""
    module = {"__builtin__": "builtins"}.get(module, module)
    full = f"{module}.{name}"
    try:
        return _TABLE[full]
    except KeyError:
        pass
    for part, (kind, advice) in _KNOWN_BUT_ABSENT.items():
        if full.startswith("torch.") and part in full:
            raise refuse(_UNSUPPORTED.format(name=full, kind=kind, advice=advice))
    raise refuse(_UNKNOWN.format(name=full, marked=_MARKED if is_marked_safe(full) else ""))


def find_global_without_tensors(module: str, name: str) -> Any:
    """`find_global` for a first pass over a file, in which every tensor is None."""
    found = find_global(module, name)
    if isinstance(found, Constructor) and found.name.startswith(("torch._", "torch.nn")):
        return Constructor(found.name, lambda *_: None)
    return found


def _ordered_dict(pairs: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((check_key(key), _plain(value)) for key, value in _sequence(pairs))


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise refuse("a Counter is made of something else than a dict")
    return Counter(counts or {})


def _set(items: Any = ()) -> set[Any]:
    return {check_key(item) for item in _sequence(items)}


def _complex(real: Any, imaginary: Any) -> complex:
    if type(real) is not float or type(imaginary) is not float:
        raise refuse("a complex number is made of something else than two floats")
    return complex(real, imaginary)


def _bytearray(data: Any = b"") -> bytearray:
    if type(data) is not bytes:
        raise refuse("a bytearray is made of something else than bytes")
    return bytearray(data)


def _encode(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise refuse("_codecs.encode is used for something else than bytes")
    return text.encode("latin-1")


def _size(sizes: Any = ()) -> Size:
    if not all(type(n) is int for n in _sequence(sizes)):
        raise refuse("a torch.Size is made of something else than integers")
    return Size(sizes)


def _device(kind: Any, index: Any = None) -> device:
    if type(kind) is not str or not (index is None or type(index) is int):
        raise refuse("a torch.device is made of something else than a name and an index")
    return device(kind) if index is None else device(kind, index)


def _tensor_v1(storage: Any, offset: Any, size: Any, stride: Any) -> Any:
    return _tensor_v2(storage, offset, size, stride, False)


def _tensor_v2(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any = None,
    metadata: Any = None,
) -> Any:
    dtype = getattr(storage, "dtype", None)
    return _tensor_v3(storage, offset, size, stride, requires_grad, hooks, dtype, metadata)


def _tensor_v3(
    storage: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Any:
    if type(storage) is not Storage or type(dtype) is not dtypes.dtype:
        raise refuse("a tensor is made of something else than a storage and a type")
    if hooks:
        raise refuse("a tensor carries hooks")
    flags = _flags(metadata)
    return storage.pool.tensor(storage, dtype, offset, size, stride, requires_grad, flags)


def _flags(metadata: Any) -> tuple[str, ...]:
    """Which of PyTorch's lazy operations, "conj" and "neg", are still to be done on the values."""
    if not metadata:
        return ()
    if type(metadata) is not dict or not metadata.keys() <= {"conj", "neg"}:
        names = ", ".join(map(describe, metadata)) if isinstance(metadata, dict) else "no dict"
        raise refuse(f"a tensor has metadata that jtoolbox does not know: {names}")
    return tuple(name for name in ("conj", "neg") if metadata.get(name))


def _parameter(data: Any, requires_grad: Any = True, hooks: Any = None) -> Any:
    return _parameter_with_state(data, requires_grad, hooks, None)


def _parameter_with_state(data: Any, requires_grad: Any, hooks: Any, state: Any) -> Any:
    if hooks:
        raise refuse("a Parameter carries hooks")
    _warn_of_attributes(state)
    if not isinstance(data, Tensor) or type(requires_grad) is not bool:
        raise refuse("a Parameter is made of something else than a tensor and a bool")
    return make_parameter(data, requires_grad)


def _from_type(function: Any, kind: Any, arguments: Any, state: Any) -> Any:
    """A tensor with Python attributes. These are left out: jtoolbox sets none from a file."""
    build = function.build if isinstance(function, Constructor) else None
    if build not in _TENSOR_BUILDERS or kind not in (_TENSOR, _PARAMETER):
        raise refuse(f"{describe(kind)}, a subclass of Tensor, is rebuilt by {describe(function)}")
    _warn_of_attributes(state)
    return build(*_sequence(arguments)) if build else None


def _warn_of_attributes(state: Any) -> None:
    names = ", ".join(sorted(map(describe, state))) if isinstance(state, dict) else ""
    if names:
        warnings.warn(_DROPPED.format(names=names[:200]), stacklevel=2)


def _sequence(items: Any) -> Any:
    if not isinstance(items, (list, tuple)):
        raise refuse(f"arguments are a {type(items).__name__}, expected a list or a tuple")
    return items


def _plain(value: Any) -> Any:
    if isinstance(value, Internal):
        raise refuse(f"{value} stands where a value is expected")
    return value


_TENSOR_BUILDERS = (_tensor_v1, _tensor_v2, _tensor_v3)
_TENSOR = Constructor("torch.Tensor", None)
_PARAMETER = Constructor("torch.nn.parameter.Parameter", _parameter)

_CONSTRUCTORS = {
    "collections.OrderedDict": _ordered_dict,
    "collections.Counter": _counter,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "builtins.bytearray": _bytearray,
    "_codecs.encode": _encode,
    "torch.Size": _size,
    "torch.device": _device,
    "torch._utils._rebuild_tensor": _tensor_v1,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_v3,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter_with_state,
    "torch._tensor._rebuild_from_type_v2": _from_type,
}
_TABLE: dict[str, Any] = {
    **{name: Constructor(name, build) for name, build in _CONSTRUCTORS.items()},
    **{f"torch.{d.name}": d for d in dtypes.ALL},
    **{
        f"{module}.{name}Storage": StorageType(f"{module}.{name}Storage", d)
        for module in ("torch", "torch.cuda")
        for name, d in STORAGE_DTYPES.items()
    },
    **{
        f"{module}.UntypedStorage": StorageType(f"{module}.UntypedStorage", None)
        for module in ("torch", "torch.storage")
    },
    "torch.Tensor": _TENSOR,
    "torch.nn.parameter.Parameter": _PARAMETER,
}
_KNOWN_BUT_ABSENT = {
    "_rebuild_sparse": ("sparse tensors", "call .to_dense() on them"),
    "sparse": ("sparse tensors", "call .to_dense() on them"),
    "_rebuild_qtensor": ("quantized tensors", "call .dequantize() on them"),
    "QInt": ("quantized tensors", "call .dequantize() on them"),
    "QUInt": ("quantized tensors", "call .dequantize() on them"),
    "_rebuild_nested": ("nested tensors", "call .to_padded_tensor() or .unbind() on them"),
    "_rebuild_meta": ("tensors without values (device 'meta')", "give them values"),
    "float8": ("such number type", "call .to(torch.bfloat16) on these tensors"),
    "float4": ("such number type", "call .to(torch.bfloat16) on these tensors"),
    "complex32": ("such number type", "call .to(torch.complex64) on these tensors"),
}
