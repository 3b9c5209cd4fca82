"""The greatest element of every window, dimension after dimension.

NOTE: ties. PyTorch gives a window's gradient to one element: the first of the greatest, in row-
major order; after a ReLU windows full of zeros are common. `jnp.max` would split it between them,
and `reduce_window` does not, but its gradient is a slow select-and-scatter. So the maximum is a
chain of `where(later > first, later, first)`, whose gradient is exact, exists in forward mode and
of second order, and reuses the comparisons. One dimension after the other needs fewer comparisons
and finds the same element.

Forward and gradient, in milliseconds of processor time on two cores, `reduce_window` against this
chain (benchmarks/convolutions.py): 2x2 of 64x64x24x24, 28 and 13; 3x3 with stride 2 of
16x64x56x56, 56 and 19. Channels come last inside, because the CPU's convolutions leave them there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.nn.functional.window_sum import adaptive_bounds
from jtoolbox.nn.functional.windows import pad_axes, strided

__all__ = ["adaptive_maximum", "first_greatest", "window_maximum"]

# Values, or values with their positions: what is compared and carried along.
Candidates = tuple[Any, ...]

# Longer windows are compared by halves instead of one element after the other.
_LONGEST_CHAIN = 8


def window_maximum(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    counts: Sequence[int],
    with_indices: bool,
) -> Candidates:
    """(N, C, *sizes) to the maxima (N, C, *counts) and, if asked, their flat positions."""
    candidates, first = _candidates(x, with_indices)
    settings = list(zip(kernel, stride, padding, dilation, counts, strict=True))
    for i in reversed(range(len(kernel))):
        candidates = _along(candidates, first + i, *settings[i])
    return _finished(candidates, first)


def adaptive_maximum(x: Any, counts: Sequence[int], with_indices: bool) -> Candidates:
    """The same for `counts` windows per dimension that divide it as evenly as they can."""
    candidates, first = _candidates(x, with_indices)
    for i in reversed(range(len(counts))):
        size, count = x.shape[2 + i], counts[i]
        if size % count == 0:
            candidates = _along(candidates, first + i, size // count, size // count, 0, 1, count)
        elif size != count:
            candidates = _uneven(candidates, first + i, count)
    return _finished(candidates, first)


def _candidates(x: Any, with_indices: bool) -> tuple[Candidates, int]:
    """What to compare, in the layout to compare it in, and the first axis of its planes."""
    sizes, first = x.shape[2:], 2
    indices = jnp.arange(math.prod(sizes), dtype=np.int32).reshape(1, 1, *sizes)
    candidates = (x, jnp.broadcast_to(indices, x.shape)) if with_indices else (x,)
    if jax.default_backend() == "cpu":
        candidates, first = tuple(jnp.moveaxis(c, 1, -1) for c in candidates), 1
    return candidates, first


def _finished(candidates: Candidates, first: int) -> Candidates:
    if first == 1:
        candidates = tuple(jnp.moveaxis(c, -1, 1) for c in candidates)
    return (candidates[0], *(c.astype(dtypes.index_dtype()) for c in candidates[1:]))


def _choose(first: Candidates, later: Candidates, axis: int, forced: Any = None) -> Candidates:
    """The greater of two, the first if they are equal, the later if it is NaN or `forced`.

    `forced` says where the first is nothing but padding. It only matters where all is minus
    infinity, and then only for the position; a constant mask costs three times the rest.
    """
    take = later[0] > first[0]
    if jnp.issubdtype(later[0].dtype, jnp.inexact):
        take = take | jnp.isnan(later[0])
    if forced is not None and len(first) > 1 and forced.any():
        shape = [1] * take.ndim
        shape[axis] = -1
        take = take | forced.reshape(shape)
    return tuple(jnp.where(take, b, a) for a, b in zip(first, later, strict=True))


def _along(
    candidates: Candidates,
    axis: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    count: int,
) -> Candidates:
    """The maxima of the windows along one axis."""
    size = candidates[0].shape[axis]
    reach = (count - 1) * stride + dilation * (kernel - 1) + 1
    if kernel > _LONGEST_CHAIN and kernel == stride and not padding and reach <= size:
        return _apart(candidates, axis, kernel, count)
    end = max(0, reach - size - padding)
    candidates = tuple(
        pad_axes(c, low, [axis], [(padding, end)])
        for c, low in zip(candidates, (_lowest(candidates[0].dtype), 0), strict=False)
    )
    if kernel > _LONGEST_CHAIN:
        return _by_halves(candidates, axis, kernel, stride, padding, dilation, count)
    best: Candidates = ()
    for i in range(kernel):
        later = tuple(strided(c, axis, i * dilation, count, stride) for c in candidates)
        # The padding must not win against elements that are as low as it is.
        outside = np.arange(count) * stride + (i - 1) * dilation < padding
        best = _choose(best, later, axis, outside) if best else later
    return best


def _lowest(dtype: Any) -> Any:
    return -np.inf if jnp.issubdtype(dtype, jnp.inexact) else np.iinfo(dtype).min


def _by_halves(
    candidates: Candidates,
    axis: int,
    kernel: int,
    stride: int,
    padding: int,
    dilation: int,
    count: int,
) -> Candidates:
    """Long windows: the maxima of 1, 2, 4, 8 ... elements from every place on, put together."""

    def joined(first: Candidates, later: Candidates, length: int) -> Candidates:
        size = later[0].shape[axis] - length * dilation
        outside = np.arange(size) + (length - 1) * dilation < padding
        return _choose(
            tuple(strided(c, axis, 0, size) for c in first),
            tuple(strided(c, axis, length * dilation, size) for c in later),
            axis,
            outside,
        )

    best: Candidates = ()
    block, length, done = candidates, 1, 0
    while True:
        if kernel & length:
            best = joined(best, block, done) if best else block
            done += length
        if length * 2 > kernel:
            return tuple(strided(c, axis, 0, count, stride) for c in best)
        block, length = joined(block, block, length), length * 2


def _apart(candidates: Candidates, axis: int, kernel: int, count: int) -> Candidates:
    """Windows side by side, as an axis of their own."""
    split = [strided(c, axis, 0, count * kernel) for c in candidates]
    shape = split[0].shape
    shape = (*shape[:axis], count, kernel, *shape[axis + 1 :])
    return first_greatest(tuple(c.reshape(shape) for c in split), axis + 1)


def _uneven(candidates: Candidates, axis: int, count: int) -> Candidates:
    """Adaptive windows of differing lengths; the shorter ones repeat their last element."""
    starts, ends = adaptive_bounds(candidates[0].shape[axis], count)
    places = starts[:, None] + np.arange(max(ends - starts))
    places = np.minimum(places, ends[:, None] - 1)
    return first_greatest(
        tuple(jnp.take(c, places, axis, mode="clip") for c in candidates), axis + 1
    )


def first_greatest(candidates: Candidates, axis: int) -> Candidates:
    """The maximum over one axis, of neighbours two by two so that the first one wins a tie."""
    while (size := candidates[0].shape[axis]) > 1:
        first, later = (
            tuple(strided(c, axis, i, size // 2, 2) for c in candidates) for i in (0, 1)
        )
        best = _choose(first, later, axis)
        if size % 2:
            rest = (strided(c, axis, size - 1, 1) for c in candidates)
            best = tuple(jnp.concatenate(pair, axis) for pair in zip(best, rest, strict=True))
        candidates = best
    return tuple(jnp.squeeze(c, axis) for c in candidates)
