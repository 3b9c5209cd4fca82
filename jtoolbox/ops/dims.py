"""Dimensions as users name them (negative, one, several, none) to dimensions as NumPy counts."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["canonical_dim", "canonical_dims", "kept"]


def canonical_dim(dim: int, ndim: int) -> int:
    """The dimension counted from the front. A tensor without dimensions has a dimension 0.

    Raises IndexError when there is no such dimension, TypeError when it is no integer.
    """
    bound = max(ndim, 1)
    if not hasattr(dim, "__index__") or isinstance(dim, bool):
        raise TypeError(f"dim must be int, not {type(dim).__name__}")
    if not -bound <= dim < bound:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-bound}, {bound - 1}], "
            f"but got {dim})"
        )
    return dim % bound


def canonical_dims(dim: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """All dimensions asked for, in increasing order; None and the empty tuple mean every one.

    Raises RuntimeError when a dimension is named twice.
    """
    if dim is None or (isinstance(dim, Sequence) and not dim):
        return tuple(range(ndim))
    named = dim if isinstance(dim, Sequence) else (dim,)
    dims = [canonical_dim(d, ndim) for d in named]
    for d in dims:
        if dims.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims {tuple(named)}")
    return tuple(sorted(dims)) if ndim else ()


def kept(shape: Sequence[int], dims: Sequence[int]) -> tuple[int, ...]:
    """The shape with the given dimensions reduced to 1."""
    return tuple(1 if i in dims else n for i, n in enumerate(shape))
