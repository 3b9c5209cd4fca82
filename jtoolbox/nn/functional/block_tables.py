"""A mask as tables of the blocks that it lets see, and the tables as a mask."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op

__all__ = ["block_tables", "dense_blocks", "ordered_blocks", "seen_places"]


def _counts(seen: Array) -> tuple[Array, Array]:
    """How many of each row's blocks are seen, and their numbers, the seen ones first."""
    order = jnp.argsort(~seen, -1, stable=True)
    return jnp.sum(seen, -1).astype(np.int32), order.astype(np.int32)


@op(differentiable=False)
def block_tables(mask: Array, rows: int, columns: int, separate: bool) -> tuple[Array, ...]:
    """Counts and numbers of the blocks seen in part, and of those seen in full if `separate`.

    The mask is (B, H, L, S); blocks are `rows` by `columns`, and what reaches beyond its border
    counts as not seen. Without `separate` the first two tables hold both kinds.
    """
    b, h, length, keys = mask.shape
    pads = ((0, 0), (0, 0), (0, -length % rows), (0, -keys % columns))
    padded = jnp.pad(mask.astype(bool), pads)
    shape = (b, h, padded.shape[2] // rows, rows, padded.shape[3] // columns, columns)
    inside = jnp.sum(padded.reshape(shape), (3, 5))
    full = inside == rows * columns
    partial = (inside > 0) & ~full if separate else inside > 0
    return (*_counts(partial), *_counts(full & separate))


def _seen(counts: Array, numbers: Array, width: int) -> Array:
    """(B, H, rows, width) of bools: the inverse of `_counts`."""
    valid = jnp.arange(numbers.shape[-1]) < counts[..., None]
    hit = numbers[..., None] == jnp.arange(width, dtype=numbers.dtype)
    return jnp.any(hit & valid[..., None], -2)


@op(differentiable=False)
def dense_blocks(counts: Array, numbers: Array, width: int) -> Array:
    """1 where a block is seen, else 0, as int32 (B, H, rows, width)."""
    return _seen(counts, numbers, width).astype(np.int32)


@op(differentiable=False)
def ordered_blocks(counts: Array, numbers: Array, width: int) -> tuple[Array, Array]:
    """The same blocks by columns: for each the count and numbers of the rows that see it."""
    return _counts(jnp.swapaxes(_seen(counts, numbers, width), -1, -2))


@op(differentiable=False)
def seen_places(
    counts: Array, numbers: Array, width: int, size: tuple[int, int], lengths: tuple[int, int]
) -> Array:
    """The blocks spread to their places: bools (B, H, L, S)."""
    seen: Any = _seen(counts, numbers, width)
    seen = jnp.repeat(jnp.repeat(seen, size[0], -2), size[1], -1)
    return seen[..., : lengths[0], : lengths[1]]
