"""Order statistics and counts: median, mode, quantile, histograms, covariance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import NO_DERIVATIVE
from jtoolbox.ops import return_types
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.elementwise import as_float, is_complex, is_integer
from jtoolbox.ops.host import host_value, like
from jtoolbox.ops.reduction import named, not_empty, taken

__all__ = [
    *("bincount", "corrcoef", "cov", "histc", "histogram", "histogramdd", "median", "mode"),
    *("nanmedian", "nanquantile", "quantile"),
]


def _sorted(x: Array, axis: int) -> tuple[Array, Array]:
    """Elements in increasing order, NaN last, and where they were; equal ones keep their order."""
    position = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    values, index = jax.lax.sort((x, position), dimension=axis, is_stable=True, num_keys=1)
    return values, index


def _at(x: Array, place: Array, axis: int) -> Array:
    return jnp.take_along_axis(x, place, axis)


def _median_along(kind: Any, x: Array, dim: int, keepdim: bool, skip_nan: bool) -> Any:
    """The lower of the two middle elements, and where the first of its value is."""
    name = kind.__name__
    if x.dtype == bool or is_complex(x):
        raise NotImplementedError(f'"{name}" not implemented for {dtypes.from_numpy(x.dtype)}')
    axis = canonical_dim(dim, x.ndim)
    line = x.reshape(1) if x.ndim == 0 else x
    not_empty(name, line, (axis,))
    values, index = _sorted(jax.lax.stop_gradient(line), axis)
    size = line.shape[axis]
    numbers = jnp.sum(~jnp.isnan(line), axis, keepdims=True, dtype=jnp.int32)
    place = jnp.maximum(numbers - 1, 0) // 2
    if not skip_nan:
        place = jnp.where(numbers == size, place, numbers)
    value = _at(values, place, axis)
    where = _at(index, place, axis)
    if not is_integer(x):
        value = taken(line, value, where, axis)
    return named(kind, x, value, where, axis, keepdim)


@op(saves="none", name="median")
def _median(input: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return _median_along(return_types.median, input, dim, keepdim, False)


@op(saves="none", name="nanmedian")
def _nanmedian(input: Array, dim: int, keepdim: bool) -> tuple[Array, Array]:
    return _median_along(return_types.nanmedian, input, dim, keepdim, True)


def _median_of_all(kind: Any, x: Array, skip_nan: bool) -> Array:
    if x.size == 0:
        return jnp.asarray(jnp.nan if not is_integer(x) else jnp.iinfo(x.dtype).min, x.dtype)
    flat = x.reshape(-1)
    value = jax.lax.stop_gradient(_median_along(kind, flat, 0, False, skip_nan)[0])
    if is_integer(x):
        return value
    # Equal elements share the gradient, as for the maximum of all.
    found = (flat == value) | (jnp.isnan(flat) & jnp.isnan(value))
    share = jnp.where(found, flat - jax.lax.stop_gradient(flat), 0)
    share = jnp.where(jnp.isnan(share), 0, share)
    return value + jnp.sum(share) / jnp.sum(found).astype(x.dtype)


@op(saves="both", name="median")
def _whole_median(input: Array) -> Array:
    return _median_of_all(return_types.median, input, False)


@op(saves="both", name="nanmedian")
def _whole_nanmedian(input: Array) -> Array:
    return _median_of_all(return_types.nanmedian, input, True)


@numpy_names
def median(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element, the lower one of an even number; with `dim`, (values, indices)."""
    return _whole_median(input) if dim is None else _median(input, dim, keepdim)


@numpy_names
def nanmedian(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of what is not NaN."""
    return _whole_nanmedian(input) if dim is None else _nanmedian(input, dim, keepdim)


@op(saves="none", refuses=("complex",))
def mode(input: Array, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    """The most frequent element along `dim`, the smallest of equally frequent ones.

    The result is (values, indices), where the index is that of its last occurrence.
    """
    axis = canonical_dim(dim, input.ndim)
    x = input.reshape(1) if input.ndim == 0 else input
    not_empty("mode", x, (axis,))
    values, index = _sorted(jax.lax.stop_gradient(x), axis)
    position = jax.lax.broadcasted_iota(jnp.int32, x.shape, axis)
    new = (position == 0) | (values != jnp.roll(values, 1, axis))
    run = position - jax.lax.cummax(jnp.where(new, position, 0), axis)
    best = jnp.argmax(run, axis, keepdims=True)
    value, where = _at(values, best, axis), _at(index, best, axis)
    if not is_integer(x):
        value = taken(x, value, where, axis)
    return named(return_types.mode, input, value, where, axis, keepdim)


# Quantiles

_METHODS = ("linear", "lower", "higher", "midpoint", "nearest")


def _check_quantile(input: Any, q: Any, *_: Any) -> None:
    if isinstance(q, (float, int, np.ndarray)) and not np.all((q >= 0) & (q <= 1)):  # type: ignore[operator]
        raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q}")


def _quantile(f: Any, x: Array, q: Array, dim: int | None, keepdim: bool, method: str) -> Array:
    if x.dtype not in (jnp.float32, jnp.float64):
        raise RuntimeError(
            "quantile() input tensor must be either float or double dtype, got "
            f"{dtypes.from_numpy(x.dtype)}"
        )
    if method not in _METHODS:
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, "
            f"but got {method}"
        )
    if hasattr(q, "dtype") and not getattr(q, "weak_type", False) and q.dtype != x.dtype:
        raise RuntimeError(
            f"quantile() q tensor must be same dtype as the input tensor, got {q.dtype} and "
            f"{x.dtype}"
        )
    if x.size == 0:
        raise RuntimeError("quantile() input tensor must be non-empty")
    axis = None if dim is None else canonical_dim(dim, x.ndim)
    points = jnp.clip(jnp.asarray(q, x.dtype), 0, 1)
    return f(x.reshape(-1) if x.ndim == 0 else x, points, axis=axis, method=method,
             keepdims=keepdim and x.ndim > 0)  # fmt: skip


@op(check=_check_quantile)
def quantile(
    input: Array,
    q: Array,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Array:
    """The q-th quantiles over `dim`, or of all elements; those of several q come first.

    Raises RuntimeError for a q outside [0, 1], unless it is not on the host.
    """
    return _quantile(jnp.quantile, input, q, dim, keepdim, interpolation)


@op(check=_check_quantile)
def nanquantile(
    input: Array,
    q: Array,
    dim: int | None = None,
    keepdim: bool = False,
    *,
    interpolation: str = "linear",
) -> Array:
    """The quantiles of what is not NaN."""
    return _quantile(jnp.nanquantile, input, q, dim, keepdim, interpolation)


# Counts


@op(differentiable=False)
def _bincount(input: Array, weights: Array | None, length: int) -> Array:
    if weights is None:
        ones = jnp.ones(input.shape, dtypes.index_dtype())
    else:
        ones = weights if weights.dtype == jnp.float32 else weights.astype(jnp.float64)
    return jnp.zeros(length, ones.dtype).at[input].add(ones, mode="drop")


def bincount(input: Array, weights: Array | None = None, minlength: int = 0) -> Array:
    """How often each of 0, 1, ... occurs, or the sum of the weights where it does.

    The length of the result is a value (the largest element and 1), so it is computed at once.
    """
    values = host_value(input, "bincount")
    if not np.issubdtype(values.dtype, np.integer):
        raise NotImplementedError(f'"bincount" not implemented for {values.dtype}: use .long()')
    if values.ndim != 1 or (values.size and values.min() < 0):
        raise RuntimeError(
            "bincount only supports 1-d non-negative integral inputs, got shape "
            f"{values.shape} with smallest element {values.min() if values.size else None}."
        )
    if weights is not None and tuple(weights.shape) != values.shape:
        raise RuntimeError(
            f"weights should be 1-d and have the same length as input, got {tuple(weights.shape)} "
            f"and {values.shape}"
        )
    length = max(int(values.max()) + 1 if values.size else 0, minlength)
    return _bincount(input, weights, length)


def _bounds(x: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """The range of a histogram: that of the data if both bounds are equal, and never empty."""
    unset = low == high
    if x.size:
        low = jnp.where(unset, jnp.min(x), low)
        high = jnp.where(unset, jnp.max(x), high)
    flat = low == high
    return jnp.where(flat, low - 1, low), jnp.where(flat, high + 1, high)


@op(differentiable=False, refuses=("complex",))
def histc(input: Array, bins: int = 100, min: Array = 0, max: Array = 0) -> Array:
    """How many elements fall in each of `bins` equal intervals between min and max.

    With min == max the range is that of the data. Elements outside are not counted.
    """
    if is_integer(input):
        raise NotImplementedError(
            f'"histogram" not implemented for {dtypes.from_numpy(input.dtype)}: use .float()'
        )
    if bins <= 0:
        raise RuntimeError(f"bins must be > 0, but got {bins}")
    x = input.reshape(-1)
    low, high = _bounds(x, jnp.asarray(min, x.dtype), jnp.asarray(max, x.dtype))
    place = jnp.floor((x - low) * (bins / (high - low))).astype(jnp.int32)
    place = jnp.where(x == high, bins - 1, place)
    place = jnp.where((x >= low) & (x <= high), place, bins)
    return jnp.zeros(bins, x.dtype).at[place].add(1, mode="drop")


def _even_edges(x: Array, bins: int, range: tuple[float, float] | None) -> Array:
    """The edges of `bins` equal intervals over `range`, or over the data, and never empty."""
    if range is None and not x.size:
        range = (0.0, 1.0)
    low, high = (jnp.min(x), jnp.max(x)) if range is None else map(x.dtype.type, range)
    flat = low == high
    return jnp.linspace(jnp.where(flat, low - 0.5, low), jnp.where(flat, high + 0.5, high),
                        bins + 1, dtype=x.dtype)  # fmt: skip


@op(tags=(NO_DERIVATIVE,), name="histogram")
def _histogram(
    input: Array,
    edges: Array | None,
    weight: Array | None,
    bins: int | None,
    range: tuple[float, float] | None,
    density: bool,
) -> tuple[Array, Array]:
    if input.dtype not in (jnp.float32, jnp.float64):
        raise NotImplementedError(
            f'"histogramdd" not implemented for {dtypes.from_numpy(input.dtype)}: use .float()'
        )
    if weight is not None and weight.shape != input.shape:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the "
            f"input tensor, got {list(weight.shape)} and {list(input.shape)}"
        )
    x = input.reshape(-1)
    cuts: Any = edges if bins is None else _even_edges(x, bins, range)
    weights = None if weight is None else weight.reshape(-1)
    hist, cuts = jnp.histogram(x, cuts, weights=weights, density=density)
    hist, cuts = jax.lax.stop_gradient((hist.astype(input.dtype), cuts))
    return return_types.histogram(hist, cuts)


@numpy_names
def histogram(
    input: Array,
    bins: Any,
    *,
    range: tuple[float, float] | None = None,
    weight: Array | None = None,
    density: bool = False,
) -> Any:
    """Counts (or weights, or densities) in intervals: (hist, bin_edges).

    `bins` holds the increasing edges, or is the number of equal intervals between the two ends of
    `range`, by default the smallest and the largest element. Elements outside are not counted.
    RuntimeError for a range that is not finite or not increasing, and in a backward pass.
    """
    if not isinstance(bins, int):
        if range is not None:
            raise TypeError("histogram(): range is for a number of bins, not for given edges")
        return _histogram(input, bins, weight, None, None, density)
    if bins <= 0:
        raise RuntimeError(f"torch.histogramdd(): bins must be > 0, but got {bins}")
    if range is not None and not (range[0] <= range[1] and np.isfinite(range).all()):
        raise RuntimeError(
            f"torch.histogramdd: the range {list(range)} is not finite, or its end lies before its "
            "beginning"
        )
    range = None if range is None else (float(range[0]), float(range[1]))
    return _histogram(input, None, weight, bins, range, density)


def histogramdd(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> tuple[Any, tuple[Any, ...]]:
    """Counts of points (..., D) in a grid of bins: (hist, bin_edges), edges for each dimension.

    `bins` is a number, a number for each dimension, or the edges of each; `range` holds the lowest
    and highest edge of each dimension in turn. Computed at once on the host, without gradients.
    """
    points = host_value(input, "histogramdd")
    dtypes.refuse("histogramdd", points, "bool", "int", "complex", "half")
    points = points.reshape(-1, points.shape[-1])
    if not isinstance(bins, int) and len(bins) != points.shape[-1]:
        raise RuntimeError(
            "histogramdd: The size of bins must be equal to the innermost dimension of the input, "
            f"got {len(bins)} for {points.shape[-1]}."
        )
    limits: Any = None if range is None else np.reshape(range, (-1, 2)).tolist()
    if not isinstance(bins, int) and np.ndim(bins[0]):
        bins = [host_value(edges, "histogramdd") for edges in bins]
    weights = None if weight is None else host_value(weight, "histogramdd").reshape(-1)
    hist, edges = np.histogramdd(points, bins, limits, density, weights)
    made = tuple(like(input, e.astype(points.dtype)) for e in edges)
    return return_types.histogramdd(like(input, hist.astype(points.dtype)), made)


# Covariance


def _check_cov(input: Any, correction: Any, fweights: Any, aweights: Any) -> None:
    if fweights is not None and dtypes.kind(fweights.dtype) != 1:
        raise RuntimeError(
            "cov(): expected fweights to have integral dtype but got fweights with "
            f"{fweights.dtype} dtype"
        )
    for name, weights in (("fweights", fweights), ("aweights", aweights)):
        if isinstance(weights, np.ndarray) and weights.size and weights.min() < 0:
            raise RuntimeError(f"cov(): {name} cannot be negative, got {weights.min()}")


@op(check=_check_cov, refuses=("bool",))
def cov(
    input: Array,
    *,
    correction: int = 1,
    fweights: Array | None = None,
    aweights: Array | None = None,
) -> Array:
    """The covariance matrix of variables (rows) over observations (columns)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"cov(): expected input to have two or fewer dimensions, got {input.ndim}"
        )
    return jnp.cov(as_float(input), ddof=correction, fweights=fweights, aweights=aweights)


@op(refuses=("bool",))
def corrcoef(input: Array) -> Array:
    """The correlation coefficients of variables (rows) over observations (columns)."""
    if input.ndim > 2:
        raise RuntimeError(
            f"corrcoef(): expected input to have two or fewer dimensions, got {input.ndim}"
        )
    return jnp.corrcoef(as_float(input))
