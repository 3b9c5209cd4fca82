"""`as_strided` and tensors made with strides, as far as strides can be honoured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.ops.creation import empty
from jtoolbox.ops.indexing import cast_value
from jtoolbox.ops.shape import permute
from jtoolbox.ops.strides import are_contiguous, contiguous_strides, offset_of, strides_of

__all__ = [
    *("as_strided", "as_strided_copy", "as_strided_scatter"),
    *("empty_permuted", "empty_strided"),
]


def _places(size: Sequence[int], stride: Sequence[int], offset: int) -> np.ndarray:
    """The position in the flat tensor of each element."""
    places = np.full((), offset, np.int64)
    for n, step in zip(size, stride, strict=True):
        places = places[..., None] + step * np.arange(n)
    return places


def _write(base: Any, value: Any, size: tuple, stride: tuple, offset: int) -> Any:
    flat = jnp.reshape(base, (-1,)).at[_places(size, stride, offset)].set(value.astype(base.dtype))
    return jnp.reshape(flat, base.shape)


@op(view=True, saves="none", write=_write, name="as_strided")
def _as_strided(input: Array, size: tuple, stride: tuple, offset: int) -> Array:
    return jnp.reshape(input, (-1,))[_places(size, stride, offset)]


def _checked(input: Any, size: Any, stride: Any, storage_offset: int | None) -> tuple:
    size, stride = tuple(size), tuple(stride)
    if len(size) != len(stride):
        raise RuntimeError(
            f"mismatch in length of strides and shape: {list(size)} and {list(stride)}"
        )
    if any(step < 0 for step in stride):
        raise RuntimeError(f"as_strided: Negative strides are not supported, got {list(stride)}")
    if not are_contiguous(input.shape, strides_of(input)):
        raise RuntimeError(
            f"as_strided of a view with shape {list(input.shape)} and strides "
            f"{list(strides_of(input))} is not supported: only the elements of a contiguous "
            "tensor can be counted. Call it on the base, or on .contiguous()."
        )
    start = offset_of(input)
    offset = 0 if storage_offset is None else storage_offset - start
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    numel = math.prod(input.shape)
    if 0 not in size and (offset < 0 or last >= numel):
        raise RuntimeError(
            f"as_strided: sizes {list(size)}, strides {list(stride)}, storage offset "
            f"{start + offset} are out of bounds for a tensor of {numel} elements that begins at "
            f"{start}. The elements around a view are out of reach: call it on the base."
        )
    return size, stride, offset


def as_strided(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """A view whose element (i, j, ...) is number offset + i stride[0] + j stride[1] + ... of input.

    `input` is a contiguous tensor, and all elements lie within it; anything else raises
    RuntimeError. Writing through the view writes `input`; gradients of repeated elements add up.
    """
    return _as_strided(input, *_checked(input, size, stride, storage_offset))


def as_strided_copy(
    input: Any, size: Sequence[int], stride: Sequence[int], storage_offset: int | None = None
) -> Any:
    """`as_strided` as a tensor of its own."""
    return _as_strided_copy(input, *_checked(input, size, stride, storage_offset))


@op(saves="none", name="as_strided_copy")
def _as_strided_copy(input: Array, size: tuple, stride: tuple, offset: int) -> Array:
    return jnp.reshape(input, (-1,))[_places(size, stride, offset)]


@op(saves="none", name="as_strided_scatter")
def _as_strided_scatter(input: Array, src: Array, size: tuple, stride: tuple, offset: int) -> Array:
    if tuple(src.shape) != size:
        raise RuntimeError(
            "expected src to have a size equal to the slice of self. src size = "
            f"{list(src.shape)}, slice size = {list(size)}"
        )
    return _write(input, cast_value(src, input.dtype), size, stride, offset)


def as_strided_scatter(
    input: Any,
    src: Any,
    size: Sequence[int],
    stride: Sequence[int],
    storage_offset: int | None = None,
) -> Any:
    """A copy of `input` with `src` written through `as_strided(input, size, stride, ...)`.

    The gradient of `input` is that of the elements that stay; PyTorch 2.13 returns that of the
    written ones instead.
    """
    return _as_strided_scatter(input, src, *_checked(input, size, stride, storage_offset))


def empty_strided(size: Sequence[int], stride: Sequence[int], **settings: Any) -> Any:
    """Values not promised (here zeros) whose rows lie in memory as the strides say.

    Strides of a contiguous tensor with its dimensions in any order; RuntimeError for others, which
    would leave gaps or overlap. Settings are those of `empty`.
    """
    size, stride = tuple(size), tuple(stride)
    order = sorted(range(len(size)), key=lambda i: (-stride[i], i))
    if contiguous_strides([size[i] for i in order]) != tuple(stride[i] for i in order):
        raise RuntimeError(
            f"empty_strided: strides {list(stride)} of size {list(size)} leave gaps or overlap, "
            "which arrays here cannot. Use the strides of a permuted contiguous tensor."
        )
    return empty_permuted(size, order, **settings)


def empty_permuted(size: Sequence[int], physical_layout: Sequence[int], **settings: Any) -> Any:
    """Values not promised (here zeros), stored in the order of dimensions `physical_layout`."""
    order = tuple(physical_layout)
    if sorted(order) != list(range(len(size))):
        raise RuntimeError(
            f"empty_permuted: physical_layout {list(order)} is not a permutation of the "
            f"dimensions of size {list(size)}"
        )
    stored = empty(tuple(size[i] for i in order), **settings)
    if order == tuple(range(len(size))):
        return stored
    return permute(stored, tuple(order.index(i) for i in range(len(order))))
