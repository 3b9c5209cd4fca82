"""Hangs the functions of `ops` on Tensor: methods, operators, in-place variants, properties.

Most of it follows from names. A name that is both an attribute of PyTorch's Tensor and a function
here becomes a method; the same name with an underscore becomes the in-place method. What follows
no rule is spelled out in the tables below.
"""

from __future__ import annotations

import difflib
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jtoolbox import dtypes, ops
from jtoolbox.engine import inplace
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.modes import mode
from jtoolbox.engine.record import Hooks, node_of
from jtoolbox.ops import (
    conversion,
    facts,
    filling,
    index_write,
    indexing,
    printing,
    shape,
    strided,
    strides,
)
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import invert
from jtoolbox.ops.torch_names import MODULE_NAMES, TENSOR_NAMES

__all__ = ["install", "missing_attribute", "missing_name"]

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: getattr(ops, name) for name in ops.__all__},
    **{name: getattr(conversion, name) for name in ("cpu", "cuda", "type_as")},
}


# --- methods that follow no rule ------------------------------------------------------------------


def _varargs(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """`x.permute(1, 0)` and `x.permute((1, 0))` of a function that takes a tuple."""

    def method(self: Any, *dims: Any, **kwargs: Any) -> Any:
        if not dims:
            return function(self, **kwargs)
        return function(self, shape.sizes(dims, name), **kwargs)

    return functools.update_wrapper(method, function)


def _reshape_as(self: Any, other: Any) -> Any:
    """The same elements in the shape of `other`."""
    return shape.reshape(self, tuple(other.shape))


def _sum_to_size(self: Any, *size: Any) -> Any:
    """The sum over what `expand` would repeat to come from `size` to this shape."""
    size = shape.sizes(size, "sum_to_size")
    if not size:
        return ops.sum(self)
    extra = self.ndim - len(size)
    dims = [i for i, n in enumerate(self.shape) if i < extra or (size[i - extra] == 1 and n != 1)]
    if extra < 0 or any(n != m for n, m in zip(self.shape[max(0, extra):], size, strict=False)
                        if m != 1):  # fmt: skip
        raise RuntimeError(
            f"size {{{list(size)}}} is not expandable to size {{{list(self.shape)}}}."
        )
    return shape.reshape(ops.sum(self, dims), size) if dims else shape.reshape(self, size)


def _split(self: Any, split_size: Any, dim: int = 0) -> Any:
    """Pieces of one size along `dim` (the last may be smaller), or of the sizes in a list."""
    return ops.split(self, split_size, dim)


def _where(self: Any, condition: Any, other: Any) -> Any:
    """This tensor where `condition` is true, else `other`."""
    return ops.where(condition, self, other)


def _polygamma(self: Any, n: int) -> Any:
    """The n-th derivative of digamma."""
    return ops.polygamma(n, self)


def _new(creator: Callable[..., Any], values: int) -> Callable[..., Any]:
    """`new_zeros` and its like: `creator` with this tensor's dtype and device as defaults.

    The first `values` arguments come after the size in the creating function's own order.
    """

    def method(self: Any, *args: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> Any:
        kwargs["dtype"] = self.dtype if dtype is None else dtype
        kwargs["device"] = _place(self) if device is None else device
        size = kwargs.pop("size", None)
        if size is not None:
            args = (size, *args)
        if not values:
            args = (shape.sizes(args, creator.__name__),)
        return creator(*args, **kwargs)

    method.__doc__ = f"`{creator.__name__}` with the dtype and device of this tensor as defaults."
    return method


def _place(self: Any) -> Any:
    """The device to make a companion on: None where it is the default one."""
    return node_of(self).aval.device


def _cast_method(dtype: dtypes.dtype) -> Callable[..., Any]:
    def method(self: Any, memory_format: Any = None) -> Any:
        return conversion.cast(self, dtype)

    method.__doc__ = f"This tensor as {dtype.name}; itself when it is one."
    return method


def _is_nonzero(self: Any) -> bool:
    """Whether the one element is not zero; RuntimeError when there are more."""
    return bool(self)


def _is_same_size(self: Any, other: Any) -> bool:
    """Whether both have the same shape."""
    return tuple(self.shape) == tuple(other.shape)


def _is_signed(self: Any) -> bool:
    """Whether the type has negative numbers."""
    return self.dtype.is_signed


def _is_contiguous(self: Any, memory_format: Any = None) -> bool:
    """Whether PyTorch would store the rows one after another. True for other memory formats, which
    are the compiler's business here."""
    other = memory_format is not None and "channels_last" in str(memory_format)
    return other or strides.are_contiguous(self.shape, strides.strides_of(self))


def _pin_memory(self: Any, device: Any = None) -> Any:
    """This tensor: transfers need no pinned memory here."""
    return self


def _new_legacy(self: Any, *data: Any) -> Any:
    """`x.new(2, 3)`: zeros of that shape; `x.new([1, 2])`: these values; both in this type."""
    if not data:
        return _METHODS["new_zeros"](self, 0)
    if len(data) == 1 and not isinstance(data[0], int) and type(data[0]).__name__ != "Size":
        return self.new_tensor(data[0])
    return _METHODS["new_zeros"](self, *data)


def _stride(self: Any, dim: int | None = None) -> Any:
    """How many elements apart neighbours lie in each dimension, as PyTorch would store them."""
    steps = strides.strides_of(self)
    return steps if dim is None else steps[canonical_dim(dim, self.ndim)]


def _resize_as(self: Any, other: Any, memory_format: Any = None) -> Any:
    return facts.resized(self, *other.shape)


def _reversed(self: Any) -> Any:
    return ops.flip(self, 0) if self.ndim else self


def _len(self: Any) -> int:
    if not self.ndim:
        raise TypeError("len() of a 0-d tensor")
    return self.shape[0]


def _iter(self: Any) -> Iterator[Any]:
    if not self.ndim:
        raise TypeError("iteration over a 0-d tensor")
    return (indexing.getitem(self, i) for i in range(self.shape[0]))


def _contains(self: Any, element: Any) -> bool:
    if not hasattr(element, "dtype") and not isinstance(element, (int, float, complex)):
        raise RuntimeError(
            "Tensor.__contains__ only supports Tensor or scalar, but you passed in a "
            f"{type(element)}."
        )
    return bool(ops.any(ops.eq(self, element)))


def _setitem(self: Any, index: Any, value: Any) -> None:
    indexing.setitem(self, index, value)


def _apply(self: Any, function: Callable[[Any], Any]) -> Any:
    """Replaces each element by `function(element)`, on the host."""
    values = [function(v) for v in self.detach().reshape(-1).tolist()]
    return inplace(self, np.array(values, dtypes.as_numpy(self.dtype)).reshape(self.shape))


_METHODS: dict[str, Callable[..., Any]] = {
    **{name: _varargs(getattr(shape, name), name) for name in ("permute", "reshape")},
    **{name: FUNCTIONS[name] for name in ("view", "expand", "repeat", "tile", "flip")},
    **{"t": shape.t, "reshape_as": _reshape_as, "sum_to_size": _sum_to_size, "where": _where},
    "split": _split,
    "polygamma": _polygamma,
    "broadcast_to": _varargs(shape.broadcast_to, "broadcast_to"),
    **{"new_zeros": _new(ops.zeros, 0), "new_ones": _new(ops.ones, 0)},
    **{"new_empty": _new(ops.empty, 0), "new_full": _new(ops.full, 1)},
    **{"to": conversion.to, "type": conversion.type_of, "is_nonzero": _is_nonzero},
    **{"is_same_size": _is_same_size, "is_signed": _is_signed, "is_contiguous": _is_contiguous},
    **{"pin_memory": _pin_memory, "apply_": _apply},
    "new": _new_legacy,
    **{"stride": _stride, "__reversed__": _reversed},
    **{"unsafe_chunk": ops.chunk, "unsafe_split": ops.split},
    "unsafe_split_with_sizes": ops.split_with_sizes,
    **{"float": _cast_method(dtypes.float32), "double": _cast_method(dtypes.float64)},
    **{"half": _cast_method(dtypes.float16), "bfloat16": _cast_method(dtypes.bfloat16)},
    **{"long": _cast_method(dtypes.int64), "int": _cast_method(dtypes.int32)},
    **{"short": _cast_method(dtypes.int16), "char": _cast_method(dtypes.int8)},
    **{"byte": _cast_method(dtypes.uint8), "bool": _cast_method(dtypes.bool)},
    **{"cfloat": _cast_method(dtypes.complex64), "cdouble": _cast_method(dtypes.complex128)},
    **{"__len__": _len, "__iter__": _iter, "__contains__": _contains},
    **{"__getitem__": indexing.getitem, "__setitem__": _setitem},
    **facts.METHODS,
}

_PROPERTIES: dict[str, Callable[[Any], Any]] = {
    **{"T": shape.reverse_dims, "mT": shape.matrix_transpose, "H": shape.conjugate_transpose},
    **{"mH": shape.adjoint, "real": ops.real, "imag": ops.imag},
    "is_cpu": lambda self: self.device.type == "cpu",
    **facts.PROPERTIES,
}

# Operator: the function, and for those with a reflected form whether it exists.
_BINARY = {
    **{"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "floordiv": "floor_divide"},
    **{"mod": "remainder", "pow": "pow", "matmul": "matmul", "and": "bitwise_and"},
    **{"or": "bitwise_or", "xor": "bitwise_xor", "lshift": "bitwise_left_shift"},
    "rshift": "bitwise_right_shift",
}
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
_UNARY = {"neg": "neg", "pos": "positive", "abs": "abs"}

# In-place methods whose name says another function than the one without underscore.
_WRITES: dict[str, Callable[..., Any]] = {
    **{"zero": filling.zero, "fill": filling.fill, "uniform": ops.uniform_like},
    "bernoulli": ops.bernoulli_like,
    **{"normal": ops.normal_like, "exponential": ops.exponential_like},
    **{"cauchy": ops.cauchy_like, "geometric": ops.geometric_like},
    **{"log_normal": ops.log_normal_like, "random": ops.random_like},
}
# Keywords of PyTorch's random fills that Python reserves, or that the functions name otherwise.
_KEYWORDS = {"from": "low", "to": "high"}
_RESHAPING = {
    **{"squeeze": shape.squeeze, "unsqueeze": shape.unsqueeze, "transpose": shape.transpose},
    **{"swapaxes": shape.swapaxes, "swapdims": shape.swapdims, "t": shape.t},
    **{"resize": facts.resized, "resize_as": _resize_as},
    "as_strided": strided.as_strided,
}


# --- operators ------------------------------------------------------------------------------------


def _operand(value: Any) -> bool:
    if isinstance(value, (Handle, int, float, complex)):
        return True
    return hasattr(value, "dtype") and not getattr(value, "is_sparse", False)


def _operator(function: Callable[..., Any], reflected: bool = False) -> Callable[..., Any]:
    """A binary operator. What is no operand is left to the other side (NotImplemented)."""

    def method(self: Any, other: Any) -> Any:
        if not _operand(other):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return method


def _comparison(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, other: Any) -> Any:
        return function(self, other) if _operand(other) else NotImplemented

    method.__name__ = f"__{name}__"
    return method


# --- in place -------------------------------------------------------------------------------------


_CAST = "result type {} can't be cast to the desired output type {}"


def written(x: Any, result: Any) -> Any:
    """Gives `x` the value of `result`, in its own type; raises where shape or type do not fit."""
    target, found = node_of(x).aval, node_of(result).aval
    if found.shape != target.shape:
        raise RuntimeError(
            f"output with shape {list(target.shape)} doesn't match the broadcast shape "
            f"{list(found.shape)}"
        )
    if found.dtype != target.dtype:
        if dtypes.kind(found.dtype) > dtypes.kind(target.dtype):
            names = (conversion.legacy_name(d) for d in (found.dtype, target.dtype))
            raise RuntimeError(_CAST.format(*names))
        result = conversion.cast(result, target.dtype)
    return inplace(x, result)


_RESIZED = (
    "An output with one or more elements was resized since it had shape {}, which does not match "
    "the required output shape {}. Give one of that shape, or an empty one: torch.empty(0)"
)


def into(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`function(..., out=tensor)`: writes the result, or each of several, into a tensor."""
    out = kwargs["out"]
    result = function(*args, **{k: v for k, v in kwargs.items() if k != "out"})
    if out is None:
        return result
    if not isinstance(result, tuple):
        return _into_one(out, result)
    written_ones = [_into_one(o, r) for o, r in zip(out, result, strict=True)]
    return type(result)(*written_ones) if hasattr(result, "_fields") else tuple(written_ones)


def _into_one(out: Any, result: Any) -> Any:
    if not isinstance(out, Handle):
        raise TypeError(
            f"argument 'out' must be Tensor, not {type(out).__name__}: arrays never change"
        )
    if mode.grad and (node_of(result).requires_grad or node_of(out).requires_grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of "
            "the arguments requires grad. Use the result, or wrap the line in no_grad()"
        )
    shapes = [list(node_of(t).aval.shape) for t in (out, result)]
    if shapes[0] == shapes[1]:
        return written(out, result)
    if math.prod(shapes[0]):
        warnings.warn(_RESIZED.format(*shapes), UserWarning, stacklevel=4)
    if out._view is not None:
        raise RuntimeError(f"out= of shape {shapes[0]} is a view and cannot take {shapes[1]}")
    out.data = written(conversion.cast(filling.zero(result), out.dtype), result)  # type: ignore[attr-defined]
    return out


def _in_place(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The method that computes `function(self, ...)` and writes the result into `self`."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return written(self, function(self, *args, **kwargs))

    method.__name__ = name
    method.__doc__ = f"`{name.rstrip('_')}`, in place: writes the result into this tensor."
    return method


def _random_write(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        kwargs = {_KEYWORDS.get(key, key): value for key, value in kwargs.items()}
        return written(self, function(self, *args, **kwargs))

    method.__name__ = name
    method.__doc__ = function.__doc__
    return method


def _reshaping(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`squeeze_` and its like: the tensor itself takes another shape."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._view is not None or _has_views(self):
            raise RuntimeError(
                f"{name} of a tensor that is a view, or has views, is not supported: use "
                f"x = x.{name.rstrip('_')}(...) instead."
            )
        result = function(self, *args, **kwargs)
        return inplace(self, conversion.clone(result))

    method.__name__ = name
    method.__doc__ = f"`{name.rstrip('_')}`, in place: this tensor takes the new shape."
    return method


def _has_views(self: Any) -> bool:
    family = self._family
    return family is not None and any(member() is not None for member in family.members)


def _copy_(self: Any, other: Any, non_blocking: bool = False) -> Any:
    """Writes the elements of `other`, broadcast to this shape and cast to this type."""
    if not hasattr(other, "dtype"):
        raise TypeError(
            f"copy_(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}"
        )
    if hasattr(other, "_node") and node_of(other).aval.device != _place(self):
        other = conversion.to(other, self.device)
    return inplace(self, filling.copy(self, other))


def _float_power_(self: Any, exponent: Any) -> Any:
    """`float_power`, in place: only a tensor of double precision can hold its result."""
    result = ops.float_power(self, exponent)
    if result.dtype != self.dtype:
        raise RuntimeError(
            f"the base given to float_power_ has dtype {self.dtype} but the operation's result "
            f"requires dtype {result.dtype}"
        )
    return written(self, result)


def _index_put_(self: Any, indices: Any, values: Any, accumulate: bool = False) -> Any:
    """`index_put`, in place: writes values at the positions that the index tensors name."""
    return inplace(self, indexing.index_put(self, indices, values, accumulate))


# --- installation ---------------------------------------------------------------------------------


def install(tensor: type, **more: Callable[..., Any]) -> None:
    """Gives the Tensor class its methods, operators and properties, and its text.

    `more` are functions from elsewhere to be methods too, with their in-place forms, such as
    `relu` and `softmax`.
    """
    names: list[str] = [str(name) for name in TENSOR_NAMES.split()]
    functions = {**FUNCTIONS, **more}
    plain = {name: functions[name] for name in names if name in functions}
    for name, method in {**plain, **_written_methods(names, functions), **_METHODS}.items():
        if name not in vars(tensor) or name.startswith("__"):
            setattr(tensor, name, method)
    for name, function in _PROPERTIES.items():
        setattr(tensor, name, property(function, doc=function.__doc__))
    _install_operators(tensor, functions)
    tensor.__array_priority__ = 1000  # type: ignore[attr-defined]  # so that NumPy's operators yield
    Hooks.format = staticmethod(printing.format_tensor)
    Hooks.missing = staticmethod(missing_attribute)
    Hooks.into = staticmethod(into)


def _written_methods(names: list[str], functions: dict[str, Any]) -> dict[str, Any]:
    """The in-place methods: for each name with an underscore, the function that it writes."""
    methods = {
        name: _in_place(name, functions[name[:-1]])
        for name in names
        if name.endswith("_") and not name.startswith("__") and name[:-1] in functions
    }
    for name, function in _WRITES.items():
        methods[f"{name}_"] = _random_write(f"{name}_", function)
    for name, function in _RESHAPING.items():
        methods[f"{name}_"] = _reshaping(f"{name}_", function)
    methods["fill_diagonal_"] = index_write.fill_diagonal
    methods["copy_"] = _copy_
    methods["index_put_"], methods["float_power_"] = _index_put_, _float_power_
    methods["polygamma_"] = _in_place("polygamma_", _polygamma)
    return methods


def _install_operators(tensor: type, functions: dict[str, Any]) -> None:
    for operator, name in _BINARY.items():
        function = functions[name]
        setattr(tensor, f"__{operator}__", _operator(function))
        setattr(tensor, f"__r{operator}__", _operator(function, reflected=True))
        if operator != "matmul":
            setattr(tensor, f"__i{operator}__", _operator(_in_place(f"{name}_", function)))
    tensor.__rdiv__ = tensor.__rtruediv__  # type: ignore[attr-defined]  # PyTorch keeps this name
    for name in _COMPARISONS:
        setattr(tensor, f"__{name}__", _comparison(name, functions[name]))
    for operator, name in _UNARY.items():
        setattr(tensor, f"__{operator}__", functions[name])
    tensor.__invert__ = invert  # type: ignore[attr-defined]


# --- names that are not there ---------------------------------------------------------------------


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def missing_attribute(name: str) -> str:
    """What to say when a Tensor has no attribute `name`: a feature of PyTorch that is not here, or
    no attribute at all, and the nearest one that exists."""
    here = [n for n in dir(Hooks.tensor) if not n.startswith("_")]
    if name in TENSOR_NAMES.split():
        near = difflib.get_close_matches(name, here, n=1, cutoff=0.5)
        return f"jtoolbox has no Tensor.{name}, which PyTorch has." + (
            f" The nearest here is '{near[0]}'." if near else ""
        )
    return f"'Tensor' object has no attribute '{name}'." + _nearest(name, here)


def missing_name(name: str, here: list[str], module: str = "jtoolbox") -> str:
    """What to say when the top module has no `name`; `here` are the names that it has."""
    if name in ("complex32", "chalf"):
        return f"{module} has no '{name}', as JAX has no such type: use complex64."
    if name in MODULE_NAMES.split():
        near = difflib.get_close_matches(name, here, n=1, cutoff=0.5)
        return f"{module} has no '{name}', which PyTorch's torch has." + (
            f" The nearest here is '{near[0]}'." if near else ""
        )
    return f"module '{module}' has no attribute '{name}'." + _nearest(name, here)
