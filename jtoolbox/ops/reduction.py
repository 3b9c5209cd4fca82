"""Many numbers to one: sums, means, extremes, norms, over all dimensions or some of them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import Handle
from jtoolbox.ops import return_types
from jtoolbox.ops.choosing import maximum, minimum
from jtoolbox.ops.dims import canonical_dim, canonical_dims
from jtoolbox.ops.elementwise import is_complex, is_integer

__all__ = [
    *("all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero"),
    *("logsumexp", "max", "mean", "min", "nanmean", "nansum", "prod", "sum"),
]

Dims = int | Sequence[int] | None


def accumulated(x: Array, dtype: Any) -> Array:
    """x in the type of its sum: what was asked for, or int64 for bools and integers."""
    if dtype is not None:
        return x.astype(dtypes.canonical(dtypes.as_numpy(dtype)))
    return x.astype(dtypes.index_dtype()) if is_integer(x) else x


# Sums


def _type_to_name(x: Array) -> Any:
    """The type in which JAX shall add: that of x. Unnamed, half precision is added up in float32
    and rounded once."""
    return None if dtypes.is_half(x.dtype) else x.dtype


@op(saves="none")
def sum(input: Array, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    """The sum over `dim` (all dimensions if None). Integers and bools sum to int64."""
    x = accumulated(input, dtype)
    return jnp.sum(x, canonical_dims(dim, x.ndim), dtype=_type_to_name(x), keepdims=keepdim)


@op(refuses=("complex",))
def nansum(input: Array, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    """The sum over `dim` of what is not NaN."""
    x = accumulated(input, dtype)
    dims = canonical_dims(dim, x.ndim)
    present = jnp.where(jnp.isnan(x), 0, x)
    return jnp.sum(present, dims, dtype=_type_to_name(x), keepdims=keepdim)


@op(saves="both")
def prod(
    input: Array, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """The product over `dim` (all dimensions if None); its gradient is right at zeros too."""
    x = accumulated(input, dtype)
    return jnp.prod(x, canonical_dims(dim, x.ndim), dtype=_type_to_name(x), keepdims=keepdim)


def _floats_to_average(name: str, x: Array, dtype: Any) -> Array:
    if dtype is not None:
        x = x.astype(dtypes.canonical(dtypes.as_numpy(dtype)))
    if is_integer(x):
        raise RuntimeError(
            f"{name}(): could not infer output dtype. Input dtype must be either a floating point "
            f"or complex dtype. Got: {dtypes.from_numpy(x.dtype)}. Use .float() or dtype=."
        )
    return x


@op(saves="none")
def mean(input: Array, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    """The mean over `dim` (all dimensions if None). Raises RuntimeError for integers."""
    x = _floats_to_average("mean", input, dtype)
    return jnp.mean(x, canonical_dims(dim, x.ndim), keepdims=keepdim)


@op(refuses=("complex",))
def nanmean(input: Array, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None) -> Array:
    """The mean over `dim` of what is not NaN."""
    x = _floats_to_average("nanmean", input, dtype)
    dims = canonical_dims(dim, x.ndim)
    present = ~jnp.isnan(x)
    total = jnp.sum(jnp.where(present, x, 0), dims, keepdims=keepdim)
    return total / jnp.sum(present, dims, dtype=jnp.int32, keepdims=keepdim).astype(x.dtype)


@op(differentiable=False)
def count_nonzero(input: Array, dim: Dims = None) -> Array:
    """How many elements over `dim` are not zero."""
    dims = canonical_dims(dim, input.ndim)
    return jnp.sum(input != 0, dims, dtype=dtypes.index_dtype())


# Logic


def _logical(x: Array, result: Array) -> Array:
    return result.astype(jnp.uint8) if x.dtype == jnp.uint8 else result


@op(differentiable=False)
def all(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether all elements over `dim` are true; an empty set is."""
    dims = canonical_dims(dim, input.ndim)
    return _logical(input, jnp.all(input, dims, keepdims=keepdim))


@op(differentiable=False)
def any(input: Array, dim: Dims = None, keepdim: bool = False) -> Array:
    """Whether any element over `dim` is true; in an empty set none is."""
    dims = canonical_dims(dim, input.ndim)
    return _logical(input, jnp.any(input, dims, keepdims=keepdim))


# Extremes


def not_empty(name: str, x: Array, dims: Sequence[int], asked: Any = 0) -> None:
    """Raises PyTorch's errors for an extreme of no elements."""
    if asked is None and x.size == 0:
        kind = IndexError if name.startswith("arg") else RuntimeError
        raise kind(
            f"{name}(): Expected reduction dim to be specified for input.numel() == 0. Specify the "
            f"reduction dim with the 'dim' argument; the shape is {tuple(x.shape)}."
        )
    for d in dims:
        if x.shape[d] == 0:
            raise IndexError(
                f"{name}(): Expected reduction dim {d} to have non-zero size, "
                f"got shape {tuple(x.shape)}."
            )


@functools.partial(jax.custom_jvp, nondiff_argnums=(3,))
def taken(x: Array, values: Array, index: Array, axis: int) -> Array:
    """The elements of x at `index` along an axis (kept as 1), whose `values` are known already.

    NOTE: no scatter. The gradient of a gather is a scatter, which is slow on a CPU. Here it is a
    comparison of `index` with the positions, which fuses into whatever uses the gradient.
    """
    return values


@taken.defjvp
def _taken_jvp(axis: int, primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, values, index = primals
    chosen = jax.lax.broadcasted_iota(index.dtype, x.shape, axis) == index
    return values, jnp.sum(jnp.where(chosen, tangents[0], 0), axis, keepdims=True)


def first_extreme(x: Array, axis: int, largest: bool) -> tuple[Array, Array]:
    """The extreme along an axis and where it is first met (int32), the axis kept as 1.

    NaN is beyond every number. Two plain reductions, which XLA runs faster than one over pairs.
    """
    values = (jnp.max if largest else jnp.min)(x, axis, keepdims=True)
    found = x == values
    if not is_integer(x):
        found = found | jnp.isnan(x)
    positions = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    last = x.shape[axis] - 1
    return values, jnp.min(jnp.where(found, positions, last), axis, keepdims=True)


def named(kind: Any, x: Array, values: Array, index: Array, axis: int, keepdim: bool) -> Any:
    """A named (values, indices) with the axis kept or not, for x or a 0-d tensor seen as (1,)."""
    index = index.astype(dtypes.index_dtype())
    if x.ndim == 0:
        return kind(values.reshape(()), index.reshape(()))
    if keepdim:
        return kind(values, index)
    return kind(jnp.squeeze(values, axis), jnp.squeeze(index, axis))


def _extreme_along(name: str, x: Array, dim: int, keepdim: bool, largest: bool) -> Any:
    axis = canonical_dim(dim, x.ndim)
    line = x.reshape(1) if x.ndim == 0 else x
    not_empty(name, line, (axis,))
    if is_complex(x):
        raise NotImplementedError(f"{name}() is not implemented for complex numbers")
    values, index = first_extreme(jax.lax.stop_gradient(line), axis, largest)
    values = values if is_integer(x) else taken(line, values, index, axis)
    return named(getattr(return_types, name), x, values, index, axis, keepdim)


@op(saves="none", name="max")
def _max_along(input: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return _extreme_along("max", input, dim, keepdim, True)


@op(saves="none", name="min")
def _min_along(input: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return _extreme_along("min", input, dim, keepdim, False)


def _whole_extreme(name: str, x: Array, reduce: Any) -> Array:
    not_empty(name, x, (), None)
    if is_complex(x):
        raise NotImplementedError(f"{name}() is not implemented for complex numbers")
    return reduce(x)


@op(saves="both", name="max")
def _max_of_all(input: Array) -> Array:
    return _whole_extreme("max", input, jnp.max)


@op(saves="both", name="min")
def _min_of_all(input: Array) -> Array:
    return _whole_extreme("min", input, jnp.min)


def _is_tensor(x: Any) -> bool:
    return isinstance(x, (Handle, jax.Array, np.ndarray))


@numpy_names
def max(input: Array, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The largest element; with `dim`, (values, indices); of two tensors, `maximum`.

    Without `dim` equal largest elements share the gradient; with it the first one gets it all.
    """
    if other is not None or _is_tensor(dim):
        return maximum(input, dim if other is None else other)
    return _max_of_all(input) if dim is None else _max_along(input, dim, keepdim)


@numpy_names
def min(input: Array, dim: Any = None, keepdim: bool = False, *, other: Any = None) -> Any:
    """The smallest element; with `dim`, (values, indices); of two tensors, `minimum`.

    Without `dim` equal smallest elements share the gradient; with it the first one gets it all.
    """
    if other is not None or _is_tensor(dim):
        return minimum(input, dim if other is None else other)
    return _min_of_all(input) if dim is None else _min_along(input, dim, keepdim)


def _amax(name: str, x: Array, dim: Dims, keepdim: bool, reduce: Any) -> Array:
    if dim == () or dim is None:
        not_empty(name, x, (), None)
    dims = canonical_dims(dim, x.ndim)
    not_empty(name, x, dims)
    return reduce(x, dims, keepdims=keepdim)


@op(saves="both", refuses=("complex",))
def amax(input: Array, dim: Dims = (), keepdim: bool = False) -> Array:
    """The largest element over one or more dimensions; equal ones share the gradient."""
    return _amax("amax", input, dim, keepdim, jnp.max)


@op(saves="both", refuses=("complex",))
def amin(input: Array, dim: Dims = (), keepdim: bool = False) -> Array:
    """The smallest element over one or more dimensions; equal ones share the gradient."""
    return _amax("amin", input, dim, keepdim, jnp.min)


@op(saves="both", refuses=("complex",))
def aminmax(input: Array, *, dim: int | None = None, keepdim: bool = False) -> tuple[Array, Array]:
    """(min, max) over `dim`, or over all elements."""
    if input.size == 0 and dim is None:
        raise RuntimeError(
            "aminmax(): cannot compute aminmax over an empty dimension as the operation has no "
            f"identity; the shape is {tuple(input.shape)}."
        )
    dims = () if dim is None else canonical_dims(dim, input.ndim)
    not_empty("aminmax", input, dims)
    axes = tuple(range(input.ndim)) if dim is None else dims
    low, high = (f(input, axes, keepdims=keepdim) for f in (jnp.min, jnp.max))
    return return_types.aminmax(low, high)


def _arg(name: str, x: Array, dim: int | None, keepdim: bool, largest: bool) -> Array:
    if x.dtype == bool:
        raise RuntimeError(f"{name}(): does not support bool input; convert it to int")
    not_empty(name, x, (), dim if dim is None else 0)
    line = x.reshape(-1) if dim is None or x.ndim == 0 else x
    axis = 0 if dim is None else canonical_dim(dim, x.ndim)
    not_empty(name, line, (axis,))
    index = first_extreme(line, axis, largest)[1].astype(dtypes.index_dtype())
    if dim is not None and x.ndim:
        return index if keepdim else jnp.squeeze(index, axis)
    return index.reshape((1,) * x.ndim if keepdim else ())


@op(differentiable=False, refuses=("complex",))
def argmax(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """Where the largest element is first met along `dim`, or in the flattened tensor."""
    return _arg("argmax", input, dim, keepdim, True)


@op(differentiable=False, refuses=("complex",))
def argmin(input: Array, dim: int | None = None, keepdim: bool = False) -> Array:
    """Where the smallest element is first met along `dim`, or in the flattened tensor."""
    return _arg("argmin", input, dim, keepdim, False)


@op(promote=("input",), promote_float=True, saves="both")
def logsumexp(input: Array, dim: Dims, keepdim: bool = False) -> Array:
    """log(sum(exp(x))) over `dim`, without overflow; -inf of no elements."""
    x, dims = input, canonical_dims(dim, input.ndim)
    top = jnp.max(jnp.real(jax.lax.stop_gradient(x)), dims, keepdims=True, initial=-jnp.inf)
    top = jnp.where(jnp.isfinite(top), top, 0)
    total = jnp.log(jnp.sum(jnp.exp(x - top), dims, keepdims=True)) + top
    return total if keepdim else jnp.squeeze(total, dims)
