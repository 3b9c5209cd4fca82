"""`vmap`: a function of Tensors applied to all slices of its arguments at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import random
from jtoolbox.engine.record import draw_key
from jtoolbox.engine.trace import TensorTrace
from jtoolbox.ops.joining import cat
from jtoolbox.tracing import is_handle, leaves_of, transformed

__all__ = ["vmap"]

RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function applied to each slice of its arguments along `in_dims`, at once.

    Keyword arguments are given whole to every slice. `randomness`: what a random operation in the
    function does, "error" (RuntimeError), "same" numbers for all slices or "different" ones.
    `chunk_size`: so many slices at a time, for less memory.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    _check_dims(out_dims, "out_dims")

    def make(f: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            return mapped(f, in_dims, out_dims, randomness, args, kwargs)

        return call

    whole = transformed(make, func, ("vmap", str(in_dims), str(out_dims), randomness))
    if chunk_size is None:
        return whole

    @functools.wraps(func)
    def in_chunks(*args: Any, **kwargs: Any) -> Any:
        parts = [whole(*part, **kwargs) for part in slices(args, in_dims, chunk_size)]
        return joined(parts, out_dims)

    return in_chunks


def _is_none(value: Any) -> bool:
    return value is None


def _spread(dims: Any, values: Any, what: str) -> list[int | None]:
    """The dimension of each leaf of `values`; ValueError as PyTorch's where they do not fit."""
    dims = tuple(dims) if isinstance(dims, list) else dims
    try:
        found = jax.tree.leaves(
            jax.tree.broadcast(dims, values, is_leaf=lambda v: v is None or is_handle(v)),
            is_leaf=_is_none,
        )
    except ValueError as error:
        raise ValueError(
            f"vmap({what}={dims}, ...): {what} is not compatible with the structure of the "
            f"{len(leaves_of(values))} values that it is for"
        ) from error
    _check_dims(dims, what)
    return found


def _check_dims(dims: Any, what: str) -> None:
    if not all(d is None or isinstance(d, int) for d in jax.tree.leaves(dims, is_leaf=_is_none)):
        raise ValueError(
            f"vmap({what}={dims}, ...): {what} must be an int, None or a python collection of "
            "those, saying for each value which of its dimensions is mapped"
        )


def _size(dims: Sequence[int | None], args: Any) -> int:
    """How many slices there are. IndexError or ValueError for dimensions that are not there."""
    for dim, value in zip(dims, leaves_of(args), strict=True):
        if dim is not None and hasattr(value, "shape"):
            rank = len(value.shape)
            if not -rank <= dim < rank:
                raise ValueError(
                    f"vmap: Got in_dim={dim} for some input, but that input is a Tensor of "
                    f"dimensionality {rank} so expected in_dim to satisfy -{rank} <= in_dim < "
                    f"{rank}."
                )
            return value.shape[dim]
    raise ValueError("vmap: at least one of the arguments must be a Tensor with a mapped dimension")


def mapped(
    f: Callable[..., Any],
    in_dims: Any,
    out_dims: Any,
    randomness: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """`jax.vmap` of a function of arrays, with what PyTorch's vmap says of random operations."""
    dims = _spread(in_dims, args, "in_dims")
    size = _size(dims, args)
    keys = None
    if randomness == "different":
        keys = jax.random.key_data(jax.random.split(random.jax_key(draw_key().value), size))

    def one(key: Any, given: tuple[Any, ...]) -> Any:
        with TensorTrace(key, refuse=RANDOM if randomness == "error" else ""):
            result = f(*given, **kwargs)
        for leaf in jax.tree.leaves(result, is_leaf=_is_none):
            if not isinstance(leaf, (jax.Array, np.ndarray)):
                raise ValueError(
                    f"vmap: the function must only return Tensors, got type {type(leaf)}. Did you "
                    "mean to set out_dims= to None for output?"
                )
        ranks = [np.ndim(leaf) for leaf in jax.tree.leaves(result)]
        for dim, rank in zip(_spread(out_dims, result, "out_dims"), ranks, strict=True):
            if dim is not None and not -rank - 1 <= dim <= rank:
                raise IndexError(
                    f"Dimension out of range (expected to be in range of [{-rank - 1}, {rank}], "
                    f"but got {dim})"
                )
        return result

    axes = tuple(in_dims) if isinstance(in_dims, list) else in_dims
    out = tuple(out_dims) if isinstance(out_dims, list) else out_dims
    return jax.vmap(one, (None if keys is None else 0, axes), out)(keys, args)


def slices(args: tuple[Any, ...], in_dims: Any, size: int) -> Iterator[tuple[Any, ...]]:
    """The arguments in parts of so many slices."""
    dims = _spread(in_dims, args, "in_dims")
    leaves, tree = jax.tree.flatten(args, is_leaf=is_handle)
    for start in range(0, _size(dims, args), size):
        part = [
            v if d is None else v[(slice(None),) * (d % v.ndim) + (slice(start, start + size),)]
            for d, v in zip(dims, leaves, strict=True)
        ]
        yield jax.tree.unflatten(tree, part)


def joined(parts: Sequence[Any], out_dims: Any) -> Any:
    """The results of the parts as one."""
    dims = _spread(out_dims, parts[0], "out_dims")
    found = []
    for dim, *values in zip(dims, *[leaves_of(part) for part in parts], strict=True):
        join = cat if is_handle(values[0]) else jnp.concatenate
        found.append(values[0] if dim is None else join(values, dim))
    return jax.tree.unflatten(jax.tree.structure(parts[0], is_leaf=is_handle), found)
