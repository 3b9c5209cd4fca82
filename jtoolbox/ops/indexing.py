"""`x[index]` and `x[index] = value` with PyTorch's rules.

An index is parsed in three parts, applied in this order: what is basic (integers, slices, None,
Ellipsis) selects a view; integer tensors without dimensions drop dimensions of it; the tensors,
lists and masks that remain index it together as NumPy's advanced indexing does. The result of the
first two is a view, of the third a copy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, inplace, op
from jtoolbox.engine.graph import Handle
from jtoolbox.ops.basic_index import WHOLE, basic_index, packed, write_basic
from jtoolbox.ops.host import host_value, like, needs_graph, on_host
from jtoolbox.ops.index_parsing import is_mask, parse
from jtoolbox.ops.shape import expanded_shape

__all__ = ["index_put"]


def getitem(input: Any, index: Any) -> Any:
    """`input[index]`: a view for integers, slices, None and Ellipsis, otherwise a copy."""
    layout, starts, scalars, advanced = parse(index, input.shape)
    x = input
    if layout or not (scalars or advanced):
        x = basic_index(x, layout, packed(starts))
    if scalars:
        for place, position in reversed(scalars):
            x = _select_at(x, position, place)
        advanced = _after_scalars(advanced, scalars)
    return _getitem_advanced(x, advanced) if advanced else x


def _after_scalars(advanced: list, scalars: list) -> list:
    """The dimensions of the advanced indices once those of the scalars are gone."""
    return [(dim - sum(s < dim for s, _ in scalars), i) for dim, i in advanced]


def positions_of(advanced: list) -> tuple[list[Any], tuple[int, ...]]:
    """Index tensors and the dimension that each indexes; masks become the places that are true."""
    indices: list[Any] = []
    dims: list[int] = []
    for dim, item in advanced:
        found = (item,)
        if is_mask(item):
            found = np.nonzero(host_value(item, "indexing with a mask"))
        indices.extend(found)
        dims.extend(range(dim, dim + len(found)))
    return indices, tuple(dims)


def _getitem_advanced(x: Any, advanced: list) -> Any:
    masked = any(is_mask(item) for _, item in advanced)
    indices, dims = positions_of(advanced)
    if masked and not needs_graph(x) and on_host(x):
        # Each count of true elements would need a program of its own; on the host none does.
        values = [host_value(i, "indexing") for i in indices]
        check_bounds(values, dims, x.shape)
        return like(x, host_value(x, "indexing")[_spread(values, dims)])
    if len(indices) == 1:
        return _index(x, indices[0], dims[0])
    return _index_many(x, indices, dims)


def _spread(indices: Sequence[Any], dims: Sequence[int]) -> tuple:
    """The indices as one NumPy index, whole dimensions between them."""
    spread: list[Any] = [slice(None)] * (max(dims) + 1)
    for index, dim in zip(indices, dims, strict=True):
        spread[dim] = index
    return tuple(spread)


def check_bounds(indices: Sequence[Any], dims: Sequence[int], shape: Sequence[int]) -> None:
    """IndexError for a position outside its dimension, where the positions are known."""
    shapes = [np.shape(i) for i in indices]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise IndexError(
            "shape mismatch: indexing tensors could not be broadcast together with shapes "
            + ", ".join(str(list(s)) for s in shapes)
        ) from None
    for index, dim in zip(indices, dims, strict=True):
        if isinstance(index, np.ndarray) and index.size:
            size = shape[dim]
            if index.min() < -size or index.max() >= size:
                bad = index[(index < -size) | (index >= size)].flat[0]
                raise IndexError(
                    f"index {bad} is out of bounds for dimension {dim} with size {size}"
                )


def _check_select(input: Any, index: Any, dim: int) -> None:
    check_bounds([index], [dim], input.shape)


def _select_layout(dim: int) -> tuple:
    return (WHOLE,) * dim + ((None, None, 1),)


def _from_front(index: Any, size: int) -> Any:
    return jnp.where(index < 0, index + size, index)


def _write_select(base: Any, value: Any, index: Any, dim: int) -> Any:
    start = _from_front(index, base.shape[dim])
    value = poisoned(value, index, base.shape[dim])
    return write_basic(base, value, _select_layout(dim), start)


@op(view=True, saves="none", check=_check_select, write=_write_select, name="select")
def _select_at(input: Array, index: Array, dim: int) -> Array:
    """The slice at a position given as a tensor; NaN when it is out of bounds."""
    size = input.shape[dim]
    out = basic_index(input, _select_layout(dim), _from_front(index, size))
    return poisoned(out, index, size)


def poisoned(values: Any, index: Any, size: int) -> Any:
    """`values`, all of them NaN if any index is out of bounds: a visible failure where the
    indices could not be checked. Integers cannot show it and stay."""
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return values
    return jnp.where(jnp.all((index >= -size) & (index < size)), values, jnp.nan)


def _check_index(input: Any, index: Any, dim: int) -> None:
    check_bounds([index], [dim], input.shape)


@op(check=_check_index, saves="none", name="index")
def _index(input: Array, index: Array, dim: int) -> Array:
    """The elements at `index` in one dimension; out of bounds gives NaN."""
    return _take(input, [index], (dim,))


def _check_index_many(input: Any, indices: Any, dims: Sequence[int]) -> None:
    check_bounds(indices, dims, input.shape)


@op(check=_check_index_many, saves="none", name="index")
def _index_many(input: Array, indices: Sequence[Array], dims: tuple[int, ...]) -> Array:
    """The elements at the positions that several index tensors name together."""
    return _take(input, indices, dims)


def _take(x: Any, indices: Sequence[Any], dims: Sequence[int]) -> Any:
    indices = [jnp.asarray(i) for i in indices]
    return jnp.asarray(x).at[_spread(indices, dims)].get(mode="fill")


# --- assignment ----------------------------------------------------------------------------------


def setitem(input: Any, index: Any, value: Any) -> Any:
    """`input[index] = value`: a Tensor is changed in place, for an array the new one is returned.

    A boolean mask with a value that does not depend on the number of true elements runs as
    `where`, so that nothing waits for the mask's values.
    """
    _check_assignable(input, value)
    layout, starts, scalars, advanced = parse(index, input.shape)
    start = packed(starts)
    if not (scalars or advanced):
        return inplace(input, _set_basic(input, value, layout, start))
    if not scalars and len(advanced) == 1 and is_mask(advanced[0][1]):
        dim, mask = advanced[0]
        if np.ndim(value) == 0 or (dim == 0 and not layout and _ignores_count(input, mask, value)):
            return inplace(input, _set_mask(input, value, mask, dim, layout, start))
    _check_value_dtype(input, value)
    indices, dims = positions_of(_after_scalars(advanced, scalars))
    places = tuple(dim for dim, _ in scalars)
    positions = [position for _, position in scalars]
    return inplace(input, _set_index(input, value, positions, indices, start, layout, places, dims))


def _check_assignable(input: Any, value: Any) -> None:
    if not isinstance(value, (Handle, jax.Array, np.ndarray, np.generic, int, float, complex)):
        raise TypeError(f"can't assign a {type(value).__name__} to a tensor of {input.dtype}")
    if dtypes.as_numpy(input.dtype) != np.float16:  # where PyTorch writes an infinity
        dtypes.check_number(value, input.dtype)


def _ignores_count(input: Any, mask: Any, value: Any) -> bool:
    """Whether a value fits every count of true elements: it has no dimension for them."""
    rest = input.ndim - mask.ndim
    shape = np.shape(value)
    pairs = zip(shape[::-1], input.shape[::-1], strict=False)
    return len(shape) <= rest and all(n in (1, m) for n, m in pairs)


def _check_value_dtype(input: Any, value: Any) -> None:
    if not np.ndim(value):
        return
    found, needed = dtypes.as_numpy(value.dtype), dtypes.as_numpy(input.dtype)
    if found != needed:
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{needed} for the destination and {found} for the source. Cast the source first."
        )


def cast_value(value: Any, dtype: np.dtype) -> Any:
    """A value as the type of the tensor it is written to; a complex one keeps its real part."""
    number = isinstance(value, complex) or getattr(value, "weak_type", False)
    value = jnp.asarray(value)
    if number and value.dtype.kind == "c" and dtype.kind != "c":
        raise RuntimeError(f"value cannot be converted to type {dtype} without overflow")
    return (value.real if value.dtype.kind == "c" and dtype.kind != "c" else value).astype(dtype)


def _fitted(value: Any, shape: Sequence[int]) -> Any:
    """A value without superfluous leading dimensions, expanded to the region it is written to."""
    extra = value.ndim - len(shape)
    if extra > 0 and all(n == 1 for n in value.shape[:extra]):
        value = jnp.reshape(value, value.shape[extra:])
    return jnp.broadcast_to(value, expanded_shape(value.shape, tuple(shape)))


@op(saves="none", name="copy_slices")
def _set_basic(input: Array, value: Array, layout: tuple, starts: Array | None = None) -> Array:
    target = basic_index(input, layout, starts)
    value = _fitted(cast_value(value, input.dtype), target.shape)
    return write_basic(input, value, layout, starts)


@op(saves="none", name="masked_fill")
def _set_mask(
    input: Array, value: Array, mask: Array, dim: int, layout: tuple, starts: Array | None = None
) -> Array:
    target = basic_index(input, layout, starts)
    rest = target.ndim - dim - mask.ndim
    mask = jnp.reshape(mask, mask.shape + (1,) * rest).astype(bool)
    new = jnp.where(mask, cast_value(value, input.dtype), target)
    return write_basic(input, new, layout, starts)


def _check_set_index(
    input: Any, value: Any, scalars: Any, indices: Any, starts: Any, layout: tuple,
    places: Sequence[int], dims: Sequence[int], accumulate: bool = False,
) -> None:  # fmt: skip
    shape = _view_shape(input.shape, layout, starts)
    for position, dim in zip(scalars, places, strict=True):
        check_bounds([position], [dim], shape)
    shape = [n for i, n in enumerate(shape) if i not in places]
    check_bounds(indices, dims, shape)


def _view_shape(shape: Sequence[int], layout: tuple, starts: Any) -> list[int]:
    out: list[int] = []
    dim = 0
    for entry in layout:
        if entry is None:
            out.append(1)
            continue
        size = shape[dim] if entry == WHOLE else entry[1]
        out.extend([] if size is None else [size])
        dim += 1
    return out + list(shape[dim:])


@op(saves="none", check=_check_set_index, name="index_put")
def _set_index(
    input: Array,
    value: Array,
    scalars: Sequence[Array],
    indices: Sequence[Array],
    starts: Array | None,
    layout: tuple,
    places: tuple[int, ...],
    dims: tuple[int, ...],
    accumulate: bool = False,
) -> Array:
    """Writes through the view, the integer tensors and the index tensors, in this order."""
    views = [basic_index(input, layout, starts)]
    order = sorted(zip(places, scalars, strict=True), key=lambda pair: -pair[0])
    for place, position in order:
        views.append(_select_at(views[-1], position, place))
    value = cast_value(value, input.dtype)
    new = (
        _put(views[-1], value, indices, dims, accumulate)
        if dims
        else _fitted(value, views[-1].shape)
    )
    for view, (place, position) in zip(views[-2::-1], reversed(order), strict=True):
        new = _write_select(view, new, position, place)
    return write_basic(input, new, layout, starts)


def _put(x: Any, value: Any, indices: Any, dims: Sequence[int], accumulate: bool) -> Any:
    indices = [jnp.asarray(i) for i in indices]
    spread = _spread(indices, dims)
    shape = jax.eval_shape(lambda x: x[spread], x).shape
    try:
        value = _fitted(value, shape)
    except RuntimeError:
        raise RuntimeError(
            f"shape mismatch: value tensor of shape {list(value.shape)} cannot be broadcast to "
            f"indexing result of shape {list(shape)}"
        ) from None
    for index, dim in zip(indices, dims, strict=True):
        value = poisoned(value, index, x.shape[dim])
    target = jnp.asarray(x).at[spread]
    if accumulate and x.dtype != np.bool_:
        return target.add(value, mode="drop")
    return (
        target.max(value, mode="drop")
        if accumulate
        else target.set(value, mode="drop", unique_indices=True)
    )


def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`input` with `values` at the positions that the tuple of index tensors names.

    None in `indices` takes a whole dimension. With `accumulate`, values at the same position add
    up; without, one of them wins.
    """
    items = tuple(slice(None) if i is None else i for i in indices)
    layout, starts, scalars, advanced = parse(items, input.shape)
    _check_value_dtype(input, values)
    found, dims = positions_of(advanced)
    places = tuple(dim for dim, _ in scalars)
    positions = [position for _, position in scalars]
    return _set_index(
        input, values, positions, found, packed(starts), layout, places, dims, accumulate
    )
