"""Pooling: the greatest element, the mean or the p-norm of every window, and its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import type_name
from jtoolbox.nn.functional.pooling_input import (
    adaptive_counts,
    expand_setting,
    pooling_window,
    results_of,
    window_counts,
    with_batch,
)
from jtoolbox.nn.functional.unpooling import unpool, unpooled_size
from jtoolbox.nn.functional.window_maximum import adaptive_maximum, window_maximum
from jtoolbox.nn.functional.window_sum import adaptive_mean, window_mean
from jtoolbox.nn.functional.windows import Ints

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]

# --- maximum -------------------------------------------------------------------------------------


def _max_pool(
    n: int,
    input: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    name = f"max_pool{n}d"
    x, batched = with_batch(name, n, input)
    if x.dtype == np.bool_:
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(x)}'")
    window = pooling_window(name, n, kernel_size, stride, padding, dilation)
    counts = window_counts(x, window, ceil_mode)
    return results_of(window_maximum(x, *window, counts, return_indices), batched)


@op
def max_pool1d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of one dimension.

    Shapes: input (N, C, L) or (C, L); the result is (N, C, L') with L' = (L + 2 padding - dilation
    (kernel_size - 1) - 1) // stride + 1, rounded up instead of down with `ceil_mode`. `stride` is
    `kernel_size` unless given. The padding never wins. With `return_indices` the positions along L
    are returned as well. The gradient goes to the first of the greatest elements. Raises
    RuntimeError where the window does not fit.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@op
def max_pool2d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of two dimensions.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, H', W'). Positions count row by
    row through a plane (h W + w). Settings as in `max_pool1d`, as numbers or one per dimension.

        >>> F.max_pool2d(torch.ones(1, 3, 8, 8), 2).shape
        torch.Size([1, 3, 4, 4])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@op
def max_pool3d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of three dimensions.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, D', H', W'). Settings as in
    `max_pool1d`, as numbers or one per dimension.
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# --- mean ----------------------------------------------------------------------------------------


def _avg_pool(
    n: int,
    input: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Any:
    name = f"avg_pool{n}d"
    x, batched = with_batch(name, n, input)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = pooling_window(name, n, kernel_size, stride, padding)
    counts = window_counts(x, window, ceil_mode)
    y = window_mean(x, *window[:3], counts, count_include_pad, divisor_override)
    return y if batched else y[0]


@op
def avg_pool1d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of every window of one dimension.

    Shapes: input (N, C, L) or (C, L); the result is (N, C, L') with L' = (L + 2 padding -
    kernel_size) // stride + 1, rounded up instead of down with `ceil_mode`. `stride` is
    `kernel_size` unless given. With `count_include_pad` the padding's zeros count as elements; what
    `ceil_mode` adds never does. Raises RuntimeError where the window does not fit.
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@op
def avg_pool2d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of every window of two dimensions.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, H', W'). Settings as in
    `avg_pool1d`, as numbers or one per dimension; `divisor_override` divides every window's sum
    instead of its number of elements.

        >>> F.avg_pool2d(torch.ones(1, 3, 8, 8), 3, stride=2, padding=1).shape
        torch.Size([1, 3, 4, 4])
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@op
def avg_pool3d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of every window of three dimensions.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, D', H', W'). Settings as in
    `avg_pool2d`.
    """
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(
    n: int, input: Any, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> Any:
    x = jnp.asarray(input)
    powers = x ** (int(norm_type) if float(norm_type).is_integer() else norm_type)
    size = math.prod(expand_setting(f"lp_pool{n}d", "kernel_size", kernel_size, n))
    mean = _avg_pool(n, powers, kernel_size, stride, 0, ceil_mode, True)
    total = mean * size
    # A sum of zero has no gradient here, where the root has no slope.
    root = jnp.power(jnp.where(total == 0, 1, total), 1 / norm_type)
    return jnp.where(total == 0, 0, root).astype(root.dtype)


@op
def lp_pool1d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm without absolute values of every window of one dimension: (sum x^p)^(1/p).

    Shapes: input (N, C, L) or (C, L), sizes as in `avg_pool1d`. A window that `ceil_mode` adds
    counts as if its missing elements were its mean. The gradient of a sum of zero is 0.
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@op
def lp_pool2d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm of every window of two dimensions: see `lp_pool1d`.

    Shapes: input (N, C, H, W) or (C, H, W).
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@op
def lp_pool3d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm of every window of three dimensions: see `lp_pool1d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W).
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# --- adaptive ------------------------------------------------------------------------------------


def adaptive_avg_pool(n: int, input: Any, output_size: Any) -> Any:
    """Adaptive mean pooling over `n` dimensions."""
    x, counts, batched = adaptive_counts(f"adaptive_avg_pool{n}d", n, input, output_size)
    empty = 0 in counts
    y = jnp.zeros((*x.shape[:2], *counts), x.dtype) if empty else adaptive_mean(x, counts)
    return y if batched else y[0]


@op
def adaptive_avg_pool1d(input: Array, output_size: Ints) -> Array:
    """The mean of `output_size` windows that divide one dimension as evenly as they can.

    Window i reaches from floor(i L / L') to ceil((i + 1) L / L'). Shapes: input (N, C, L) or
    (C, L); the result is (N, C, L'). Raises RuntimeError for another rank or a negative size.
    """
    return adaptive_avg_pool(1, input, output_size)


@op
def adaptive_avg_pool2d(input: Array, output_size: int | Sequence[int | None]) -> Array:
    """The mean of windows that divide two dimensions as evenly as they can.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, *output_size), where a None keeps
    the input's size. Windows as in `adaptive_avg_pool1d`.

        >>> F.adaptive_avg_pool2d(torch.ones(1, 3, 8, 8), (5, None)).shape
        torch.Size([1, 3, 5, 8])
    """
    return adaptive_avg_pool(2, input, output_size)


@op
def adaptive_avg_pool3d(input: Array, output_size: int | Sequence[int | None]) -> Array:
    """The mean of windows that divide three dimensions as evenly as they can.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, *output_size), where a None
    keeps the input's size. Windows as in `adaptive_avg_pool1d`.
    """
    return adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x, counts, batched = adaptive_counts(f"adaptive_max_pool{n}d", n, input, output_size)
    if 0 in counts:
        shape = (*x.shape[:2], *counts)
        results = (jnp.zeros(shape, x.dtype), jnp.zeros(shape, dtypes.index_dtype()))
        return results_of(results[: 1 + return_indices], batched)
    return results_of(adaptive_maximum(x, counts, return_indices), batched)


@op
def adaptive_max_pool1d(input: Array, output_size: Ints, return_indices: bool = False) -> Array:
    """The greatest element of `output_size` windows over one dimension.

    Shapes and windows as in `adaptive_avg_pool1d`; positions and ties as in `max_pool1d`.
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


@op
def adaptive_max_pool2d(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Array:
    """The greatest element of windows that divide two dimensions as evenly as they can.

    Shapes and windows as in `adaptive_avg_pool2d`; positions and ties as in `max_pool2d`.
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


@op
def adaptive_max_pool3d(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Array:
    """The greatest element of windows that divide three dimensions as evenly as they can.

    Shapes and windows as in `adaptive_avg_pool3d`; positions and ties as in `max_pool2d`.
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)


# --- the inverse of max-pooling ------------------------------------------------------------------


def max_unpool1d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool1d` back to their positions, zeros elsewhere.

    Shapes: input and indices (N, C, L') or (C, L'); the result is (N, C, L) with L = (L' - 1)
    stride - 2 padding + kernel_size, or the `output_size` given, which must be less than a stride
    away. Raises RuntimeError for an index outside; where the indices cannot be looked at, the
    result is NaN.
    """
    size = unpooled_size(1, input, kernel_size, stride, padding, output_size)
    return unpool(input, indices, size)


def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool2d` back to their positions: see `max_unpool1d`.

    Shapes: input and indices (N, C, H', W') or (C, H', W').
    """
    size = unpooled_size(2, input, kernel_size, stride, padding, output_size)
    return unpool(input, indices, size)


def max_unpool3d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool3d` back to their positions: see `max_unpool1d`.

    Shapes: input and indices (N, C, D', H', W') or (C, D', H', W').
    """
    size = unpooled_size(3, input, kernel_size, stride, padding, output_size)
    return unpool(input, indices, size)
