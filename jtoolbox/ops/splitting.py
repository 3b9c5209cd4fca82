"""Parts of a tensor, as views: one place or stretch of a dimension, or all of it in pieces."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox.engine import numpy_names
from jtoolbox.engine.graph import Handle
from jtoolbox.ops.basic_index import WHOLE, basic_index
from jtoolbox.ops.conversion import clone
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.host import host_value
from jtoolbox.ops.indexing import getitem

__all__ = [
    *("narrow", "select", "split", "split_with_sizes", "chunk", "tensor_split", "hsplit"),
    *("vsplit", "dsplit", "unbind", "narrow_copy"),
]

# Up to this many pieces, each is a program with a fixed place, which XLA can fold. Beyond it
# (the rows of a data set) the place is data and one program cuts them all.
_FIXED_PIECES = 16


def _part(input: Any, dim: int, start: int, length: int) -> Any:
    return basic_index(input, (WHOLE,) * dim + ((start, length, 1),))


@numpy_names
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` elements of dimension `dim` from `start` on, a number or a tensor of one."""
    if not input.ndim:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    dim = canonical_dim(dim, input.ndim)
    size = input.shape[dim]
    if isinstance(start, Handle):
        start = host_value(start, "narrow")
        if start.ndim or start.dtype.kind not in "iu":
            raise RuntimeError(
                "start must be an 0-dim integral Tensor, got shape "
                f"{list(start.shape)} of {start.dtype}."
            )
        start = int(start)
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    start += size if start < 0 else 0
    if start + length > size:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({size}).")
    return getitem(input, (slice(None),) * dim + (slice(start, start + length),))


@numpy_names
def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """`narrow` as a copy."""
    return clone(narrow(input, dim, start, length))


@numpy_names
def select(input: Any, dim: int, index: Any) -> Any:
    """The slice at one place of dimension `dim`, which is dropped."""
    if not input.ndim:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    dim = canonical_dim(dim, input.ndim)
    if not isinstance(index, Handle):
        index = operator.index(index)
        if not -input.shape[dim] <= index < input.shape[dim]:
            raise IndexError(
                f"select(): index {index} out of range for tensor of size {list(input.shape)} at "
                f"dimension {dim}"
            )
    return getitem(input, (slice(None),) * dim + (index,))


def _pieces(input: Any, dim: int, lengths: Sequence[int]) -> tuple[Any, ...]:
    starts = np.cumsum([0, *lengths]).tolist()
    cut = _part if len(lengths) <= _FIXED_PIECES else narrow
    return tuple(cut(input, dim, start, n) for start, n in zip(starts, lengths, strict=False))


def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Pieces of one size along `dim` (the last may be smaller), or of the sizes in a list."""
    if not isinstance(split_size_or_sections, int):
        return split_with_sizes(tensor, split_size_or_sections, dim)
    if not tensor.ndim:
        raise RuntimeError("split expects at least a 1-dimensional tensor")
    dim = canonical_dim(dim, tensor.ndim)
    length, piece = tensor.shape[dim], split_size_or_sections
    if piece < 0:
        raise RuntimeError(f"split expects split_size be non-negative, but got split_size={piece}")
    if piece == 0 and length:
        raise RuntimeError(
            f"split_size can only be 0 if dimension size is 0, but got dimension size of {length}"
        )
    count = max(1, -(-length // piece)) if piece else 1
    return _pieces(tensor, dim, [min(piece, length - i * piece) for i in range(count)])


def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> tuple[Any, ...]:
    """Pieces of the sizes in a list, which must add up to the dimension's."""
    dim = canonical_dim(dim, input.ndim)
    lengths = [operator.index(n) for n in split_sizes]
    if sum(lengths) != input.shape[dim] or min(lengths, default=0) < 0:
        raise RuntimeError(
            f"split_with_sizes expects split_sizes to sum exactly to {input.shape[dim]} (input "
            f"tensor's size at dimension {dim}), but got split_sizes={lengths}"
        )
    return _pieces(input, dim, lengths)


@numpy_names
def chunk(input: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """At most `chunks` pieces of equal size, the last one perhaps smaller."""
    if not input.ndim:
        raise RuntimeError("chunk expects at least a 1-dimensional tensor")
    if chunks <= 0:
        raise RuntimeError(f"chunk expects `chunks` to be greater than 0, got: {chunks}")
    dim = canonical_dim(dim, input.ndim)
    if not input.shape[dim]:
        return _pieces(input, dim, [0] * chunks)
    return split(input, -(-input.shape[dim] // chunks), dim)


def _cuts(name: str, *given: Any) -> Any:
    """Where to cut, under whichever of its three names it was given."""
    found = [v for v in given if v is not None]
    if len(found) != 1:
        raise TypeError(f"{name}() needs one of indices_or_sections, indices and sections")
    return found[0]


@numpy_names
def tensor_split(
    input: Any,
    indices_or_sections: Any = None,
    dim: int = 0,
    *,
    indices: Any = None,
    sections: Any = None,
) -> tuple[Any, ...]:
    """`sections` pieces whose sizes differ by at most one, or cuts at the given indices."""
    where = _cuts("tensor_split", indices_or_sections, indices, sections)
    if isinstance(where, Handle):
        where = host_value(where, "tensor_split").tolist()
    if not input.ndim:
        raise RuntimeError(
            "tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims"
        )
    dim = canonical_dim(dim, input.ndim)
    length = input.shape[dim]
    if isinstance(where, int):
        if where <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {where}")
        small, larger = divmod(length, where)
        return _pieces(input, dim, [small + (i < larger) for i in range(where)])
    bounds = [0, *[slice(None, i).indices(length)[1] for i in where], length]
    pairs = itertools.pairwise(bounds)
    return tuple(_part(input, dim, a, max(0, b - a)) for a, b in pairs)


def _along(name: str, input: Any, where: Any, dim: int, rank: int) -> tuple[Any, ...]:
    if input.ndim < rank:
        raise RuntimeError(
            f"torch.{name} requires a tensor with at least {rank} dimension, but got a tensor with "
            f"{input.ndim} dimensions!"
        )
    if isinstance(where, int) and (where <= 0 or input.shape[dim] % where):
        raise RuntimeError(
            f"torch.{name} attempted to split along dimension {dim}, but the size of the dimension "
            f"{input.shape[dim]} is not divisible by the split_size {where}!"
        )
    return tensor_split(input, where, dim)


def hsplit(
    input: Any, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Any, ...]:
    """Columns in pieces: `tensor_split` along dimension 1, or 0 of a vector."""
    where = _cuts("hsplit", indices_or_sections, indices, sections)
    return _along("hsplit", input, where, 0 if input.ndim == 1 else 1, 1)


def vsplit(
    input: Any, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Any, ...]:
    """Rows in pieces: `tensor_split` along dimension 0 of a tensor with two or more."""
    return _along("vsplit", input, _cuts("vsplit", indices_or_sections, indices, sections), 0, 2)


def dsplit(
    input: Any, indices_or_sections: Any = None, *, indices: Any = None, sections: Any = None
) -> tuple[Any, ...]:
    """`tensor_split` along dimension 2."""
    return _along("dsplit", input, _cuts("dsplit", indices_or_sections, indices, sections), 2, 3)


@numpy_names
def unbind(input: Any, dim: int = 0) -> tuple[Any, ...]:
    """All slices along `dim`, as a tuple."""
    if not input.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    dim = canonical_dim(dim, input.ndim)
    count = input.shape[dim]
    if count > _FIXED_PIECES:
        return tuple(select(input, dim, i) for i in range(count))
    return tuple(basic_index(input, (WHOLE,) * dim + ((i, None, 1),)) for i in range(count))
