"""Views: the same elements under another shape, order or type.

Every operation here is a view of its first operand. Writing through the result writes the base;
the function named in `write=` says what the base becomes when the view was overwritten by `value`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.record import check_broadcast, spread
from jtoolbox.layouts import check_format
from jtoolbox.ops.dims import canonical_dim, canonical_dims
from jtoolbox.ops.reinterpret import view_dtype
from jtoolbox.ops.strides import are_contiguous, strides_of, unlink, view_strides

__all__ = [
    *("view", "reshape", "view_as", "flatten", "unflatten", "ravel", "squeeze", "unsqueeze"),
    *("transpose", "swapaxes", "swapdims", "t", "permute", "movedim", "moveaxis", "adjoint"),
    *("expand", "expand_as", "broadcast_to", "diagonal", "unfold", "contiguous"),
    *("atleast_1d", "atleast_2d", "atleast_3d"),
]

_OVERLAP = (
    "unsupported operation: more than one element of the written-to tensor refers to a single "
    "memory location. Please clone() the tensor before performing the operation."
)


def _unsized(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """`size` with its -1 replaced by what `shape` leaves for it."""
    numel, known = math.prod(shape), math.prod(n for n in size if n != -1)
    if size.count(-1) > 1:
        raise RuntimeError("only one dimension can be inferred")
    if any(n < -1 for n in size):
        at = next(i for i, n in enumerate(size) if n < -1)
        raise RuntimeError(
            f"invalid shape dimension {size[at]} at index {at} of shape {list(size)}"
        )
    if -1 in size and known == 0 == numel:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(size)} because the unspecified "
            "dimension size -1 can be any value and is ambiguous"
        )
    if (numel % known if -1 in size and known else numel != known) or (-1 in size and not known):
        raise RuntimeError(f"shape '{list(size)}' is invalid for input of size {numel}")
    return tuple(numel // known if n == -1 else n for n in size)


def _write_reshaped(base: Any, value: Any, *_: Any) -> Any:
    return jnp.reshape(value, base.shape)


@op(view=True, saves="none", write=_write_reshaped, name="reshape")
def _reshape(input: Array, shape: Sequence[int]) -> Array:
    shape = (shape,) if isinstance(shape, int) else shape
    return jnp.reshape(input, _unsized(np.shape(input), shape))


def _is_strided_view(input: Any) -> bool:
    return isinstance(input, Handle) and input._view is not None


def reshape(input: Array, shape: Sequence[int]) -> Array:
    """The same elements, row by row, in `shape`; one entry may be -1 and is inferred.

    A view of `input` where its strides allow one, otherwise (as of a transposed matrix made flat) a
    copy, as in PyTorch.
    """
    result = _reshape(input, shape)
    if _is_strided_view(input) and not _viewable(input, result.shape):
        unlink(result)
    return result


def _viewable(input: Any, shape: Sequence[int]) -> bool:
    return view_strides(tuple(input.shape), strides_of(input), tuple(shape)) is not None


def view(input: Any, *shape: Any, size: Sequence[int] | None = None, dtype: Any = None) -> Any:
    """The same elements in another shape (`view(2, -1)`, `view((2, -1))`) or read as a dtype.

    RuntimeError where the elements do not lie so in memory that no copy is needed, as after most
    transpositions: `reshape` copies then.
    """
    if dtype is not None or (len(shape) == 1 and isinstance(shape[0], dtypes.dtype)):
        return view_dtype(input, shape[0] if dtype is None else dtype)
    if size is None and not shape:
        raise TypeError("view() needs a shape or a dtype, got neither")
    result = _reshape(input, sizes(shape if size is None else size, "view"))
    if _is_strided_view(input) and not _viewable(input, result.shape):
        raise RuntimeError(
            "view size is not compatible with input tensor's size and stride (at least one "
            f"dimension spans across two contiguous subspaces): {list(input.shape)} with strides "
            f"{list(strides_of(input))} cannot be seen as {list(result.shape)}. Use "
            ".reshape(...) instead."
        )
    return result


def sizes(values: Any, function: str = "size") -> tuple[int, ...]:
    """A shape or list of dimensions given as `(2, 3)`, as `2, 3`, or as one number."""
    if isinstance(values, int):
        return (values,)
    if len(values) == 1 and not hasattr(values[0], "__index__"):
        values = values[0]
    try:
        return tuple([n.__index__() for n in values])
    except (AttributeError, TypeError):
        raise TypeError(
            f"{function}() takes integers or one tuple of integers, got {values!r}"
        ) from None


def view_as(input: Any, other: Any) -> Any:
    """The same elements in the shape of `other`."""
    return view(input, tuple(other.shape))


def ravel(input: Any) -> Any:
    """All elements in one dimension."""
    return reshape(input, (-1,))


@op(view=True, saves="none", write=_write_reshaped, name="flatten")
def _flatten(input: Array, start_dim: int, end_dim: int) -> Array:
    shape = np.shape(input)
    start, end = canonical_dim(start_dim, len(shape)), canonical_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    joined = math.prod(shape[start : end + 1])
    return jnp.reshape(input, (*shape[:start], joined, *shape[end + 1 :]))


def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> Array:
    """Joins dimensions `start_dim` to `end_dim` into one; a single number becomes shape (1,)."""
    result = _flatten(input, start_dim, end_dim)
    if _is_strided_view(input) and not _viewable(input, result.shape):
        unlink(result)
    return result


@op(view=True, saves="none", write=_write_reshaped)
def unflatten(input: Array, dim: int, sizes: Sequence[int]) -> Array:
    """Splits dimension `dim` into `sizes`, of which one may be -1."""
    dim = canonical_dim(dim, input.ndim)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        sizes = _unsized(input.shape[dim : dim + 1], sizes)
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {dim} "
            f"({input.shape[dim]}) in the input tensor"
        ) from None
    return jnp.reshape(input, (*input.shape[:dim], *sizes, *input.shape[dim + 1 :]))


@op(view=True, saves="none", write=_write_reshaped)
def squeeze(input: Array, dim: int | Sequence[int] | None = None) -> Array:
    """Drops dimensions of size 1: all of them, or those in `dim` that have this size."""
    shape = np.shape(input)
    if dim is None:
        dims: Sequence[int] = range(len(shape))
    else:
        dims = canonical_dims(dim, len(shape)) if isinstance(dim, int) or len(dim) else ()
    return jnp.reshape(input, [n for i, n in enumerate(shape) if n != 1 or i not in dims])


@op(view=True, saves="none", write=_write_reshaped)
def unsqueeze(input: Array, dim: int) -> Array:
    """A new dimension of size 1 at `dim`."""
    return jnp.expand_dims(input, canonical_dim(dim, np.ndim(input) + 1))


def _write_transposed(base: Any, value: Any, dim0: int, dim1: int) -> Any:
    return transpose(value, dim0, dim1)


@op(view=True, saves="none", write=_write_transposed)
def transpose(input: Array, dim0: int, dim1: int) -> Array:
    """Exchanges two dimensions."""
    ndim = np.ndim(input)
    dim0, dim1 = canonical_dim(dim0, ndim), canonical_dim(dim1, ndim)
    return jnp.swapaxes(input, dim0, dim1) if ndim else jnp.asarray(input)


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """`transpose` under NumPy's name."""
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Any:
    """`transpose` under another name."""
    return transpose(input, dim0, dim1)


@op(name="t", view=True, saves="none", write=lambda base, value: value.T)
def _matrix_transpose(input: Array) -> Array:
    return input.T


def t(input: Any) -> Any:
    """A matrix transposed; vectors and numbers stay as they are."""
    if input.ndim > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.ndim}D")
    return _matrix_transpose(input)


def reverse_dims(input: Any) -> Any:
    """`Tensor.T`: all dimensions in reverse order."""
    return permute(input, tuple(range(input.ndim))[::-1])


def _check_matrix(input: Any, name: str) -> None:
    if input.ndim == 1:
        raise RuntimeError(
            f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor."
        )


def matrix_transpose(input: Any) -> Any:
    """`Tensor.mT`: the last two dimensions exchanged."""
    _check_matrix(input, "mT")
    return transpose(input, -2, -1) if input.ndim else input


def _write_adjoint(base: Any, value: Any) -> Any:
    return jnp.conj(jnp.matrix_transpose(value))


@op(view=True, saves="none", write=_write_adjoint)
def _adjoint(input: Array) -> Array:
    return jnp.conj(jnp.matrix_transpose(input))


def adjoint(input: Any) -> Any:
    """The conjugate of a matrix, or batch of matrices, with its last two dimensions exchanged."""
    _check_matrix(input, "adjoint()")
    return _adjoint(input) if input.ndim else input


def conjugate_transpose(input: Any) -> Any:
    """`Tensor.H`: `adjoint` of one matrix."""
    if input.ndim not in (0, 2):
        raise RuntimeError(
            f"tensor.H is only supported on matrices (2-D tensors). Got {input.ndim}-D tensor."
            + (" For batches of matrices, consider using tensor.mH" if input.ndim > 2 else "")
        )
    return adjoint(input)


def _permutation(dims: Sequence[int], ndim: int) -> tuple[int, ...]:
    if len(dims) != ndim:
        raise RuntimeError(
            "permute(): number of dimensions in the tensor input does not match the length of the "
            f"desired ordering of dimensions i.e. input.dim() = {ndim} is not equal to "
            f"len(dims) = {len(dims)}"
        )
    dims = tuple(canonical_dim(dim, ndim) for dim in dims)
    if len(set(dims)) != ndim:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return dims


def _write_permuted(base: Any, value: Any, dims: Sequence[int]) -> Any:
    dims = _permutation(dims, base.ndim)
    return jnp.transpose(value, [dims.index(i) for i in range(base.ndim)])


@op(view=True, saves="none", write=_write_permuted)
def permute(input: Array, dims: Sequence[int]) -> Array:
    """The dimensions in the order `dims`."""
    return jnp.transpose(input, _permutation(dims, np.ndim(input)))


def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Moves dimensions from the places `source` to `destination`; the others keep their order."""
    source, destination = sizes(source, "movedim"), sizes(destination, "movedim")
    if len(source) != len(destination):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(source)} dims) should "
            f"contain the same number of dims as destination ({list(destination)} dims)"
        )
    places: dict[int, int] = {}
    for name, dims in (("source", source), ("destination", destination)):
        if len({canonical_dim(dim, input.ndim) for dim in dims}) != len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(dims)})")
    places = {d % input.ndim: s % input.ndim for s, d in zip(source, destination, strict=True)}
    rest = iter([dim for dim in range(input.ndim) if dim not in places.values()])
    return permute(input, tuple(places[i] if i in places else next(rest)
                                for i in range(input.ndim)))  # fmt: skip


def moveaxis(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """`movedim` under NumPy's name."""
    return movedim(input, source, destination)


def expanded_shape(shape: Sequence[int], size: Sequence[int]) -> tuple[int, ...]:
    """What `shape` becomes when expanded to `size`; raises PyTorch's errors where it cannot."""
    missing = len(size) - len(shape)
    if missing < 0:
        raise RuntimeError(
            f"expand(tensor{{{list(shape)}}}, size={list(size)}): the number of sizes provided "
            f"({len(size)}) must be greater or equal to the number of dimensions in the tensor "
            f"({len(shape)})"
        )
    result = list(size)
    for i, n in enumerate(size):
        old = shape[i - missing] if i >= missing else 1
        if n == -1 and i < missing:
            raise RuntimeError(
                f"The expanded size of the tensor (-1) isn't allowed in a leading, "
                f"non-existing dimension {i}"
            )
        result[i] = old if n == -1 else n
        if old not in (1, result[i]):
            raise RuntimeError(
                f"The expanded size of the tensor ({n}) must match the existing size ({old}) at "
                f"non-singleton dimension {i}.  Target sizes: {list(size)}.  "
                f"Tensor sizes: {list(shape)}"
            )
    return tuple(result)


def broadcast_shape(*shapes: Sequence[int]) -> tuple[int, ...]:
    """The shape that these broadcast to; PyTorch's RuntimeError when there is none."""
    check_broadcast([tuple(s) for s in shapes])
    return np.broadcast_shapes(*[tuple(s) for s in shapes])


def _write_expanded(base: Any, value: Any, size: Sequence[int]) -> Any:
    if math.prod(base.shape) != math.prod(value.shape):
        raise RuntimeError(_OVERLAP)
    return jnp.reshape(value, base.shape)


@op(view=True, saves="none", write=_write_expanded)
def _expand(input: Array, size: Sequence[int]) -> Array:
    shape = expanded_shape(np.shape(input), size)
    return jnp.broadcast_to(spread(input, shape), shape)


def expand(input: Any, *args: Any, size: Any = None, implicit: bool = False) -> Any:
    """Repeats dimensions of size 1 up to `size` without copying; -1 keeps a dimension.

    Writing to a result that repeats elements raises RuntimeError. `implicit` changes nothing.
    """
    return _expand(input, sizes(args if size is None else size, "expand"))


def expand_as(input: Any, other: Any) -> Any:
    """`expand` to the shape of `other`."""
    return _expand(input, tuple(other.shape))


def broadcast_to(input: Any, size: Sequence[int]) -> Any:
    """`expand` as a function."""
    return _expand(input, sizes(size, "broadcast_to"))


def diagonal_dims(ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    """The two dimensions of a diagonal, counted from the front and different."""
    first, second = canonical_dim(dim1, ndim), canonical_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return first, second


def write_diagonal(base: Any, value: Any, offset: int = 0, dim1: int = 0, dim2: int = 1, /) -> Any:
    """`base` with `value`, whose last dimension runs along it, on a diagonal."""
    dim1, dim2 = diagonal_dims(base.ndim, dim1, dim2)
    moved = jnp.moveaxis(jnp.asarray(base), (dim1, dim2), (-2, -1))
    steps = np.arange(value.shape[-1])
    moved = moved.at[..., steps + max(0, -offset), steps + max(0, offset)].set(value)
    return jnp.moveaxis(moved, (-2, -1), (dim1, dim2))


@op(view=True, saves="none", write=write_diagonal)
def diagonal(input: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """The diagonal of dimensions `dim1` and `dim2`, as a new last dimension."""
    dim1, dim2 = diagonal_dims(input.ndim, dim1, dim2)
    return jnp.diagonal(input, offset, dim1, dim2)


def _windows(shape: Sequence[int], dim: int, size: int, step: int) -> tuple[int, np.ndarray]:
    """The dimension, and the positions of each window in it (windows, size)."""
    dim = canonical_dim(dim, len(shape))
    length = shape[dim] if shape else 1
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {dim} is {length} but size is {size}"
        )
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    starts = np.arange(0, length - size + 1, step)
    return dim, starts[:, None] + np.arange(size)


def _write_unfolded(base: Any, value: Any, dimension: int, size: int, step: int) -> Any:
    if step < size:
        raise RuntimeError(_OVERLAP)
    dim, places = _windows(base.shape, dimension, size, step)
    if not base.ndim:
        return jnp.reshape(value, ()) if size else base
    moved = jnp.moveaxis(base, dim, -1)
    moved = moved.at[..., places].set(jnp.moveaxis(value, dim, -2))
    return jnp.moveaxis(moved, -1, dim)


@op(view=True, saves="none", write=_write_unfolded)
def unfold(input: Array, dimension: int, size: int, step: int) -> Array:
    """Sliding windows: dimension `dimension` counts windows, a new last one holds each of them."""
    dim, places = _windows(np.shape(input), dimension, size, step)
    if not input.ndim:
        return jnp.reshape(input, (1,))[:size]
    return jnp.moveaxis(jnp.take(input, places, axis=dim), dim + 1, -1)


def contiguous(input: Any, memory_format: Any = None) -> Any:
    """The same tensor, or a copy of a view whose rows do not lie one after another.

    `memory_format` changes nothing here: layouts are chosen by the compiler.
    """
    check_format(input, memory_format)
    if _is_strided_view(input) and not are_contiguous(input.shape, strides_of(input)):
        return _rows(input)
    return input


@op(saves="none", name="clone")
def _rows(input: Array) -> Array:
    return jnp.asarray(input)


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
        return tuple(function(x) for x in tensors)
    results = tuple(function(x) for x in tensors)
    return results[0] if len(results) == 1 else results


def atleast_1d(*tensors: Any) -> Any:
    """Each tensor with at least one dimension; several come back as a tuple."""
    return _each(lambda x: x if x.ndim else reshape(x, (1,)), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Each tensor with at least two dimensions, new ones in front."""
    return _each(lambda x: x if x.ndim > 1 else reshape(x, (1, -1)), tensors)


def _at_least_3d(x: Any) -> Any:
    if x.ndim > 2:
        return x
    return unsqueeze(x, -1) if x.ndim == 2 else reshape(x, (1, -1, 1))


def atleast_3d(*tensors: Any) -> Any:
    """Each tensor with at least three dimensions: (N) becomes (1, N, 1), (N, M) (N, M, 1)."""
    return _each(_at_least_3d, tensors)
