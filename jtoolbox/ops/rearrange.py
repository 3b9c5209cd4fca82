"""The elements of a tensor repeated, or in another order: copies, not views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dim
from jtoolbox.ops.host import host_value
from jtoolbox.ops.joining import cat
from jtoolbox.ops.shape import reshape, sizes

__all__ = [
    *("repeat", "tile", "repeat_interleave", "roll", "flip", "fliplr", "flipud", "rot90"),
    "diff",
]


@op(saves="none", name="repeat", wide=True)
def _tile(input: Array, dims: tuple[int, ...]) -> Array:
    shape = (1,) * (len(dims) - np.ndim(input)) + np.shape(input)
    if any(n < 0 for n in dims):
        total = [n * k for n, k in zip(shape, dims, strict=True)]
        wrong = next(n for n in total if n < 0)
        raise RuntimeError(f"Trying to create tensor with negative dimension {wrong}: {total}")
    return jnp.tile(input, dims)


def repeat(input: Any, *args: Any, repeats: Any = None) -> Any:
    """The tensor laid out side by side, `repeats[i]` times in dimension i; new ones in front."""
    repeats = sizes(args if repeats is None else repeats, "repeat")
    if len(repeats) < input.ndim:
        raise RuntimeError(
            "Number of dimensions of repeat dims can not be smaller than number of dimensions of "
            f"tensor, got repeat dims {list(repeats)} for a tensor of shape {list(input.shape)}"
        )
    return _tile(input, repeats)


def tile(input: Any, *args: Any, dims: Any = None) -> Any:
    """As `repeat`; where `dims` is shorter than the shape, the leading dimensions are kept."""
    dims = sizes(args if dims is None else dims, "tile")
    return _tile(input, (1,) * (input.ndim - len(dims)) + dims)


@op(saves="none", name="repeat_interleave")
def _repeat_each(input: Array, repeats: Array, dim: int, total: int | None = None) -> Array:
    return jnp.repeat(input, repeats, axis=dim, total_repeat_length=total)


@op(saves="none", name="repeat_interleave")
def _repeat_all(input: Array, repeats: int, dim: int) -> Array:
    return jnp.repeat(input, repeats, axis=dim)


@op(differentiable=False, name="repeat_interleave")
def _repeated_positions(repeats: Array, total: int) -> Array:
    positions = jnp.arange(repeats.shape[0], dtype=dtypes.index_dtype())
    return jnp.repeat(positions, repeats, total_repeat_length=total)


@numpy_names
def repeat_interleave(
    input: Any = None,
    repeats: Any = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> Any:
    """Each element, or slice along `dim`, several times in a row.

    `repeats` is a number or an integer tensor with one count for each slice. The sum of the counts
    is the size of the result: give it as `output_size` where the counts are not known yet, since
    reading them waits for their values. With one argument only, that holds the counts and the
    result is the positions.
    """
    input, repeats = (repeats, None) if input is None else (input, repeats)
    if repeats is None:
        total = _total(input, output_size)
        return _repeated_positions(input, total)
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    dim = canonical_dim(dim, input.ndim)
    if not hasattr(repeats, "dtype") or isinstance(repeats, np.generic):
        if int(repeats) < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {repeats}")
        return _repeat_all(input, int(repeats), dim)
    if repeats.ndim > 1:
        raise RuntimeError("repeats must be 0-dim or 1-dim tensor")
    if repeats.ndim and repeats.shape[0] not in (1, input.shape[dim]):
        raise RuntimeError(
            "repeats must have the same size as input along dim, but got repeats.size(0) = "
            f"{repeats.shape[0]} and input.size({dim}) = {input.shape[dim]}"
        )
    single = not repeats.ndim or repeats.shape[0] == 1
    times = input.shape[dim] if single else 1
    return _repeat_each(input, repeats, dim, _total(repeats, output_size, times))


def _total(repeats: Any, output_size: int | None, times: int = 1) -> int:
    """The size of the result: given, or the sum of the counts, which are then checked."""
    if output_size is not None:
        return output_size
    counts = host_value(repeats, "repeat_interleave without output_size")
    if counts.dtype.kind not in "iu":
        raise RuntimeError(f"repeats has to be Long or Int tensor, got {counts.dtype}")
    if counts.size and counts.min() < 0:
        raise RuntimeError(f"Repeats must be non-negative, got {counts.min()}")
    return int(counts.sum()) * times


@op(saves="none", name="roll")
def _roll(input: Array, shifts: tuple[int, ...], dims: tuple[int, ...]) -> Array:
    if not dims and len(shifts) == 1:
        return jnp.reshape(jnp.roll(jnp.ravel(input), shifts[0]), input.shape)
    if len(shifts) != len(dims):
        raise RuntimeError(
            f"shifts and dimensions must align. shifts: {len(shifts)}, dims:{len(dims)}"
        )
    return jnp.roll(input, shifts, [canonical_dim(dim, input.ndim) for dim in dims])


def roll(input: Any, shifts: Any, dims: Any = ()) -> Any:
    """Moves elements along `dims`; what leaves at the end comes back at the front.

    Without `dims`, all elements are rolled as one row.
    """
    shifts, dims = sizes(shifts, "roll"), sizes(() if dims is None else dims, "roll")
    if not shifts:
        raise RuntimeError("`shifts` required")
    if dims and not input.ndim:
        raise IndexError(f"Dimension specified as {dims[0]} but tensor has no dimensions")
    return _roll(input, shifts, dims)


@op(saves="none", name="flip")
def _flip(input: Array, dims: tuple[int, ...]) -> Array:
    found = [canonical_dim(dim, np.ndim(input)) for dim in dims]
    for dim in found:
        if found.count(dim) > 1:
            raise RuntimeError(f"dim {dim} appears multiple times in the list of dims")
    return jnp.flip(input, found) if np.ndim(input) else jnp.asarray(input)


def flip(input: Any, *args: Any, dims: Any = None) -> Any:
    """The elements in reverse order along each of `dims`."""
    if not args and dims is None:
        raise TypeError('flip() missing 1 required positional arguments: "dims"')
    return _flip(input, sizes(args if dims is None else dims, "flip"))


def fliplr(input: Any) -> Any:
    """The columns in reverse order."""
    if input.ndim < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return _flip(input, (1,))


def flipud(input: Any) -> Any:
    """The rows in reverse order."""
    if input.ndim < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return _flip(input, (0,))


@op(saves="none")
def rot90(input: Array, k: int = 1, dims: Sequence[int] = (0, 1)) -> Array:
    """Turns the plane of `dims` by 90 degrees `k` times, from the first towards the second."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    if input.ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {input.ndim}")
    first, second = (canonical_dim(dim, input.ndim) for dim in dims)
    if first == second:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    return jnp.rot90(input, k, (first, second))


@op(saves="none", name="diff")
def _differences(input: Array, n: int, dim: int) -> Array:
    subtract = jnp.not_equal if input.dtype == np.bool_ else jnp.subtract
    dim = canonical_dim(dim, input.ndim)
    for _ in range(min(n, input.shape[dim])):
        size = input.shape[dim]
        later, earlier = (slice(1, None),), (slice(None, max(0, size - 1)),)
        lead = (slice(None),) * dim
        input = subtract(input[lead + later], input[lead + earlier])
    return input


@numpy_names
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Differences of neighbours along `dim`, `n` times over; `prepend` and `append` join first."""
    if not input.ndim:
        raise RuntimeError("diff expects input to be at least one-dimensional")
    if n < 0:
        raise RuntimeError(f"order must be non-negative but got {n}")
    parts = [x for x in (prepend, input, append) if x is not None]
    return _differences(cat(parts, dim) if len(parts) > 1 else input, n, dim)
