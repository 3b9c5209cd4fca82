"""Sliding windows as columns of a matrix, and columns added back to where they came from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.windows import (
    Ints,
    expand,
    materialized,
    offsets,
    pad_axes,
    spread,
    strided,
    window_count,
)

__all__ = ["fold", "unfold"]

_SETTING = "It is expected {name} equals to 2, but got size {value}"
_LEAST = {"kernel_size": 1, "stride": 1, "dilation": 1, "padding": 0, "output_size": 1}


def _setting(name: str, value: Any) -> tuple[int, ...]:
    values = expand(value, 2, _SETTING.replace("{name}", name))
    if min(values) < _LEAST[name]:
        what = "non-negative" if name == "padding" else "greater than zero"
        raise RuntimeError(f"{name.replace('_', ' ')} should be {what}, but got {list(values)}")
    return values


def _settings(kernel_size: Any, stride: Any, padding: Any, dilation: Any) -> list[tuple[int, ...]]:
    """kernel, stride, padding and dilation per dimension, checked."""
    return [
        _setting("kernel_size", kernel_size),
        _setting("stride", stride),
        _setting("padding", padding),
        _setting("dilation", dilation),
    ]


def _block_counts(sizes: Sequence[int], settings: list[tuple[int, ...]]) -> list[int]:
    counts = [window_count(*s) for s in zip(sizes, *settings, strict=True)]
    if min(counts) < 1:
        kernel, _, padding, dilation = settings
        raise RuntimeError(
            f"Given input with spatial size {tuple(sizes)}, kernel_size={kernel}, "
            f"dilation={dilation}, padding={padding}, calculated shape of the array of sliding "
            f"blocks as {tuple(counts)}, but its components must be at least one."
        )
    return counts


@op(saves="none")
def unfold(
    input: Array, kernel_size: Ints, dilation: Ints = 1, padding: Ints = 0, stride: Ints = 1
) -> Array:
    """Lays out every window of a plane as a column.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C KH KW, L), where L counts the
    windows row by row. A convolution is then a matrix product with its flattened filters. Raises
    RuntimeError where no window fits.
    """
    x = jnp.asarray(input)
    if x.ndim not in (3, 4) or 0 in x.shape[-3:]:
        raise RuntimeError(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero "
            f"dimensions for input, but got: {list(x.shape)}"
        )
    settings = _settings(kernel_size, stride, padding, dilation)
    kernel, strides, pads, dilations = settings
    counts = _block_counts(x.shape[-2:], settings)
    axes = (x.ndim - 2, x.ndim - 1)
    x = pad_axes(materialized(x), 0, axes, [(p, p) for p in pads])
    columns = []
    for offset in offsets(kernel):
        seen = x
        for axis, i, d, count, s in zip(axes, offset, dilations, counts, strides, strict=True):
            seen = strided(seen, axis, i * d, count, s)
        columns.append(seen)
    y = jnp.stack(columns, axes[0])
    rows = y.shape[axes[0] - 1] * len(columns)
    return y.reshape(*y.shape[: axes[0] - 1], rows, math.prod(counts))


@op(saves="none")
def fold(
    input: Array,
    output_size: Ints,
    kernel_size: Ints,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
) -> Array:
    """Adds columns back to the windows of a plane: the transpose of `unfold` as a linear map.

    Shapes: input (N, C KH KW, L) or (C KH KW, L); the result is (N, C, *output_size). Where windows
    overlap, their values are summed. Raises RuntimeError where the number of rows or columns does
    not fit.
    """
    x = jnp.asarray(input)
    if x.ndim not in (2, 3) or 0 in x.shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and "
            f"non-zero dimensions for input, but got: {list(x.shape)}"
        )
    sizes = _setting("output_size", output_size)
    settings = _settings(kernel_size, stride, padding, dilation)
    counts = _block_counts(sizes, settings)
    kernel, strides, pads, dilations = settings
    _check_columns(x, sizes, settings, counts)
    lead, axes = x.shape[:-2], (x.ndim - 1, x.ndim)
    x = x.reshape(*lead, x.shape[-2] // math.prod(kernel), math.prod(kernel), *counts)
    y: Any = 0
    for k, (i, j) in enumerate(offsets(kernel)):
        starts = (i * dilations[0] - pads[0], j * dilations[1] - pads[1])
        y = y + spread(x[..., k, :, :], axes, starts, strides, sizes)
    return y


def _check_columns(
    x: Any, sizes: Sequence[int], settings: list[tuple[int, ...]], counts: Sequence[int]
) -> None:
    kernel, stride, padding, dilation = settings
    if x.shape[-2] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, "
            f"but got input.size(1)={x.shape[-2]} and kernel_size={kernel}."
        )
    if x.shape[-1] != math.prod(counts):
        raise RuntimeError(
            f"Given output_size={tuple(sizes)}, kernel_size={kernel}, dilation={dilation}, "
            f"padding={padding}, stride={stride}, expected size of input's dimension 2 to match "
            f"the calculated number of sliding blocks {counts[0]} * {counts[1]} = "
            f"{math.prod(counts)}, but got input.size(2)={x.shape[-1]}."
        )
