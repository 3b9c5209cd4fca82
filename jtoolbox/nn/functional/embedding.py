"""Rows of a table by index, and their one-hot codes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jtoolbox import dtypes
from jtoolbox.engine import Array, inplace, no_grad, op
from jtoolbox.engine.few_rows import TAG
from jtoolbox.nn.functional.checks import type_name

__all__ = ["embedding", "limit_norms", "one_hot", "rows_of", "scale_gradient"]

WRONG_INDEX_TYPE = (
    "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, "
    "Int; but got torch.{name}Tensor instead (while checking arguments for embedding). Convert the "
    "indices with .long()."
)
OUT_OF_RANGE = (
    "index out of range in self: the table has {rows} rows, so indices lie between 0 and {last}; "
    "got {found} (indices of shape {shape}, from {low} to {high})"
)


def _check_types(indices: Any, weight: Any) -> None:
    if indices.dtype not in (np.int64, np.int32):
        raise RuntimeError(WRONG_INDEX_TYPE.format(name=type_name(indices)))
    if weight.ndim != 2:
        raise RuntimeError(
            "'weight' must be 2-D: (num_embeddings, embedding_dim), got a weight of shape "
            f"{list(weight.shape)}"
        )


def _check_lookup(indices: Any, weight: Any, *_: Any) -> None:
    """The errors of a look-up; the range only where the indices are known on the host."""
    _check_types(indices, weight)
    if not isinstance(indices, np.ndarray) or not indices.size:
        return
    low, high, rows = int(indices.min()), int(indices.max()), weight.shape[0]
    if low < 0 or high >= rows:
        raise IndexError(
            OUT_OF_RANGE.format(
                rows=rows,
                last=rows - 1,
                found=low if low < 0 else high,
                shape=list(indices.shape),
                low=low,
                high=high,
            )
        )


def rows_of(indices: Any, weight: Any) -> Any:
    """The rows; one outside the table is NaN, which is what can be seen where nothing raises."""
    indices = jnp.where(indices < 0, weight.shape[0], indices)
    return jnp.take(weight, indices, axis=0, mode="fill")


@jax.custom_vjp
def scale_gradient(x: Any, scale: Any) -> Any:
    """x, whose gradient is multiplied by `scale`."""
    return x


scale_gradient.defvjp(lambda x, scale: (x, scale), lambda scale, g: (g * scale, None))


@op(name="embedding", saves="none", tags=(TAG,), check=_check_lookup)
def _embedding(
    input: Array, weight: Array, padding_idx: int | None = None, scale_grad_by_freq: bool = False
) -> Array:
    indices, weight = jnp.asarray(input), jnp.asarray(weight)
    rows = rows_of(indices, weight)
    if scale_grad_by_freq:
        counts = jnp.zeros(weight.shape[0], np.float32).at[indices].add(1, mode="drop")
        share = 1 / jnp.take(counts, indices, mode="fill")[..., None]
        rows = scale_gradient(rows, share.astype(rows.dtype))
    if padding_idx is not None:
        rows = jnp.where((indices == padding_idx)[..., None], lax.stop_gradient(rows), rows)
    return rows


@op(differentiable=False, check=_check_lookup)
def limit_norms(input: Array, weight: Array, max_norm: float, norm_type: float) -> Array:
    """The table with the used rows scaled down to a norm of at most `max_norm`."""
    indices, weight = jnp.asarray(input), jnp.asarray(weight)
    norms = jnp.linalg.norm(weight, ord=norm_type, axis=1)
    used = jnp.zeros(weight.shape[0], jnp.bool_).at[indices].set(True, mode="drop")
    scale = jnp.where(used & (norms > max_norm), max_norm / (norms + 1e-7), 1)
    return weight * scale.astype(weight.dtype)[:, None]


def embedding(
    input: Array,
    weight: Array,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Array:
    """Looks up rows of a table: the result at i is `weight[input[i]]`.

    Shapes: input (*) of int64 or int32, weight (num_embeddings, embedding_dim); the result is
    (*, embedding_dim). The row `padding_idx` gets no gradient. With `max_norm`, rows that are used
    and longer than it are first scaled down in `weight` itself (an array is left as it is and the
    scaled rows are returned). `scale_grad_by_freq` divides a row's gradient by how often the row
    was used. Gradients are dense arrays: `sparse` is accepted and changes nothing.

    Raises IndexError for an index outside the table, and RuntimeError for indices that are not
    integers. Where the indices cannot be looked at (inside `jit`, on an accelerator, not yet
    computed), a row outside the table is NaN.
    """
    if padding_idx is not None:
        if not -weight.shape[0] <= padding_idx < weight.shape[0]:
            raise AssertionError(
                f"Padding_idx must be within num_embeddings: got {padding_idx} for a table of "
                f"{weight.shape[0]} rows"
            )
        padding_idx %= weight.shape[0]
    if max_norm is not None:
        with no_grad():
            weight = inplace(weight, limit_norms(input, weight, float(max_norm), float(norm_type)))
    return _embedding(input, weight, padding_idx, scale_grad_by_freq)


NEGATIVE_CLASS = "Class values must be non-negative."
LARGE_CLASS = "Class values must be smaller than num_classes."


def _check_classes(classes: Any, num_classes: int) -> None:
    if not isinstance(classes, np.ndarray) or not classes.size:
        return
    low, high = classes.min(), classes.max()
    if low < 0:
        raise RuntimeError(f"{NEGATIVE_CLASS} Got {low}.")
    if high >= num_classes:
        raise RuntimeError(f"{LARGE_CLASS} Got {high} for num_classes={num_classes}.")


@op(name="one_hot", differentiable=False, check=_check_classes)
def _one_hot(tensor: Array, num_classes: int) -> Array:
    tensor = jnp.asarray(tensor)
    if tensor.dtype != dtypes.index_dtype():
        raise RuntimeError(
            "one_hot is only applicable to index tensor of type LongTensor., got "
            f"{type_name(tensor)}: convert it with .long()"
        )
    classes = jnp.arange(num_classes, dtype=tensor.dtype)
    return (tensor[..., None] == classes).astype(dtypes.index_dtype())


def one_hot(tensor: Array, num_classes: int = -1) -> Array:
    """Codes class numbers as vectors with a single one.

    Shapes: tensor (*) of int64, the result (*, num_classes) of int64. With `num_classes=-1` it is
    one more than the greatest class, which has to be known: inside `jit`, give the number. Raises
    RuntimeError for a class that is negative or not smaller than `num_classes`; where the classes
    cannot be looked at, such a class gives a row of zeros.
    """
    if 0 in tensor.shape and num_classes <= 0:
        raise RuntimeError(
            "Can not infer total number of classes from empty tensor. Give num_classes."
        )
    if num_classes == -1:
        num_classes = int(tensor.max()) + 1
    if num_classes < 1:
        raise RuntimeError(f"{LARGE_CLASS} Got num_classes={num_classes}.")
    return _one_hot(tensor, num_classes)
