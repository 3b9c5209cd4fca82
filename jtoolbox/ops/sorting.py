"""Order: sorting, the largest and smallest elements, unique ones, and places in sorted rows."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import NO_DERIVATIVE
from jtoolbox.ops import return_types
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.host import host_value, like, needs_graph

__all__ = [
    *("sort", "argsort", "msort", "topk", "kthvalue", "unique", "unique_consecutive"),
    *("searchsorted", "bucketize"),
]


def _positions(x: Any, dim: int) -> Any:
    return jax.lax.broadcasted_iota(dtypes.index_dtype(), x.shape, dim)


def _sorted(x: Any, dim: int, descending: bool) -> tuple[Any, Any]:
    """Values and positions in stable order, NaN as the largest; descending keeps ties in order."""
    if not x.ndim:
        return jnp.asarray(x), jnp.zeros((), dtypes.index_dtype())
    dim = canonical_dim(dim, x.ndim)
    positions = _positions(x, dim)
    if descending:  # The reverse of the stable ascending order of the reverse.
        x, positions = jnp.flip(x, dim), jnp.flip(positions, dim)
    values, positions = jax.lax.sort((x, positions), dimension=dim, num_keys=1, is_stable=True)
    return (jnp.flip(values, dim), jnp.flip(positions, dim)) if descending else (values, positions)


@op(saves="none", name="sort")
def _sort(input: Array, dim: int = -1, descending: bool = False) -> tuple[Array, Array]:
    if input.dtype.kind == "c":
        raise RuntimeError("Sort currently does not support complex dtypes on CPU")
    canonical_dim(dim, input.ndim)
    return return_types.sort(*_sorted(input, dim, descending))


@numpy_names
def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: Any = False) -> Any:
    """The elements in order along `dim`, and the places they came from: (values, indices).

    NaN counts as larger than all numbers. The order is always stable: equal elements keep theirs.
    """
    return _sort(input, dim, descending)


@numpy_names
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The places from which the elements come when sorted along `dim` (always stable)."""
    return _sort(input, dim, descending).indices


@numpy_names
def msort(input: Any) -> Any:
    """The elements in ascending order along the first dimension."""
    return _sort(input, 0).values


@op(saves="none", name="topk", refuses=("bool", "complex"))
def _topk(input: Array, k: int, dim: int = -1, largest: bool = True) -> tuple[Array, Array]:
    dim = canonical_dim(dim, input.ndim)
    if not 0 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(
            f"selected index k out of range: k is {k}, dimension {dim} of shape {list(input.shape)}"
        )
    if not input.ndim:
        return return_types.topk(jnp.asarray(input), jnp.zeros((), dtypes.index_dtype()))
    if largest and k and input.dtype != np.bool_:
        values, positions = jax.lax.top_k(jnp.moveaxis(input, dim, -1), k)
        positions = positions.astype(dtypes.index_dtype())
        return return_types.topk(jnp.moveaxis(values, -1, dim), jnp.moveaxis(positions, -1, dim))
    values, positions = _sorted(input, dim, largest)
    first = (slice(None),) * dim + (slice(k),)
    return return_types.topk(values[first], positions[first])


@numpy_names
def topk(
    input: Any, k: int, dim: int | None = None, largest: bool = True, sorted: bool = True
) -> Any:
    """The `k` largest (or smallest) elements along `dim` and their places: (values, indices).

    They come in order whatever `sorted` says; of equal elements the first are taken.
    """
    return _topk(input, int(k), -1 if dim is None else dim, largest)


@op(saves="none", refuses=("bool", "complex"))
def kthvalue(input: Array, k: int, dim: int = -1, keepdim: bool = False) -> tuple[Array, Array]:
    """The k-th smallest element (from 1) along `dim` and its place: (values, indices)."""
    dim = canonical_dim(dim, input.ndim)
    if not 1 <= k <= (input.shape[dim] if input.ndim else 1):
        raise RuntimeError(
            f"kthvalue(): selected number k out of range for dimension {dim}: k is {k}, shape "
            f"{list(input.shape)}"
        )
    values, positions = _sorted(input, dim, False)
    if not input.ndim:
        return return_types.kthvalue(values, positions)
    place = (slice(None),) * dim + ((slice(k - 1, k) if keepdim else k - 1),)
    return return_types.kthvalue(values[place], positions[place])


def _unique_rows(value: np.ndarray, dim: int) -> tuple[np.ndarray, ...]:
    return np.unique(value, return_index=True, return_inverse=True, return_counts=True,
                     axis=dim, equal_nan=False)  # fmt: skip


def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, or slices along `dim`, in ascending order.

    With `return_inverse` also where each element of `input` is among them, with `return_counts`
    how often each occurs. Waits for the values; a backward pass through it raises RuntimeError. The
    result is sorted whatever `sorted` says.
    """
    value = host_value(input, "unique")
    dtypes.refuse("unique", value, "complex")
    if dim is None:
        _, first, inverse, counts = _unique_rows(value.reshape(-1), 0)
        inverse = inverse.reshape(value.shape)
    else:
        dim = canonical_dim(dim, value.ndim)
        _, first, inverse, counts = _unique_rows(np.atleast_1d(value), dim)
    return _results(input, value, first, dim, inverse if return_inverse else None,
                    counts if return_counts else None)  # fmt: skip


@op(saves="none", tags=(NO_DERIVATIVE,), name="unique")
def _picked(input: Array, places: Array, dim: int | None) -> Array:
    return jnp.take(input.reshape(-1) if dim is None else jnp.atleast_1d(input), places, dim or 0)


def _results(
    input: Any, value: np.ndarray, places: np.ndarray, dim: int | None, *more: np.ndarray | None
) -> Any:
    """The elements or slices of the input at these places, and what else was asked for."""
    if needs_graph(input):
        out = _picked(input, places, dim)
    else:
        whole = value.reshape(-1) if dim is None else np.atleast_1d(value)
        out = like(input, np.take(whole, places, dim or 0))
    extra = [like(input, m.reshape(m.shape).astype(np.int64)) for m in more if m is not None]
    return (out, *extra) if extra else out


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """As `unique`, but only neighbours that are equal become one, and the order stays."""
    value = host_value(input, "unique_consecutive")
    dtypes.refuse("unique_consecutive", value, "complex")
    dim = None if dim is None else canonical_dim(dim, value.ndim)
    rows = value.reshape(-1) if dim is None else np.moveaxis(np.atleast_1d(value), dim, 0)
    flat = rows.reshape(len(rows), rows[:1].size)
    starts = np.ones(len(rows), bool)
    starts[1:] = (flat[1:] != flat[:-1]).any(axis=1)
    inverse = np.cumsum(starts) - 1
    counts = np.diff(np.append(np.flatnonzero(starts), len(rows)))
    inverse = inverse.reshape(value.shape) if dim is None else inverse
    return _results(input, value, np.flatnonzero(starts), dim, inverse if return_inverse else None,
                    counts if return_counts else None)  # fmt: skip


# --- places in sorted rows -----------------------------------------------------------------------


@op(saves="none", differentiable=False, name="searchsorted", refuses=("bool",))
def _searchsorted(
    sorted_sequence: Array, input: Array, sorter: Array | None, side: str, out_int32: bool
) -> Array:
    if sorter is not None:
        sorted_sequence = jnp.take_along_axis(sorted_sequence, sorter, axis=-1)
    kind = np.dtype(np.int32) if out_int32 else dtypes.index_dtype()
    common = dtypes.result_type(sorted_sequence, input)
    rows, values = sorted_sequence.astype(common), jnp.asarray(input).astype(common)
    if not values.size or not rows.shape[-1]:
        return jnp.zeros(values.shape, kind)
    if rows.ndim == 1:
        return jnp.searchsorted(rows, values, side=side).astype(kind)
    search = functools.partial(jnp.searchsorted, side=side)
    return jnp.vectorize(search, signature="(n),(m)->(m)")(rows, values).astype(kind)


@numpy_names
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
) -> Any:
    """Where each value would have to be inserted to keep a row sorted.

    `sorted_sequence` is one row, or (..., N) with the leading dimensions of `input`. `right` (or
    side="right") gives the place after equal elements. `sorter` holds the order of an unsorted
    sequence.
    """
    if side not in (None, "left", "right"):
        raise RuntimeError(
            f"torch.searchsorted(): side can only be 'left' or 'right' but got {side}"
        )
    if side == "left" and right:
        raise RuntimeError(
            "torch.searchsorted(): side and right can't be set to opposites, got side of left "
            "while right was True"
        )
    rows, shape = tuple(sorted_sequence.shape), np.shape(input)
    if len(rows) != 1 and rows[:-1] != shape[:-1]:
        raise RuntimeError(
            "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 "
            "dimensions of boundaries tensor and input value tensor must match, but we got "
            f"boundaries tensor {list(rows)} and input value tensor {list(shape)}"
        )
    side = "right" if right or side == "right" else "left"
    return _searchsorted(sorted_sequence, input, sorter, side, out_int32)


@numpy_names
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Any:
    """The number of the bucket, between sorted `boundaries`, in which each value falls."""
    if boundaries.ndim != 1:
        raise RuntimeError(f"boundaries tensor must be 1 dimension, but got dim({boundaries.ndim})")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)
