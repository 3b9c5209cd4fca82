"""Log-probabilities of classes that are reached in two steps: a cluster, then a class in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import type_name

__all__ = ["adaptive_log_probs", "adaptive_log_softmax"]

_RANGE = "Target values should be in [0, {last}], but values in range [{low}, {high}] were found. "


def _check_range(head: Any, tails: Any, target: Any, cutoffs: tuple[int, ...]) -> None:
    if not isinstance(target, np.ndarray) or not target.size or target.dtype.kind not in "iu":
        return
    low, high = target.min(), target.max()
    if low < 0 or high >= cutoffs[-1]:
        raise RuntimeError(_RANGE.format(last=cutoffs[-1] - 1, low=low, high=high))


def _picked(log_probs: Array, index: Array) -> Array:
    return jnp.take_along_axis(log_probs, index[:, None], 1, mode="clip")[:, 0]


@op(check=_check_range)
def adaptive_log_softmax(
    head: Array, tails: Sequence[Array], target: Array, cutoffs: tuple[int, ...]
) -> Array:
    """The log-probability of each target, from scores of head and clusters.

    Shapes: head (N, cutoffs[0] + clusters), whose last columns score the clusters; tails (N,
    classes of a cluster); target (N,), the result (N,). Classes from cutoffs[i] to cutoffs[i + 1]
    are in cluster i. Raises RuntimeError for a target out of range, and gives NaN where it cannot
    be looked at.
    """
    if target.dtype not in (np.int64, np.int32):
        raise RuntimeError(
            f"gather(): Expected dtype int32/int64 for index, got {type_name(target)}: call "
            ".long() on the target"
        )
    first = jax.nn.log_softmax(head, 1)
    result = _picked(first, target)
    for i, tail in enumerate(tails):
        low, high = cutoffs[i], cutoffs[i + 1]
        inside = _picked(jax.nn.log_softmax(tail, 1), target - low) + first[:, cutoffs[0] + i]
        result = jnp.where((target >= low) & (target < high), inside, result)
    possible = (target >= 0) & (target < cutoffs[-1])
    return jnp.where(possible, result, jnp.full((), jnp.nan, result.dtype))


@op(name="cat")
def adaptive_log_probs(head: Array, tails: Sequence[Array], shortlist: int) -> Array:
    """The log-probabilities (N, classes) of all classes, from scores of head and clusters."""
    first = jax.nn.log_softmax(head, 1)
    parts = [first[:, :shortlist]]
    for i, tail in enumerate(tails):
        parts.append(jax.nn.log_softmax(tail, 1) + first[:, shortlist + i, None])
    return jnp.concatenate(parts, 1)
