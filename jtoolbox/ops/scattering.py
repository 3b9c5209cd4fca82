"""Elements written, or combined, at positions given along one dimension.

All are functions of the tensor and return the new one. What cannot be checked on the host does not
vanish: where a position is out of bounds, every written float becomes NaN.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.gathering import along, check_index_dtype, check_range
from jtoolbox.ops.halves import is_half, wide
from jtoolbox.ops.indexing import cast_value

__all__ = ["scatter", "scatter_add", "scatter_reduce"]

_REDUCTIONS = ("sum", "prod", "mean", "amax", "amin")


def _check(input: Any, dim: int, index: Any, *_: Any) -> None:
    dim = canonical_dim(dim, len(input.shape))
    check_range(index, input.shape[dim] if input.shape else 1, dim)


def _checked_shapes(name: str, input: Any, dim: int, index: Any, src: Any) -> None:
    check_index_dtype(name, index)
    number = np.ndim(src) == 0
    if max(1, index.ndim) != max(1, input.ndim):
        raise RuntimeError(
            "Index tensor must have the same number of dimensions as self tensor, got "
            f"{list(index.shape)} and {list(input.shape)}"
        )
    fits = all(n <= m for i, (n, m) in enumerate(zip(index.shape, input.shape, strict=False))
               if i != dim)  # fmt: skip
    if not number:
        if src.ndim != max(1, index.ndim):
            raise IndexError(
                "Index tensor must have the same number of dimensions as src tensor, got "
                f"{list(index.shape)} and {list(src.shape)}"
            )
        if src.dtype != input.dtype:
            raise RuntimeError(
                f"{name}(): Expected self.dtype to be equal to src.dtype, got {input.dtype} and "
                f"{src.dtype}"
            )
        fits = fits and all(n <= m for n, m in zip(index.shape, src.shape, strict=False))
    if not fits:
        raise RuntimeError(
            f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} "
            f"apart from dimension {dim}"
            + ("" if number else f" and to be no larger size than src {list(src.shape)}")
        )


def _prepared(name: str, input: Any, dim: int, index: Any, src: Any) -> tuple[Any, tuple, Any]:
    """The tensor (with dimensions), where to write, and what, in the shape of the index."""
    dim = canonical_dim(dim, input.ndim)
    _checked_shapes(name, input, dim, index, src)
    src = cast_value(src, input.dtype)
    x, index = jnp.atleast_1d(input), jnp.atleast_1d(index)
    if src.ndim:
        values = src[tuple(slice(n) for n in index.shape)]
    else:
        values = jnp.broadcast_to(src, index.shape)
    if jnp.issubdtype(values.dtype, jnp.inexact):
        known = jnp.all((index >= 0) & (index < x.shape[dim]))
        values = jnp.where(known, values, jnp.nan)
    return x, along(x, index, dim), values


@op(check=_check, saves="none", name="scatter")
def _scatter(input: Array, dim: int, index: Array, src: Array, reduce: str | None = None) -> Array:
    if reduce not in (None, "add", "multiply"):
        raise RuntimeError(f"reduce argument must be either add or multiply, got {reduce!r}.")
    if not index.size:
        return jnp.asarray(input)
    x, places, values = _prepared("scatter", input, dim, index, src)
    out: Any
    target = x.at[places]
    if reduce is None:
        out = target.set(values, mode="drop", unique_indices=True)
    elif reduce == "add":
        out = added(x, places, values)
    else:
        out = _reduced("prod", x, places, values)
    return jnp.reshape(out, input.shape)


@numpy_names
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None
) -> Any:
    """`input` with the elements of `src` at the places that `index` names along `dim`.

    For dim 0 of three, out[index[i, j, k], j, k] = src[i, j, k]. `src` may be a number. Where
    places repeat, one of the values wins. `reduce` may be "add" or "multiply".
    """
    src = value if src is None else src
    if src is None:
        raise TypeError("scatter() needs src or value")
    dtypes.check_number(src, input.dtype)
    return _scatter(input, dim, index, src, reduce)


@op(check=_check, saves="none")
def scatter_add(input: Array, dim: int, index: Array, src: Array) -> Array:
    """`input` plus the elements of `src` at the places that `index` names along `dim`."""
    if not index.size:
        return jnp.asarray(input)
    x, places, values = _prepared("scatter", input, dim, index, src)
    return jnp.reshape(added(x, places, values), input.shape)


@op(check=_check, name="scatter_reduce")
def _scatter_reduce(
    input: Array, dim: int, index: Array, src: Array, reduce: str, include_self: bool = True
) -> Array:
    if reduce not in _REDUCTIONS:
        raise RuntimeError(
            f"reduce argument must be either sum, prod, mean, amax or amin, got {reduce}"
        )
    if not index.size:
        return jnp.asarray(input)
    if reduce in ("amax", "amin"):
        dtypes.refuse("scatter_reduce", input, "complex")
    x, places, values = _prepared("scatter", input, dim, index, src)
    return jnp.reshape(combine(x, places, values, reduce, include_self), input.shape)


@numpy_names
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True
) -> Any:
    """`input` with the elements of `src` combined into the places that `index` names.

    `reduce` is "sum", "prod", "mean", "amax" or "amin". Without `include_self`, the old value of a
    place that is written does not count. Gradients of "amax" and "amin" are shared by ties.
    """
    return _scatter_reduce(input, dim, index, src, reduce, include_self)


def added(x: Any, places: tuple, values: Any) -> Any:
    """`x` with `values` added at the places (a NumPy index); of bools, whether any is true."""
    target = x.at[places]
    if x.dtype == np.bool_:
        return target.max(values, mode="drop")
    if dtypes.is_half(x.dtype):
        return added(x.astype(np.float32), places, values.astype(np.float32)).astype(x.dtype)
    return target.add(values, mode="drop")


def combine(x: Any, places: tuple, values: Any, reduce: str, include_self: bool) -> Any:
    """Reduces `values` into the places of `x` (places as a NumPy index)."""
    if is_half(x) and reduce in ("mean", "prod"):
        return combine(wide(x), places, wide(values), reduce, include_self).astype(x.dtype)
    if not include_self:
        x = x.at[places].set(_identity(reduce, x.dtype), mode="drop")
    if reduce == "sum":
        return added(x, places, values)
    if reduce == "mean" and x.dtype == np.bool_:
        raise NotImplementedError("the mean of bools is not implemented for 'Bool': use .float()")
    if reduce == "mean":
        total = x.at[places].add(values, mode="drop")
        count = jnp.full(x.shape, 1 if include_self else 0, x.dtype)
        count = jnp.maximum(count.at[places].add(jnp.ones_like(values), mode="drop"), 1)
        inexact = jnp.issubdtype(x.dtype, jnp.inexact)
        return total / count if inexact else jnp.floor_divide(total, count)
    return _reduced(reduce, x, places, values)


def _identity(reduce: str, dtype: np.dtype) -> Any:
    """The value that changes nothing when it is combined with another."""
    if reduce in ("sum", "mean"):
        return np.zeros((), dtype)
    if reduce == "prod":
        return np.ones((), dtype)
    if dtype == np.bool_:
        return np.array(reduce == "amin")
    if jnp.issubdtype(dtype, jnp.inexact):
        return np.array(-np.inf if reduce == "amax" else np.inf, dtype)
    limits = np.iinfo(dtype)
    return np.array(limits.min if reduce == "amax" else limits.max, dtype)


def _plain(reduce: str, x: Any, places: tuple, values: Any) -> Any:
    target = x.at[places]
    if reduce == "prod" and x.dtype != np.bool_:
        return target.multiply(values, mode="drop")
    return (target.max if reduce == "amax" else target.min)(values, mode="drop")


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _reduced(reduce: str, x: Any, places: tuple, values: Any) -> Any:
    """`prod`, `amax` and `amin`, for which JAX's scatter has no derivative with repeated places."""
    return _plain(reduce, x, places, values)


def _reduced_forward(reduce: str, x: Any, places: tuple, values: Any) -> tuple[Any, Any]:
    out = _reduced(reduce, x, places, values)  # not the plain one: it is differentiated again
    return out, (x, places, values, out)


def _reduced_backward(reduce: str, saved: tuple, g: Any) -> tuple[Any, None, Any]:
    x, places, values, out = saved
    if reduce == "prod":
        # The product of all others at a place; with zeros there, of all but one zero.
        zeros = (x == 0).astype(np.int32)
        zeros = zeros.at[places].add((values == 0).astype(np.int32), mode="drop")
        ones = [jnp.where(v == 0, 1, v) for v in (x, values)]
        others: Any = _reduced("prod", ones[0], places, ones[1])  # which has a derivative again

        def share(v: Any, zeros: Any, others: Any) -> Any:
            without = jnp.where(zeros == 0, others / jnp.where(v == 0, 1, v), 0)
            return jnp.where(v == 0, jnp.where(zeros == 1, others, 0), without)

        at = [a.at[places].get(mode="fill", fill_value=0) for a in (zeros, others, g)]
        return g * share(x, zeros, others), None, at[2] * share(values, at[0], at[1])
    # Each of the equal largest (or smallest) elements at a place gets the same share.
    winners = out.at[places].get(mode="fill", fill_value=0) == values
    count = (x == out).astype(g.dtype).at[places].add(winners.astype(g.dtype), mode="drop")
    g = g / jnp.maximum(count, 1)
    at = g.at[places].get(mode="fill", fill_value=0)
    return jnp.where(x == out, g, 0), None, jnp.where(winners, at, 0)


_reduced.defvjp(_reduced_forward, _reduced_backward)
