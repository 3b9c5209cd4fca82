"""The inverse of max-pooling: values back to the positions that they came from."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import type_name
from jtoolbox.nn.functional.pooling_input import expand_setting
from jtoolbox.nn.functional.windows import Ints

__all__ = ["unpool", "unpooled_size"]


def _check_positions(input: Any, indices: Any, output_size: tuple[int, ...]) -> None:
    if not isinstance(indices, np.ndarray) or not indices.size:
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= math.prod(output_size):
        sizes = "x".join(str(v) for v in output_size)
        raise RuntimeError(
            f"Found an invalid max index: {low if low < 0 else high} (output volumes are of size "
            f"{sizes}): give the output_size that the indices were made for"
        )


@op(name="max_unpool", check=_check_positions)
def unpool(input: Array, indices: Array, output_size: tuple[int, ...]) -> Array:
    x, indices = jnp.asarray(input), jnp.asarray(indices)
    n, size = len(output_size), math.prod(output_size)
    if indices.dtype != dtypes.index_dtype():
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {type_name(indices)}"
        )
    if indices.shape != x.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(x.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    lead = x.shape[: x.ndim - n]
    places = indices.reshape(math.prod(lead), -1)
    planes = np.arange(math.prod(lead))[:, None]
    y = jnp.zeros((math.prod(lead), size), x.dtype)
    y = y.at[planes, places].set(x.reshape(places.shape), mode="drop", unique_indices=True)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        y = jnp.where(((places < 0) | (places >= size)).any(), jnp.nan, y)
    return y.reshape(*lead, *output_size)


def unpooled_size(
    n: int, input: Any, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Any
) -> tuple[int, ...]:
    """The size that was pooled: the one given, if it is possible, or the smallest usual one."""
    name = f"max_unpool{n}d"
    if len(input.shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to {name} should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with "
            f"{len(input.shape)} dimensions."
        )
    kernel = expand_setting(name, "kernel_size", kernel_size, n)
    strides = kernel if stride is None else expand_setting(name, "stride", stride, n)
    pads = expand_setting(name, "padding", padding, n)
    settings = zip(input.shape[len(input.shape) - n :], kernel, strides, pads, strict=True)
    usual = tuple((size - 1) * s - 2 * p + k for size, k, s, p in settings)
    if output_size is None:
        return usual
    given = tuple(output_size)[2:] if len(output_size) == n + 2 else tuple(output_size)
    if len(given) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
            f"length of '{len(given)}'"
        )
    for i, (size, middle, s) in enumerate(zip(given, usual, strides, strict=True)):
        if not middle - s < size < middle + s:
            raise ValueError(
                f'invalid output_size "{given}" (dim {i} must be between {middle - s} and '
                f"{middle + s})"
            )
    return given
