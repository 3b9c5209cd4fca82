"""Batches of sequences of different lengths, as the recurrent layers take them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from jtoolbox.nn.functional import packing
from jtoolbox.nn.utils.packed_sequence import PackedSequence, host_like, invert_permutation
from jtoolbox.ops.gathering import index_select
from jtoolbox.ops.host import like
from jtoolbox.tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]

_UNSORTED = (
    "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can "
    "pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence; got {lengths}."
)
_TOO_SHORT = (
    "Length of all samples has to be greater than 0, but found an element in 'lengths' that is "
    "<= 0: {lengths}"
)
_TOO_LONG = (
    "the longest of the lengths is {longest}, but the input of shape {shape} has {steps} steps; "
    "check batch_first"
)
_TOTAL = (
    "Expected total_length to be at least the length of the longest sequence in input, but got "
    "total_length={total} and max sequence length being {longest}"
)
_SHAPES = (
    "pad_sequence: all dimensions but the first must be equal: the sequences have the shapes "
    "{first} and {other}"
)


def _checked_lengths(lengths: np.ndarray, shape: Sequence[int], batch_first: bool) -> None:
    """The errors of lengths (N) for an input of this shape."""
    if lengths.ndim != 1:
        raise RuntimeError(
            "'lengths' argument should be a 1D CPU int64 tensor, but got "
            f"{lengths.ndim}D: {lengths.tolist()}"
        )
    if len(shape) < 2:
        raise IndexError(
            f"pack_padded_sequence takes (T, N, *) or (N, T, *), got an input of shape {shape}"
        )
    steps, batch = (shape[1], shape[0]) if batch_first else (shape[0], shape[1])
    if not batch or not steps:
        raise RuntimeError(f"Cannot pack empty tensors, got shape {list(shape)}.")
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch}) for an input of shape {list(shape)} and "
            f"batch_first={batch_first}"
        )
    if lengths.min() <= 0:
        raise RuntimeError(_TOO_SHORT.format(lengths=lengths.tolist()))
    if lengths.max() > steps:
        raise RuntimeError(_TOO_LONG.format(longest=lengths.max(), shape=list(shape), steps=steps))


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Packs a padded batch of sequences of these lengths, leaving out the padding.

    Shapes: input (T, N, *), or (N, T, *) if `batch_first`; lengths (N), a list or a tensor whose
    values can be looked at. They must fall from the first to the last; with
    `enforce_sorted=False` the sequences are sorted, and whatever unpacks them restores their order.

    Raises RuntimeError for lengths that are not sorted, not positive, too many or too few, and,
    where PyTorch packs rows that do not exist, for lengths greater than T.
    """
    host = packing.host_integers(lengths, "pack_padded_sequence")
    _checked_lengths(host, tuple(input.shape), batch_first)
    order = None
    if not enforce_sorted:
        order = np.argsort(-host, kind="stable")
        host = host[order]
    elif np.any(np.diff(host) > 0):
        raise RuntimeError(_UNSORTED.format(lengths=host.tolist()))
    sizes = (host > np.arange(host[0])[:, None]).sum(1)
    data = packing.take(input, packing.places(sizes, order), batch_first)
    return PackedSequence(
        data,
        host_like(input, sizes.astype(np.int64)),
        None if order is None else like(input, order.astype(np.int64)),
    )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undoes `pack_padded_sequence`: the padded batch, and the lengths (N) on the host.

    The batch is (T, N, *), or (N, T, *) if `batch_first`, in the order in which it was packed. T is
    the greatest length, or `total_length`: ValueError if that is less.
    """
    data, batch_sizes, _, unsorted = sequence
    sizes = packing.host_integers(batch_sizes, "pad_packed_sequence")
    longest = len(sizes)
    total = longest if total_length is None else total_length
    if total < longest:
        raise ValueError(_TOTAL.format(total=total_length, longest=longest))
    index = packing.rows(np.concatenate([sizes, np.zeros(total - longest, np.int64)]))
    lengths = (sizes > np.arange(sizes[0])[:, None]).sum(1).astype(np.int64)
    order = packing.known(unsorted)
    if order is not None:
        index, lengths, unsorted = index[:, order], lengths[order], None
    padded = packing.unpack(data, index.T if batch_first else index, padding_value)
    lengths = host_like(batch_sizes, lengths)
    if unsorted is None:
        return padded, lengths
    return (
        index_select(padded, 0 if batch_first else 1, unsorted),
        index_select(lengths, 0, unsorted),
    )


def pad_sequence(
    sequences: Tensor | Iterable[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Puts sequences of different lengths side by side, filled up with `padding_value`.

    Shapes: each sequence (L, *) with equal other dimensions, the result (T, N, *), or (N, T, *) if
    `batch_first`, where T is the greatest L. Its dtype is that of the first sequence. Raises
    RuntimeError for no sequence, for shapes that differ, and unless `padding_side` is "left" or
    "right".
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    for i, s in enumerate(sequences):
        if not hasattr(s, "shape"):
            raise TypeError(
                f"expected Tensor as element {i} in argument 0, but got {type(s).__name__}"
            )
        if not s.shape or tuple(s.shape[1:]) != tuple(sequences[0].shape[1:]):
            first, other = list(sequences[0].shape), list(s.shape)
            raise RuntimeError(_SHAPES.format(first=first, other=other))
    return packing.pad(sequences, batch_first, padding_value, padding_side)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list:
    """Undoes `pad_sequence`: the sequences (L, *), for lengths (N) that can be looked at.

    The batch is (T, N, *), or (N, T, *) if `batch_first`; it is left as it is, where PyTorch
    transposes it in place. Raises ValueError unless there is one length for each sequence.
    """
    host = packing.host_integers(lengths, "unpad_sequence")
    batch = padded_sequences.shape[0 if batch_first else 1]
    if len(host) != batch:
        raise ValueError(f"expected {batch} lengths, one for each sequence, got {len(host)}")
    places = [np.stack([np.arange(n), np.full(n, i)]) for i, n in enumerate(host)]
    return [packing.take(padded_sequences, at.astype(np.int32), batch_first) for at in places]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of sequences (L, *): `pad_sequence`, then `pack_padded_sequence`.

    They must be sorted by falling length unless `enforce_sorted=False`: RuntimeError.
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list:
    """The list of sequences (L, *) that were packed, in their order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
