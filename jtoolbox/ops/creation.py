"""New tensors from sizes and numbers: zeros, full, eye, grids."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.record import Hooks
from jtoolbox.layouts import check_layout
from jtoolbox.ops.host import is_tensor

__all__ = [
    *("empty", "empty_like", "eye", "full", "full_like", "meshgrid", "ones", "ones_like"),
    *("scalar_tensor", "tril_indices", "triu_indices", "vander", "zeros", "zeros_like"),
]


# What creation functions share


def size_of(name: str, sizes: Sequence[Any]) -> tuple[int, ...]:
    """The shape given as `name(2, 3)` or `name((2, 3))`.

    Raises TypeError for what is no integer, RuntimeError for a negative size.
    """
    if len(sizes) == 1 and isinstance(sizes[0], Sequence) and not isinstance(sizes[0], str):
        sizes = sizes[0]
    for n in sizes:
        if not hasattr(n, "__index__"):
            raise TypeError(
                f"{name}(): argument 'size' must be tuple of ints, not {type(n).__name__}"
            )
    size = tuple(int(n) for n in sizes)
    if any(n < 0 for n in size):
        raise RuntimeError(f"{name}: Dimension size must be non-negative, got size {size}.")
    return size


def with_out(create: Callable[..., Any]) -> Callable[..., Any]:
    """Lets a function that makes tensors write into `out`, whose type then is the default."""

    @functools.wraps(create)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return create(*args, **kwargs)
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(out, "dtype", None)
        return Hooks.into(create, args, {**kwargs, "out": out})

    return call


def finished(result: Any, requires_grad: bool, layout: Any = None) -> Any:
    """The new tensor, a leaf that requires grad if that was asked for; no sparse one."""
    check_layout(layout)
    return result.requires_grad_() if requires_grad else result


def array_type(dtype: Any) -> np.dtype:
    """The type of a new array inside a body: the one asked for, or the default float."""
    return dtypes.canonical(dtypes.default_float() if dtype is None else dtypes.as_numpy(dtype))


def default_type(dtype: Any) -> Any:
    """The type asked for, or the default float: named before recording, as it may change."""
    return dtypes.get_default_dtype() if dtype is None else dtype


# Constants


def _host_zeros(size: tuple[int, ...], dtype: Any, device: Any) -> np.ndarray:
    return np.zeros(size, array_type(dtype))


def _host_ones(size: tuple[int, ...], dtype: Any, device: Any) -> np.ndarray:
    return np.ones(size, array_type(dtype))


@op(creates=True, saves="none", name="zeros", host=_host_zeros)
def _zeros(size: tuple[int, ...], dtype: Any, device: Any) -> Array:
    return jnp.zeros(size, array_type(dtype))


@op(creates=True, saves="none", name="ones", host=_host_ones)
def _ones(size: tuple[int, ...], dtype: Any, device: Any) -> Array:
    return jnp.ones(size, array_type(dtype))


@op(creates=True, saves="none", name="full")
def _full(fill_value: Array, size: tuple[int, ...], dtype: Any, device: Any) -> Array:
    return jnp.full(size, jnp.asarray(fill_value).astype(array_type(dtype)))


def named_size(size: tuple[Any, ...], named: Any) -> tuple[Any, ...]:
    return size if named is None else (named,)


@with_out
def zeros(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A tensor of zeros: `zeros(2, 3)` or `zeros((2, 3))`."""
    shape = size_of("zeros", named_size(sizes, size))
    result = _zeros(shape, default_type(dtype), devices.placement(device))
    return finished(result, requires_grad, layout)


@with_out
def ones(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A tensor of ones: `ones(2, 3)` or `ones((2, 3))`."""
    shape = size_of("ones", named_size(sizes, size))
    result = _ones(shape, default_type(dtype), devices.placement(device))
    return finished(result, requires_grad, layout)


@with_out
def empty(
    *sizes: Any,
    size: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Any:
    """A tensor whose values are not promised; here they are zeros."""
    shape = size_of("empty", named_size(sizes, size))
    result = _zeros(shape, default_type(dtype), devices.placement(device))
    return finished(result, requires_grad, layout)


def _type_of_number(value: Any) -> Any:
    """The type that a tensor of this number has: bool, int64, the default float, or complex."""
    d = getattr(value, "dtype", None)
    if d is not None:
        return dtypes.from_numpy(dtypes.as_numpy(d))
    if isinstance(value, bool):
        return dtypes.bool
    if isinstance(value, int):
        return dtypes.int64
    default = dtypes.get_default_dtype()
    return default.to_complex() if isinstance(value, complex) else default


@with_out
def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A tensor of one number, in the type of that number unless `dtype` says otherwise."""
    if not isinstance(size, Sequence) or isinstance(size, str):
        raise TypeError(
            f"full(): argument 'size' (position 1) must be tuple of ints, not {type(size).__name__}"
        )
    dtype = _type_of_number(fill_value) if dtype is None else dtype
    if dtypes.as_numpy(dtype) != np.float16 or not isinstance(fill_value, float):
        dtypes.check_number(fill_value, dtype)
    result = _full(fill_value, size_of("full", (size,)), dtype, devices.placement(device))
    return finished(result, requires_grad, layout)


def scalar_tensor(
    s: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A tensor without dimensions that holds a number, in the default float type."""
    settings = {"device": device, "requires_grad": requires_grad, "layout": layout}
    return full((), s, dtype=default_type(dtype), **settings)


# Tensors like others


@op(saves="none", differentiable=False, name="zeros_like")
def _constant_like(input: Array, value: int, dtype: Any) -> Array:
    return jnp.full(input.shape, value, input.dtype if dtype is None else array_type(dtype))


@op(saves="none", differentiable=False, name="full_like")
def _full_like(input: Array, fill_value: Array, dtype: Any) -> Array:
    d = input.dtype if dtype is None else array_type(dtype)
    return jnp.full(input.shape, jnp.asarray(fill_value).astype(d))


def placed(result: Any, device: Any, requires_grad: bool, layout: Any = None) -> Any:
    """A result moved to the device asked for, if any."""
    return finished(result if device is None else result.to(device), requires_grad, layout)


def _model(input: Any, device: Any) -> Any:
    """What a tensor is made like: for one without values that goes elsewhere, zeros there."""
    if device is None or not is_tensor(input) or not input.is_meta:
        return input
    return _zeros(tuple(input.shape), input.dtype, devices.placement(device))


def zeros_like(
    input: Array,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Zeros in the shape and type of `input`."""
    return placed(_constant_like(_model(input, device), 0, dtype), device, requires_grad, layout)


def ones_like(
    input: Array,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Ones in the shape and type of `input`."""
    return placed(_constant_like(_model(input, device), 1, dtype), device, requires_grad, layout)


def empty_like(
    input: Array,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """Values not promised (here zeros) in the shape and type of `input`."""
    return placed(_constant_like(_model(input, device), 0, dtype), device, requires_grad, layout)


def full_like(
    input: Array,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Any:
    """One number in the shape and type of `input`."""
    dtypes.check_number(fill_value, input.dtype if dtype is None else dtype)
    return placed(
        _full_like(_model(input, device), fill_value, dtype), device, requires_grad, layout
    )


# Matrices


@op(creates=True, saves="none", name="eye")
def _eye(n: int, m: int, dtype: Any, device: Any) -> Array:
    return jnp.eye(n, m, dtype=array_type(dtype))


@with_out
def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A matrix with ones on the diagonal and zeros elsewhere."""
    for name, size in (("n", n), ("m", m)):
        if size is not None and size < 0:
            raise RuntimeError(f"{name} must be greater or equal to 0, got {size}")
    place = devices.placement(device)
    return finished(
        _eye(n, n if m is None else m, default_type(dtype), place), requires_grad, layout
    )


@op(creates=True, saves="none", name="tril_indices")
def _triangle(lower: bool, row: int, col: int, offset: int, dtype: Any, device: Any) -> Array:
    if array_type(dtype).kind != "i" or array_type(dtype).itemsize < 4:
        raise NotImplementedError(
            f'"tril_indices" not implemented for {dtype}: indices are int32 or int64'
        )
    find = np.tril_indices if lower else np.triu_indices
    return jnp.asarray(np.stack(find(row, offset, col)), array_type(dtype))


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **_: Any
) -> Any:
    """Rows and columns, (2, n), of what is on and below a diagonal, row by row."""
    dtype = dtypes.int64 if dtype is None else dtype
    return _triangle(True, row, col, offset, dtype, devices.placement(device))


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, **_: Any
) -> Any:
    """Rows and columns, (2, n), of what is on and above a diagonal, row by row."""
    dtype = dtypes.int64 if dtype is None else dtype
    return _triangle(False, row, col, offset, dtype, devices.placement(device))


@op
def vander(x: Array, N: int | None = None, increasing: bool = False) -> Array:
    """The powers of a vector (..., n) as columns (..., n, N), the highest first."""
    count = x.shape[-1] if N is None else N
    if dtypes.kind(x.dtype) < 2:
        x = x.astype(dtypes.index_dtype())
    powers = [jnp.ones_like(x)]
    for _ in [None] * (count - 1):
        powers.append(powers[-1] * x)
    columns = powers[:count] if increasing else powers[:count][::-1]
    return jnp.stack(columns, -1) if columns else jnp.zeros((*x.shape, 0), x.dtype)


@op(name="vander")
def linalg_vander(x: Array, *, N: int | None = None) -> Array:
    """The powers of vectors (..., n) as columns (..., n, N), the lowest first: 1, x, x^2, ...

    N is n if not given. Raises RuntimeError if N is less than 2 or x holds booleans.
    """
    if x.dtype == bool:
        raise RuntimeError(
            "linalg.vander supports floating point, complex, and integer tensors, but got Bool"
        )
    dtypes.refuse("linalg.vander", x, "half")
    vectors = jnp.atleast_1d(x)
    count = vectors.shape[-1] if N is None else N
    if count <= 1:
        raise RuntimeError(f"N must be greater than 1, but it is {count}.")
    return vander(vectors, count, True)


@op(saves="none")
def _meshgrid(tensors: Sequence[Array], indexing: str) -> tuple[Array, ...]:
    for x in tensors:
        if x.ndim > 1:
            raise RuntimeError(
                "torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got shape "
                f"{tuple(x.shape)}"
            )
        if x.dtype != tensors[0].dtype:
            raise RuntimeError("torch.meshgrid expects all tensors to have the same dtype")
    lines = [x.reshape(-1) for x in tensors]
    return tuple(jnp.meshgrid(*lines, indexing=indexing))


def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """Grids of coordinates from one line each; 'ij' counts rows first, 'xy' columns first."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
    elif indexing not in ("ij", "xy"):
        raise RuntimeError(
            'torch.meshgrid: indexing must be one of "xy" or "ij", but received: ' + indexing
        )
    return tuple(_meshgrid(list(tensors), indexing or "ij"))
