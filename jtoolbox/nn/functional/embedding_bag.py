"""Bags of rows of a table: the sum, mean or maximum of the rows that each bag names.

Bags are the rows of a 2-d input, or runs of a 1-d input that start at given offsets. The first are
reduced along an axis, the second by segments; `_reduced` and its two callers know which.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, inplace, no_grad, op
from jtoolbox.nn.functional.checks import size, type_name, warn_user, wide
from jtoolbox.nn.functional.embedding import WRONG_INDEX_TYPE, limit_norms, rows_of, scale_gradient

__all__ = ["embedding_bag"]

_MODES = ("sum", "mean", "max")
_SWAPPED = (
    "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, "
    "input, ...)` is deprecated, and should now be `embedding_bag(input, weight, ...)`."
)
_OFFSETS_GIVEN = (
    "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed "
    "length sequences. However, found offsets of type {kind}"
)
_ONLY_SUM = (
    "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for "
    "mode='sum' (got mode='{mode}'). Multiply by them yourself for another mode."
)
_WEIGHTS_SHAPE = (
    "embedding_bag: If per_sample_weights ({weights}) is not None, then it must have the same "
    "shape as the input ({input})"
)
_WEIGHTS_TYPE = (
    "Expected tensor for argument #1 'weight' to have the same type as tensor for argument #1 "
    "'per_sample_weights'; but type {a} does not equal {b} (while checking arguments for "
    "embedding_bag)"
)
_INDEX = "Index {at} of input takes value {found} which is not in the valid range [0, {rows})"
_FIRST = (
    "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position "
    "0. However, got {found}"
)
_LAST = "offsets[-1] can not be greater than input's length {length} but got offsets[-1] of {found}"
_ORDER = "offsets must not decrease: bag {at} starts at {a}, after the start {b} of the next"
_PADDING = "padding_idx must be within the number of embeddings, -{n} through {last}, but got {i}"


# --- checks --------------------------------------------------------------------------------------


def _check_call(input: Any, offsets: Any, mode: str, frequencies: bool, sparse: bool) -> None:
    """The errors that need no values."""
    if input.ndim == 2 and offsets is not None:
        raise ValueError(_OFFSETS_GIVEN.format(kind=type(offsets)))
    if input.ndim == 1 and offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None: it holds each bag's start")
    if offsets is not None and offsets.ndim != 1:
        raise ValueError(f"offsets has to be a 1D Tensor, got shape {list(offsets.shape)}")
    if input.ndim not in (1, 2):
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}"
        )
    if mode not in _MODES:
        raise ValueError(f"mode has to be one of sum, mean or max, got {mode!r}")
    if mode == "max" and frequencies:
        raise ValueError("max mode does not support scaling the gradient by the frequency")
    if mode == "max" and sparse:
        raise ValueError("max mode does not support sparse weights")


def _check_weights(weights: Any, input: Any, mode: str) -> None:
    if weights is None:
        return
    if mode != "sum":
        raise NotImplementedError(_ONLY_SUM.format(mode=mode))
    if tuple(weights.shape) != tuple(input.shape):
        raise ValueError(_WEIGHTS_SHAPE.format(weights=size(weights), input=size(input)))


def _check_values(indices: Any, weight: Any, offsets: Any, *_: Any) -> None:
    """The errors of indices and offsets whose values are known on the host."""
    if isinstance(indices, np.ndarray) and indices.dtype.kind in "iu" and indices.size:
        wrong = np.flatnonzero((indices < 0) | (indices >= weight.shape[0]))
        if wrong.size:
            found = indices.reshape(-1)[wrong[0]]
            raise RuntimeError(_INDEX.format(at=wrong[0], found=found, rows=weight.shape[0]))
    if not isinstance(offsets, np.ndarray) or not offsets.size or offsets.dtype.kind not in "iu":
        return
    if offsets[0]:
        raise RuntimeError(_FIRST.format(found=offsets[0]))
    if offsets[-1] > indices.shape[0]:
        raise RuntimeError(_LAST.format(length=indices.shape[0], found=offsets[-1]))
    falls = np.flatnonzero(np.diff(offsets) < 0)
    if falls.size:
        at = falls[0]
        raise RuntimeError(_ORDER.format(at=at, a=offsets[at], b=offsets[at + 1]))


def _check_types(indices: Any, weight: Any, offsets: Any, weights: Any) -> None:
    for x in (indices, *([] if offsets is None else [offsets])):
        if x.dtype not in (np.int64, np.int32):
            text = WRONG_INDEX_TYPE.format(name=type_name(x))
            raise RuntimeError(text.replace("for embedding)", "for embedding_bag)"))
    if weight.ndim != 2:
        raise RuntimeError(
            "'weight' must be 2-D: (num_embeddings, embedding_dim), got a weight of shape "
            f"{list(weight.shape)}"
        )
    if weights is not None and weights.dtype != weight.dtype:
        a, b = (f"torch.{type_name(x)}Tensor" for x in (weight, weights))
        raise RuntimeError(_WEIGHTS_TYPE.format(a=a, b=b))


# --- the arithmetic ------------------------------------------------------------------------------


def _bag_of(length: int, offsets: Array, include_last: bool) -> tuple[Array, int]:
    """The bag of each position of a 1-d input, and the number of bags.

    What lies behind a last offset is in a bag beyond the last, which segment sums leave out.
    """
    count = offsets.shape[0] - bool(include_last)
    positions = jnp.arange(length, dtype=offsets.dtype)
    return jnp.searchsorted(offsets, positions, side="right") - 1, count


def _reduced(x: Array, bags: Array | None, count: int, kind: str) -> Array:
    """Sum, max or min over the second dimension (bags None), or over each bag of the first."""
    if bags is None:
        start = {"sum": 0, "max": -jnp.inf, "min": np.iinfo(np.int32).max}[kind]
        return getattr(jnp, kind)(x, 1, initial=jnp.asarray(start, x.dtype))
    reduce = getattr(jax.ops, f"segment_{kind}")
    return reduce(x, bags, count, indices_are_sorted=True)


def _maximum(rows: Array, kept: Array, bags: Array | None, count: int) -> Array:
    """The largest entries of each bag; the gradient goes to the first of equal ones, as PyTorch's.

    A bag with no kept row gives 0.
    """
    x = jnp.where(kept[..., None], rows, -jnp.inf)
    top = jax.lax.stop_gradient(_reduced(x, bags, count, "max"))
    axis = 0 if bags is not None else 1
    shape = [1] * x.ndim
    shape[axis] = x.shape[axis]
    position = jnp.arange(x.shape[axis], dtype=np.int32).reshape(shape)
    own = top[bags] if bags is not None else top[:, None]
    first = _reduced(jnp.where((x == own) & kept[..., None], position, np.iinfo(np.int32).max),
                     bags, count, "min")  # fmt: skip
    chosen = position == (first[bags] if bags is not None else first[:, None])
    return _reduced(jnp.where(chosen, rows, jnp.zeros((), x.dtype)), bags, count, "sum")


@op(name="embedding_bag", check=_check_values)
def _embedding_bag(
    input: Array,
    weight: Array,
    offsets: Array | None,
    per_sample_weights: Array | None,
    mode: str,
    scale_grad_by_freq: bool,
    include_last_offset: bool,
    padding_idx: int | None,
) -> Array:
    _check_types(input, weight, offsets, per_sample_weights)
    if offsets is not None and include_last_offset and not offsets.shape[0]:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    bags, count = None, input.shape[0]
    if offsets is not None:
        bags, count = _bag_of(input.shape[0], offsets, include_last_offset)
    rows = wide(rows_of(input, weight))
    if scale_grad_by_freq:
        uses = jnp.zeros(weight.shape[0], rows.dtype).at[input].add(1, mode="drop")
        rows = scale_gradient(rows, 1 / jnp.take(uses, input, mode="fill")[..., None])
    kept = jnp.ones(input.shape, bool) if padding_idx is None else input != padding_idx
    if mode == "max":
        return _maximum(rows, kept, bags, count).astype(weight.dtype)
    if per_sample_weights is not None:
        rows = rows * wide(per_sample_weights)[..., None]
    total = _reduced(
        jnp.where(kept[..., None], rows, jnp.zeros((), rows.dtype)), bags, count, "sum"
    )
    if mode == "mean":
        number = _reduced(kept.astype(rows.dtype), bags, count, "sum")
        total = total / jnp.maximum(number, 1)[:, None]
    return total.astype(weight.dtype)


def embedding_bag(
    input: Array,
    weight: Array,
    offsets: Array | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Array | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Array:
    """The mean, sum or maximum of the rows of a table that each bag of indices names.

    Shapes: input (B, N), each row a bag, or (N,) with `offsets` (B,) at which bags start; weight
    (num_embeddings, embedding_dim); the result is (B, embedding_dim). With `include_last_offset`,
    offsets have one entry more, the end of the last bag; what lies behind it is in no bag. An empty
    bag gives 0. Indices equal to `padding_idx` do not count. `per_sample_weights`, of the input's
    shape, multiply the rows of a sum. `max_norm` and `scale_grad_by_freq` act as in `embedding`
    (PyTorch 2.13 divides by counts of other rows where rows are used unequally often). Gradients
    are dense: `sparse` changes nothing.

    Raises RuntimeError for indices or offsets out of range (where they cannot be looked at, a row
    outside the table is NaN), ValueError or NotImplementedError for settings that do not fit.
    """
    if "int" in str(weight.dtype) and "float" in str(input.dtype):
        warn_user(_SWAPPED)
        input, weight = weight, input
    _check_weights(per_sample_weights, input, mode)
    _check_call(input, offsets, mode, scale_grad_by_freq, sparse)
    if padding_idx is not None:
        n = weight.shape[0]
        if not -n <= padding_idx < n:
            raise RuntimeError(_PADDING.format(n=n, last=n - 1, i=padding_idx))
        padding_idx %= n
    if max_norm is not None:
        with no_grad():
            weight = inplace(weight, limit_norms(input, weight, float(max_norm), float(norm_type)))
    settings = (mode, scale_grad_by_freq, include_last_offset, padding_idx)
    return _embedding_bag(input, weight, offsets, per_sample_weights, *settings)
