"""Sliding windows: their settings, their counts, and the slices of an array that they see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

__all__ = [
    "Ints",
    "Window",
    "expand",
    "materialized",
    "offsets",
    "pad_axes",
    "resized",
    "spread",
    "strided",
    "window_count",
]

Ints = int | Sequence[int]


class Window(NamedTuple):
    """The settings of a sliding window, each per dimension."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]


def expand(value: Any, n: int, message: str) -> tuple[int, ...]:
    """A setting given once or per dimension as `n` integers; else RuntimeError with `message`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        values = tuple(value) * n if len(value) == 1 else tuple(value)
    else:
        values = (value,) * n
    if len(values) != n:
        raise RuntimeError(message.format(n=n, value=list(values)))
    for v in values:
        if isinstance(v, bool) or not hasattr(v, "__index__"):
            raise TypeError(f"expected integers for each of {n} dimensions, got {value!r}")
    return tuple(int(v) for v in values)


def window_count(
    size: int, kernel: int, stride: int, padding: int, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """How many windows fit; in `ceil_mode` the last may reach past the end, but not start there."""
    span = size + 2 * padding - dilation * (kernel - 1) - 1
    count = (span + (stride - 1 if ceil_mode else 0)) // stride + 1
    if ceil_mode and (count - 1) * stride >= size + padding:
        count -= 1
    return count


def strided(x: Any, axis: int, start: int, count: int, stride: int = 1) -> Any:
    """`count` elements along one axis, from `start` in steps of `stride`."""
    return lax.slice_in_dim(x, start, start + (count - 1) * stride + 1, stride, axis)


def pad_axes(x: Any, value: Any, axes: Sequence[int], amounts: Sequence[tuple[int, int]]) -> Any:
    """Pads with `value`, or crops where an amount is negative, the given axes."""
    if not any(low or high for low, high in amounts):
        return x
    config = [(0, 0, 0)] * x.ndim
    for axis, (low, high) in zip(axes, amounts, strict=True):
        config[axis] = (low, high, 0)
    return lax.pad(x, jnp.asarray(value, x.dtype), config)


def spread(
    x: Any, axes: Sequence[int], starts: Sequence[int], strides: Sequence[int], sizes: Sequence[int]
) -> Any:
    """The transpose of slicing: x at start, start + stride, ... of zeros with the given sizes."""
    config = [(0, 0, 0)] * x.ndim
    for axis, start, stride, size in zip(axes, starts, strides, sizes, strict=True):
        last = start + (x.shape[axis] - 1) * stride
        config[axis] = (start, size - 1 - last, stride - 1)
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def resized(x: Any, axes: Sequence[int], starts: Sequence[int], counts: Sequence[int]) -> Any:
    """The part [start, start + count) of the given axes, zeros where it reaches outside of x."""
    amounts = [(-s, s + n - x.shape[a]) for a, s, n in zip(axes, starts, counts, strict=True)]
    return pad_axes(x, 0, axes, amounts)


def materialized(x: Any) -> Any:
    """x, computed once however many slices of it are taken.

    NOTE: fusion on the CPU. XLA copies the computation of an array into every consumer that it can
    fuse, so a batch normalisation before a depthwise 3x3 convolution would run nine times, and its
    gradient too: two MobileNet blocks took 710 ms of processor time instead of 120. It removes
    `optimization_barrier` before it fuses, but not a conditional whose outcome it cannot know.
    """
    if jax.default_backend() != "cpu" or not x.size or not jnp.issubdtype(x.dtype, jnp.floating):
        return x
    value = x[(0,) * x.ndim]
    always = (value == value) | (value != value)
    return lax.cond(always, lambda x: x, lambda x: -x, x)


def offsets(kernel: Sequence[int]) -> list[tuple[int, ...]]:
    """All positions inside a window, the last dimension running fastest."""
    return list(np.ndindex(*kernel))
