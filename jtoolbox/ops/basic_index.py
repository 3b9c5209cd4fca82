"""Basic indexing: the view that integers, slices, None and Ellipsis select, and writing to it.

A layout says for each dimension what is taken; it is static and part of the compile key. One entry
per dimension from the front (dimensions after the last entry are taken whole):

    WHOLE                  the whole dimension
    None                   a new dimension of size 1
    (start, size, step)    `size` elements from `start`; size None takes one and drops the dimension

NOTE: what is data. A start of None is the next of `starts`, an input of the program, so that
`data[i:i+64]` compiles once for all i. An input costs each call a little and keeps XLA from folding
the slice, so a start is static where it cannot vary on its own (an open end fixes it: `x[:n]`,
`x[n:]`, `x[-1:]`), where it is negative (`x[-1]` is hardly ever a loop's counter), and where the
slice is the whole dimension.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op

__all__ = ["WHOLE", "basic_index", "integer_entry", "packed", "slice_entry", "write_basic"]

WHOLE = 0
Entry = Any  # WHOLE, None or (start, size, step)


def integer_entry(i: int, dim: int, size: int) -> tuple[Entry, int | None]:
    """The entry for integer `i`, and the start to pass as data (None if it is static)."""
    if not -size <= i < size:
        raise IndexError(f"index {i} is out of bounds for dimension {dim} with size {size}")
    if i < 0 or size == 1:
        return (i % size, None, 1), None
    return (None, None, 1), i


def slice_entry(s: slice, size: int) -> tuple[Entry, int | None]:
    """The entry for a slice, and the start to pass as data (None if it is static)."""
    if s.start is None and s.stop is None and s.step is None:
        return WHOLE, None
    try:
        start, stop, step = s.indices(size)
    except TypeError:
        raise TypeError(
            "slice indices must be integers or None or have an __index__ method"
        ) from None
    if step < 0:
        raise ValueError("step must be greater than zero")
    count = max(0, -((start - stop) // step))
    if count == size:
        return WHOLE, None
    if s.start is None or s.stop is None or not count or s.start < 0:
        return (start if count else 0, count, step), None
    return (None, count, step), start


def packed(starts: Sequence[int]) -> Any:
    """The starts as one operand: nothing, a number, or a vector of them."""
    if not starts:
        return None
    return starts[0] if len(starts) == 1 else np.array(starts, np.int64)


def _region(shape: Sequence[int], layout: Sequence[Entry], starts: Any) -> tuple[list, ...]:
    """First position, extent and step of the region in each dimension, and the result's shape."""
    data = iter(() if starts is None else (starts,) if np.ndim(starts) == 0 else starts)
    begin: list[Any] = []
    span: list[int] = []
    step: list[int] = []
    out: list[int] = []
    for entry in layout:
        if entry is None:
            out.append(1)
            continue
        start, size, stride = (0, shape[len(begin)], 1) if entry == WHOLE else entry
        begin.append(next(data) if start is None else start)
        span.append(1 if size is None else max(0, (size - 1) * stride + 1))
        step.append(stride)
        if size is not None:
            out.append(size)
    rest = list(shape[len(begin) :])
    return begin + [0] * len(rest), span + rest, step + [1] * len(rest), out + rest


def _strides(x: Any, step: Sequence[int]) -> Any:
    if all(n == 1 for n in step):
        return x
    return jax.lax.slice(x, [0] * x.ndim, x.shape, step)


def _dynamic(x: Any, begin: Sequence[Any], span: Sequence[int]) -> Any:
    """`lax.dynamic_slice` without its handling of negative starts, which never come here."""
    negative = [False] * len(begin)
    return jax.lax.dynamic_slice(x, begin, span, allow_negative_indices=negative)


def write_basic(base: Any, value: Any, layout: Sequence[Entry], starts: Any = None) -> Any:
    """`base` with the region of a basic index, which has the shape of `value`, replaced."""
    begin, span, step, _ = _region(base.shape, layout, starts)
    region = jnp.reshape(value, [-(-n // k) for n, k in zip(span, step, strict=True)])
    region = region.astype(base.dtype)
    if 0 in span:
        return jnp.asarray(base)
    if any(k > 1 for k in step):
        gaps = _dynamic(base, begin, span)
        region = gaps.at[tuple(slice(None, None, k) for k in step)].set(region)
    negative = [False] * len(begin)
    return jax.lax.dynamic_update_slice(
        jnp.asarray(base), region, begin, allow_negative_indices=negative
    )


@op(view=True, saves="none", write=write_basic, name="slice")
def basic_index(input: Array, layout: tuple, starts: Array | None = None) -> Array:
    """The view of `input` that a layout selects; the starts are known to be within bounds."""
    begin, span, step, out = _region(input.shape, layout, starts)
    if starts is None:
        limit = [b + n for b, n in zip(begin, span, strict=True)]
        part = jax.lax.slice(input, begin, limit, step)
    else:
        part = _strides(_dynamic(input, begin, span), step)
    return jnp.reshape(part, out)
