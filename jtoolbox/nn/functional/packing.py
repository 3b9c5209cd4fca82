"""Sequences of different lengths: padded, (T, N, *), or packed, their rows one below the other.

A packed batch is sorted by falling length. Its first rows are the first steps of all sequences,
then come the second steps of those that have one, and so on; `sizes[t]` says how many there are at
step t. Sizes are known on the host, since they decide shapes. What else depends on them enters a
program as an index: batches of the same shapes share one. Data that needs no gradient and lies on
the host, as in a `collate_fn`, is packed and padded by NumPy, which needs no program at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, Handle, mode, op
from jtoolbox.engine.record import node_of
from jtoolbox.ops.host import host_value, like, needs_graph, on_host

__all__ = [
    *("beside", "host_integers", "known", "pad", "places", "rows", "take", "take_places"),
    *("take_rows", "unpack"),
]


def known(values: Any) -> np.ndarray | None:
    """The values of a host array, or of a Tensor that holds one; else None."""
    if isinstance(values, Handle):
        values = node_of(values).value
    return values if isinstance(values, np.ndarray) else None


def host_integers(values: Any, name: str) -> np.ndarray:
    """Lengths or sizes as NumPy integers; a Tensor that is not on the host yet is waited for."""
    found = known(values)
    return np.asarray(host_value(values, name) if found is None else found).astype(np.int64)


def beside(x: Any, index: np.ndarray) -> Any:
    """An index made on the host, on the device of the Tensor that it is used with."""
    return like(x, index) if isinstance(x, Handle) else index


def _is_data(x: Any) -> bool:
    """Whether `x` is a Tensor of values on the host that no gradient and no program waits for."""
    if not isinstance(x, Handle) or mode.capture is not None or mode.functional is not None:
        return False
    whole = isinstance(node_of(x).value, (np.ndarray, jax.Array))
    return whole and not needs_graph(x) and on_host(x)


# --- where things are ----------------------------------------------------------------------------


def rows(sizes: np.ndarray) -> np.ndarray:
    """For each step and sequence (T, N) its row among the packed; sum(sizes) where it has ended."""
    sequence = np.arange(sizes[0])
    row = (np.cumsum(sizes) - sizes)[:, None] + sequence
    return np.where(sequence < sizes[:, None], row, sizes.sum()).astype(np.int32)


def places(sizes: np.ndarray, order: np.ndarray | None = None) -> np.ndarray:
    """For each packed row its step and sequence, as integers (2, S); sequences in `order`."""
    step, sequence = np.nonzero(np.arange(sizes[0]) < sizes[:, None])
    return np.stack([step, sequence if order is None else order[sequence]]).astype(np.int32)


# --- packed and padded ---------------------------------------------------------------------------


@op(name="pack_padded_sequence", saves="none")
def take_places(input: Array, places: Array, batch_first: bool = False) -> Array:
    """The rows of (T, N, *), or (N, T, *) if `batch_first`, that lie at these places: (S, *)."""
    step, sequence = jnp.asarray(places)
    at = (sequence, step) if batch_first else (step, sequence)
    return jnp.asarray(input).at[at].get(unique_indices=True)


@op(name="pad_packed_sequence", saves="none")
def take_rows(data: Array, rows: Array, padding_value: Array = 0.0) -> Array:
    """The rows of (S, *) at indices (T, N), and `padding_value` at the index S: (T, N, *)."""
    data, rows = jnp.asarray(data), jnp.asarray(rows)
    found = data.at[rows].get(mode="fill", fill_value=0)
    has = (rows < data.shape[0]).reshape(rows.shape + (1,) * (data.ndim - 1))
    return jnp.where(has, found, jnp.asarray(padding_value).astype(data.dtype))


@op(name="pad_sequence", saves="none")
def _pad(
    sequences: Sequence[Array], batch_first: bool, padding_value: Array, padding_side: str
) -> Array:
    """Sequences (L, *) side by side, filled up to the longest one."""
    dtype, length = sequences[0].dtype, max(s.shape[0] for s in sequences)
    value = jnp.asarray(padding_value).astype(dtype)

    def filled(s: Array) -> Array:
        missing = length - s.shape[0]
        width = (missing, 0) if padding_side == "left" else (0, missing)
        s = jnp.asarray(s).astype(dtype)
        return jnp.pad(s, [width] + [(0, 0)] * (s.ndim - 1), constant_values=value)

    return jnp.stack([filled(s) for s in sequences], 0 if batch_first else 1)


def take(input: Any, places: np.ndarray, batch_first: bool = False) -> Any:
    """The rows of a padded batch at these places: packed, if they are `places(sizes)`."""
    if _is_data(input):
        value = host_value(input, "pack_padded_sequence")
        return like(input, value[tuple(places[::-1] if batch_first else places)])
    return take_places(input, beside(input, places), batch_first)


def unpack(data: Any, index: np.ndarray, padding_value: float) -> Any:
    """The padded batch with the rows at this index (see `rows`), and `padding_value` elsewhere."""
    if _is_data(data):
        value = host_value(data, "pad_packed_sequence")
        filler = np.full((1, *value.shape[1:]), padding_value).astype(value.dtype)
        return like(data, np.concatenate([value, filler])[index])
    return take_rows(data, beside(data, index), padding_value)


def pad(sequences: Sequence[Any], batch_first: bool, padding_value: float, side: str) -> Any:
    """Sequences (L, *) as one padded batch, of the type of the first."""
    if not all(_is_data(s) for s in sequences):
        return _pad(tuple(sequences), batch_first, padding_value, side)
    values = [host_value(s, "pad_sequence") for s in sequences]
    shape = (len(values), max(len(v) for v in values), *values[0].shape[1:])
    out = np.full(shape, padding_value).astype(values[0].dtype)
    for row, v in zip(out, values, strict=True):
        row[slice(shape[1] - len(v), None) if side == "left" else slice(len(v))] = v
    return like(sequences[0], out if batch_first else out.swapaxes(0, 1))
