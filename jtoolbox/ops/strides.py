"""Strides: where PyTorch would keep the elements of a view, worked out from how it was cut.

Arrays have no strides here. But programs ask for them (`stride`, `is_contiguous`), and PyTorch
refuses `view` and copies in `reshape` where strides do not allow a view; so they are followed from
the base, whose rows are contiguous, through the operations that cut the view.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jtoolbox.engine.graph import Handle
from jtoolbox.ops.dims import canonical_dim, canonical_dims

__all__ = ["are_contiguous", "contiguous_strides", "offset_of", "strides_of", "unlink"]
__all__ += ["view_strides"]

Layout = tuple[tuple[int, ...], tuple[int, ...]]  # shape and strides


def contiguous_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a tensor stored row by row."""
    return tuple(math.prod(max(n, 1) for n in shape[i + 1 :]) for i in range(len(shape)))


def are_contiguous(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether these strides are those of rows stored one after another."""
    rows = contiguous_strides(shape)
    pairs = zip(shape, strides, rows, strict=True)
    return 0 in shape or all(n == 1 or s == r for n, s, r in pairs)


def view_strides(
    shape: Sequence[int], strides: Sequence[int], new: Sequence[int]
) -> tuple[int, ...] | None:
    """The strides under which a strided tensor reads as shape `new`; None if there are none.

    Dimensions that follow each other without a gap form a run, and the new dimensions must divide
    the runs among themselves.
    """
    if 0 in new:
        return tuple(strides) if tuple(shape) == tuple(new) else contiguous_strides(new)
    runs: list[list[int]] = []  # [elements, stride of the last dimension]
    for n, s in zip(shape, strides, strict=True):
        if n == 1:
            continue
        if runs and runs[-1][1] == n * s:
            runs[-1] = [runs[-1][0] * n, s]
        else:
            runs.append([n, s])
    runs = runs or [[1, 1]]
    out: list[int] = []
    elements, step = 1, runs[-1][1]
    for n in reversed(new):
        if n > 1 and elements == runs[-1][0] and len(runs) > 1:
            runs.pop()
            elements, step = 1, runs[-1][1]
        out.append(elements * step)
        elements *= n
        if runs[-1][0] % elements:
            return None
    return tuple(reversed(out))


def _permuted(layout: Layout, dims: Sequence[int]) -> Layout:
    shape, strides = layout
    return tuple(shape[d] for d in dims), tuple(strides[d] for d in dims)


def _transpose(layout: Layout, dim0: int, dim1: int) -> Layout:
    dims = list(range(len(layout[0])))
    if dims:
        a, b = canonical_dim(dim0, len(dims)), canonical_dim(dim1, len(dims))
        dims[a], dims[b] = dims[b], dims[a]
    return _permuted(layout, dims)


def _permute(layout: Layout, dims: Sequence[int]) -> Layout:
    return _permuted(layout, [canonical_dim(d, len(layout[0])) for d in dims])


def _reshape(layout: Layout, new: Any) -> Layout:
    new = (new,) if isinstance(new, int) else tuple(new)
    if -1 in new:
        known = math.prod(n for n in new if n != -1)
        new = tuple(math.prod(layout[0]) // known if n == -1 else n for n in new)
    return new, view_strides(*layout, new) or contiguous_strides(new)


def _flatten(layout: Layout, start_dim: int = 0, end_dim: int = -1) -> Layout:
    shape = layout[0]
    a, b = canonical_dim(start_dim, len(shape)), canonical_dim(end_dim, len(shape))
    return _reshape(layout, (*shape[:a], math.prod(shape[a : b + 1]), *shape[b + 1 :]))


def _unflatten(layout: Layout, dim: int, sizes: Sequence[int]) -> Layout:
    shape = layout[0]
    dim = canonical_dim(dim, len(shape))
    known = math.prod(n for n in sizes if n != -1)
    parts = [shape[dim] // known if n == -1 else n for n in sizes]
    return _reshape(layout, (*shape[:dim], *parts, *shape[dim + 1 :]))


def _squeeze(layout: Layout, dim: Any = None) -> Layout:
    shape = layout[0]
    dims = range(len(shape)) if dim is None else canonical_dims(dim, len(shape))
    return _permuted(layout, [i for i, n in enumerate(shape) if n != 1 or i not in dims])


def _unsqueeze(layout: Layout, dim: int) -> Layout:
    shape, strides = layout
    dim = canonical_dim(dim, len(shape) + 1)
    step = shape[dim] * strides[dim] if dim < len(shape) else 1
    return (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], step, *strides[dim:])


def _expand(layout: Layout, size: Sequence[int]) -> Layout:
    shape, strides = list(layout[0]), list(layout[1])
    if not shape:
        return tuple(size), (0,) * len(size)
    while len(shape) < len(size):
        strides.insert(0, shape[0] * strides[0])
        shape.insert(0, 1)
        if size[len(size) - len(shape)] != 1:
            shape[0], strides[0] = size[len(size) - len(shape)], 0
    for i, n in enumerate(size):
        if n not in (-1, shape[i]):
            shape[i], strides[i] = n, 0
    return tuple(shape), tuple(strides)


def _diagonal(layout: Layout, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Layout:
    shape, strides = layout
    a, b = canonical_dim(dim1, len(shape)), canonical_dim(dim2, len(shape))
    rest = [i for i in range(len(shape)) if i not in (a, b)]
    count = max(0, min(shape[a] - max(0, -offset), shape[b] - max(0, offset)))
    shape_left, strides_left = _permuted(layout, rest)
    return (*shape_left, count), (*strides_left, strides[a] + strides[b])


def _unfold(layout: Layout, dimension: int, size: int, step: int) -> Layout:
    shape, strides = list(layout[0]) or [1], list(layout[1]) or [1]
    dim = canonical_dim(dimension, len(shape))
    inner = strides[dim]
    shape[dim], strides[dim] = (shape[dim] - size) // step + 1, inner * step
    if not layout[0]:
        return (size,), (1,)
    return (*shape, size), (*strides, inner)


def _slice(layout: Layout, entries: Sequence[Any]) -> Layout:
    shape, strides = layout
    new_shape: list[int] = []
    new_strides: list[int] = []
    dim = 0
    for entry in entries:
        if entry is None:
            step = shape[dim] * strides[dim] if dim < len(shape) else 1
            new_shape.append(1)
            new_strides.append(step)
            continue
        _, size, step = (0, shape[dim], 1) if entry == 0 else entry
        if size is not None:
            new_shape.append(size)
            new_strides.append(strides[dim] * step)
        dim += 1
    return (*new_shape, *shape[dim:]), (*new_strides, *strides[dim:])


def _select(layout: Layout, dim: int) -> Layout:
    return _permuted(layout, [i for i in range(len(layout[0])) if i != dim])


def _as_real(layout: Layout) -> Layout:
    return (*layout[0], 2), (*[2 * s for s in layout[1]], 1)


def _as_complex(layout: Layout) -> Layout:
    return layout[0][:-1], tuple(s // 2 for s in layout[1][:-1])


def _same(layout: Layout) -> Layout:
    return layout


def _strided(layout: Layout, size: Any, stride: Any, offset: int) -> Layout:
    return tuple(size), tuple(stride)


def _reversed(layout: Layout) -> Layout:
    return _permuted(layout, range(len(layout[0]))[::-1])


def _adjoint(layout: Layout) -> Layout:
    return _transpose(layout, -2, -1)


_RULES: dict[str, Callable[..., Layout]] = {
    **{"reshape": _reshape, "flatten": _flatten, "unflatten": _unflatten, "squeeze": _squeeze},
    **{"unsqueeze": _unsqueeze, "transpose": _transpose, "_adjoint": _adjoint},
    **{"permute": _permute, "_expand": _expand, "diagonal": _diagonal, "unfold": _unfold},
    **{"slice": _slice, "select": _select, "view_as_real": _as_real, "detach": _same},
    **{"as_strided": _strided, "t": _reversed, "view_as_complex": _as_complex},
}


@functools.lru_cache(maxsize=4096)
def _followed(name: str, layout: Layout, args: tuple) -> Layout | None:
    rule = _RULES.get(name)
    return None if rule is None else rule(layout, *args)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value


def _cuts(x: Handle) -> tuple[Any, list[Any]]:
    """The shape of the base of a view, and the links from the base to the view."""
    links = []
    link = x._view
    while link is not None:
        links.append(link)
        link = link.parent
    return tuple(links[-1].family._node.aval.shape), links[::-1]


def strides_of(x: Any) -> tuple[int, ...]:
    """How many elements apart neighbours lie in each dimension.

    A tensor that is no view has its rows one after another, and so has a view that PyTorch would
    have had to copy.
    """
    if not isinstance(x, Handle):
        return contiguous_strides(np.shape(x))
    if x._view is None:
        return contiguous_strides(x._node.aval.shape)
    shape, links = _cuts(x)
    layout: Layout | None = (shape, contiguous_strides(shape))
    for link in links:
        statics = [_frozen(a) for i, a in enumerate(link.args) if i not in link.op.operands]
        layout = None if layout is None else _followed(link.op.name, layout, tuple(statics))
    actual = tuple(x._node.aval.shape)
    return contiguous_strides(actual) if layout is None or layout[0] != actual else layout[1]


def offset_of(x: Any) -> int:
    """How many elements after the start of its base a view begins.

    RuntimeError for a view whose beginning is itself a value of the program.
    """
    if not isinstance(x, Handle) or x._view is None:
        return 0
    shape, links = _cuts(x)
    layout: Layout = (shape, contiguous_strides(shape))
    offset = 0
    for link in links:
        statics = [_frozen(a) for i, a in enumerate(link.args) if i not in link.op.operands]
        followed = _followed(link.op.name, layout, tuple(statics))
        if followed is None or link.op.name == "select":
            raise RuntimeError(
                "storage_offset() of this view is not known: it was cut at a position that is a "
                "tensor, or reads the bytes as another type. Arrays have no storage here."
            )
        offset += _begin(link.op.name, layout, link.args)
        offset = offset * 2 if link.op.name == "view_as_real" else offset
        offset = offset // 2 if link.op.name == "view_as_complex" else offset
        layout = followed
    return offset


def _begin(name: str, layout: Layout, args: Sequence[Any]) -> int:
    strides = layout[1]
    if name == "diagonal":
        _, offset, dim1, dim2 = args
        return abs(offset) * strides[dim2 if offset > 0 else dim1]
    if name == "as_strided":
        return args[3]
    if name != "slice":
        return 0
    entries, starts = args[1], args[2] if len(args) > 2 else None
    data = iter(() if starts is None else np.atleast_1d(np.asarray(starts)).tolist())
    taken = [e for e in entries if e is not None]
    firsts = [0 if e == 0 else next(data) if e[0] is None else e[0] for e in taken]
    return sum(first * s for first, s in zip(firsts, strides, strict=False))


def unlink(x: Any) -> None:
    """Makes a view just cut a tensor of its own, which no longer follows its base."""
    family = x._view.family
    x._view = None
    family.members = [member for member in family.members if member() is not x]
