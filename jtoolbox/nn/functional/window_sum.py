"""The sum and the mean of every window."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jtoolbox.nn.functional.checks import wide
from jtoolbox.nn.functional.windows import materialized, pad_axes, strided

__all__ = ["adaptive_bounds", "adaptive_mean", "window_mean"]

# Longer windows are summed by `reduce_window`; up to here slices take half its time on the CPU.
_MOST_SLICES = 8


def window_mean(
    x: Any,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    counts: Sequence[int],
    count_include_pad: bool,
    divisor: int | None,
) -> Any:
    """(N, C, *sizes) to the means (N, C, *counts), over `divisor` elements if one is given."""
    settings = list(zip(kernel, stride, padding, counts, strict=True))
    if divisor is None:
        lengths = [
            _lengths(size, *setting, count_include_pad)
            for size, setting in zip(x.shape[2:], settings, strict=True)
        ]
        divisor = _outer(lengths)
    total = wide(x)
    for i in reversed(range(len(kernel))):
        total = _sum_along(total, i + 2, *settings[i])
    return _divided(total, divisor, x.dtype)


def _divided(total: Any, divisor: Any, dtype: Any) -> Any:
    """Division that truncates where the elements are integers, as in PyTorch."""
    divisor = jnp.asarray(divisor, total.dtype)
    return lax.div(total, jnp.broadcast_to(divisor, total.shape)).astype(dtype)


def _lengths(
    size: int, kernel: int, stride: int, padding: int, count: int, count_include_pad: bool
) -> np.ndarray:
    """How many elements each window along one axis counts."""
    starts = np.arange(count) * stride - padding
    if count_include_pad:
        return np.minimum(starts + kernel, size + padding) - starts
    return np.minimum(starts + kernel, size) - np.maximum(starts, 0)


def _outer(lengths: Sequence[np.ndarray]) -> Any:
    """The number of elements of each window, from those along each axis."""
    total = lengths[0]
    for other in lengths[1:]:
        total = total[..., None] * other
    return int(total.flat[0]) if (total == total.flat[0]).all() else total


def _sum_along(x: Any, axis: int, kernel: int, stride: int, padding: int, count: int) -> Any:
    """The sums of the windows along one axis."""
    reach = (count - 1) * stride + kernel
    x = pad_axes(x, 0, [axis], [(padding, reach - x.shape[axis] - padding)])
    if kernel == stride:
        split = x.reshape(*x.shape[:axis], count, kernel, *x.shape[axis + 1 :])
        return split.sum(axis + 1, x.dtype)
    x = materialized(x)
    if kernel <= _MOST_SLICES:
        return sum(strided(x, axis, i, count, stride) for i in range(kernel))
    window, strides = [1] * x.ndim, [1] * x.ndim
    window[axis], strides[axis] = kernel, stride
    return lax.reduce_window(x, np.zeros((), x.dtype), lax.add, window, strides, "VALID")


def adaptive_bounds(size: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each of `count` adaptive windows over `size` elements starts and ends."""
    i = np.arange(count)
    return i * size // count, -(-(i + 1) * size // count)


def adaptive_mean(x: Any, counts: Sequence[int]) -> Any:
    """The means over `counts` windows per dimension that divide it as evenly as they can."""
    sizes = x.shape[2:]
    total = wide(x)
    if all(size % count == 0 for size, count in zip(sizes, counts, strict=True)):
        pairs = [(count, size // count) for size, count in zip(sizes, counts, strict=True)]
        total = total.reshape(*x.shape[:2], *[v for pair in pairs for v in pair])
        total = total.sum(tuple(range(3, total.ndim, 2)))
        return _divided(total, math.prod(k for _, k in pairs), x.dtype)
    lengths = []
    for i, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        starts, ends = adaptive_bounds(size, count)
        lengths.append(ends - starts)
        total = _uneven_sum(total, i + 2, starts, ends)
    return _divided(total, _outer(lengths), x.dtype)


def _uneven_sum(x: Any, axis: int, starts: np.ndarray, ends: np.ndarray) -> Any:
    """The sums of windows of differing lengths along one axis."""
    places = starts[:, None] + np.arange(max(ends - starts))
    inside = (places < ends[:, None]).reshape(*places.shape, *[1] * (x.ndim - axis - 1))
    seen = jnp.take(x, np.minimum(places, x.shape[axis] - 1), axis, mode="clip")
    return jnp.where(inside, seen, 0).sum(axis + 1)
