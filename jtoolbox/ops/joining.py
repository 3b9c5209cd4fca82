"""Several tensors made one, or made to fit each other."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.engine.graph import Handle
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.gathering import index_select
from jtoolbox.ops.shape import atleast_1d, atleast_2d, atleast_3d, broadcast_shape, expand, reshape

__all__ = [
    *("cat", "concat", "concatenate", "stack", "hstack", "vstack", "row_stack", "dstack"),
    *("column_stack", "broadcast_tensors", "broadcast_shapes", "cartesian_prod", "combinations"),
]


def _promoted(tensors: Sequence[Any]) -> list[Any]:
    dtype = dtypes.result_type(*tensors)
    return [jnp.asarray(x).astype(dtype) for x in tensors]


def _check_sizes(tensors: Sequence[Any], dim: int, first: int) -> None:
    """PyTorch's error when tensors differ in another dimension than `dim`."""
    expected = tensors[first].shape
    for i, x in enumerate(tensors):
        if x.shape == (0,):
            continue
        if x.ndim != len(expected):
            raise RuntimeError(
                f"Tensors must have same number of dimensions: got {len(expected)} and {x.ndim}"
            )
        for d, (n, m) in enumerate(zip(expected, x.shape, strict=True)):
            if d != dim and n != m:
                raise RuntimeError(
                    f"Sizes of tensors must match except in dimension {dim}. Expected size {n} "
                    f"but got size {m} for tensor number {i} in the list (shapes "
                    f"{list(expected)} and {list(x.shape)})."
                )


@op(saves="none", name="cat")
def _cat(tensors: Sequence[Array], dim: int = 0) -> Array:
    for i, x in enumerate(tensors):
        if not np.ndim(x):
            raise RuntimeError(
                f"zero-dimensional tensor (at position {i}) cannot be concatenated; use stack()"
            )
    # A vector of no elements fits everything: programs start with `torch.tensor([])` and add to it.
    first = next((i for i, x in enumerate(tensors) if x.shape != (0,)), 0)
    dim = canonical_dim(dim, tensors[first].ndim)
    _check_sizes(tensors, dim, first)
    parts = [x for x in _promoted(tensors) if x.shape != (0,)]
    return jnp.concatenate(parts, axis=dim) if parts else _promoted(tensors)[0]


def _listed(name: str, tensors: Any) -> Any:
    """The list or tuple of tensors; TypeError for anything else."""
    if isinstance(tensors, Handle) or not isinstance(tensors, (list, tuple)):
        raise TypeError(
            f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not "
            f"{type(tensors).__name__}"
        )
    for i, x in enumerate(tensors):
        if x is None:
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got NoneType")
    return tensors


@numpy_names
def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors one after another along `dim`; they agree in all other dimensions.

    The result has the tensors' common dtype. Empty vectors (shape (0,)) are passed over.
    """
    if not _listed("cat", tensors):
        raise ValueError("torch.cat(): expected a non-empty list of Tensors")
    return _cat(tensors, dim)


@numpy_names
def concat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """`cat` under another name."""
    return cat(tensors, dim)


@numpy_names
def concatenate(tensors: Sequence[Any], dim: int = 0) -> Any:
    """`cat` under NumPy's name."""
    return cat(tensors, dim)


@op(saves="none", name="stack")
def _stack(tensors: Sequence[Array], dim: int = 0) -> Array:
    shape = np.shape(tensors[0])
    for i, x in enumerate(tensors):
        if np.shape(x) != shape:
            raise RuntimeError(
                f"stack expects each tensor to be equal size, but got {list(shape)} at entry 0 "
                f"and {list(np.shape(x))} at entry {i}"
            )
    return jnp.stack(_promoted(tensors), axis=canonical_dim(dim, len(shape) + 1))


@numpy_names
def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Tensors of one shape side by side in a new dimension `dim`."""
    if not _listed("stack", tensors):
        raise RuntimeError("stack expects a non-empty TensorList")
    return _stack(tensors, dim)


def _nonempty(name: str, tensors: Any) -> list[Any]:
    if not _listed(name, tensors):
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return list(tensors)


@numpy_names
def hstack(tensors: Sequence[Any]) -> Any:
    """Side by side: along dimension 1, or 0 of vectors."""
    parts = [atleast_1d(x) for x in _nonempty("hstack", tensors)]
    return cat(parts, 0 if parts[0].ndim == 1 else 1)


@numpy_names
def vstack(tensors: Sequence[Any]) -> Any:
    """One above the other: along dimension 0, vectors as rows."""
    return cat([atleast_2d(x) for x in _nonempty("vstack", tensors)], 0)


@numpy_names
def row_stack(tensors: Sequence[Any]) -> Any:
    """`vstack` under another name."""
    return vstack(tensors)


@numpy_names
def dstack(tensors: Sequence[Any]) -> Any:
    """Behind each other: along dimension 2."""
    return cat([atleast_3d(x) for x in _nonempty("dstack", tensors)], 2)


@numpy_names
def column_stack(tensors: Sequence[Any]) -> Any:
    """Side by side, vectors as columns."""
    parts = [x if x.ndim > 1 else reshape(x, (-1, 1)) for x in _nonempty("column_stack", tensors)]
    return cat(parts, 1)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that all of these broadcast to. Raises RuntimeError when there is none."""
    shapes = tuple((s,) if isinstance(s, int) else tuple(s) for s in shapes)
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape: "
            + ", ".join(str(list(s)) for s in shapes)
        ) from None


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """Views of the tensors expanded to their common shape."""
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    shape = broadcast_shape(*[x.shape for x in tensors])
    return tuple(expand(x, shape) for x in tensors)


@op(saves="none", name="cartesian_prod")
def _cartesian_prod(tensors: Sequence[Array]) -> Array:
    grids = jnp.meshgrid(*_promoted(tensors), indexing="ij")
    return jnp.stack([jnp.ravel(grid) for grid in grids], axis=1)


def cartesian_prod(*tensors: Any) -> Any:
    """Every combination of one element from each vector, (N1 * N2 * ..., number of vectors)."""
    for x in tensors:
        if x.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(x.shape)}")
    return tensors[0] if len(tensors) == 1 else _cartesian_prod(tensors)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Every way to choose `r` elements of a vector, in order, (number of ways, r)."""
    if input.ndim != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(input.shape[0]), r)), np.int64)
    return reshape(index_select(input, 0, places.reshape(-1)), places.reshape(-1, r).shape)
