"""Connectionist temporal classification: the loss of a sequence without its alignment."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import require_float, wide
from jtoolbox.nn.functional.reduction import REDUCTIONS
from jtoolbox.ops.host import host_value

__all__ = ["ctc_loss"]

# Stands for log(0) in the recursion: minus infinity would make gradients NaN.
_NEVER = -1e30
_OUTSIDE = "Expected {name} to have value at {limit}, but got value {found}"


def _check(log_probs, targets, input_lengths, target_lengths, blank, *_) -> None:
    """Lengths within the tensors, and the blank a class, where the host knows them."""
    steps, classes = log_probs.shape[0], log_probs.shape[-1]
    if not 0 <= blank < classes:
        raise RuntimeError(f"blank must be in label range: got {blank} for {classes} classes")
    batch = log_probs.shape[1] if log_probs.ndim == 3 else 1
    longest = targets.shape[-1] if targets.ndim else 0
    _check_lengths("input_lengths", input_lengths, batch, steps)
    _check_lengths("target_lengths", target_lengths, batch, longest)
    if targets.ndim == 2 and targets.shape[0] != batch:
        raise RuntimeError(
            f"Expected tensor to have size {batch} at dimension 0, but got size {targets.shape[0]} "
            f"for targets of shape {list(targets.shape)}: one row for each of the samples"
        )
    joined = targets.ndim == 1 and log_probs.ndim == 3 and isinstance(target_lengths, np.ndarray)
    if joined and target_lengths.sum() != longest:
        raise RuntimeError(
            f"Expected tensor to have size {target_lengths.sum()} at dimension 0, but got size "
            f"{longest} for targets: those of all samples one after the other"
        )


def _check_lengths(name: str, lengths: Any, batch: int, limit: int) -> None:
    if not np.issubdtype(lengths.dtype, np.integer):
        raise RuntimeError(f"{name} must be integral, got {lengths.dtype}")
    if lengths.size != batch:
        raise RuntimeError(
            f"{name} must be of size batch_size: got {lengths.size} for {batch} samples"
        )
    if not isinstance(lengths, np.ndarray) or not lengths.size:
        return
    if lengths.max() > limit:
        raise RuntimeError(_OUTSIDE.format(name=name, limit=f"most {limit}", found=lengths.max()))
    if lengths.min() < 0:
        raise RuntimeError(_OUTSIDE.format(name=name, limit="least 0", found=lengths.min()))


def _padded(targets: Array, lengths: Array, longest: int) -> Array:
    """Targets (N, S) from either form: padded already, or one after the other in one dimension."""
    if targets.ndim == 2:
        return targets[:, :longest]
    start = jnp.cumsum(lengths) - lengths
    index = start[:, None] + jnp.arange(longest, dtype=start.dtype)
    return jnp.take(targets, index, mode="clip")


def _log_likelihood(
    log_probs: Array, targets: Array, input_lengths: Array, target_lengths: Array, blank: int
) -> Array:
    """log p(target | input) for each sample, by the forward recursion over (N, 2S + 1) states."""
    steps, batch, _ = log_probs.shape
    length = targets.shape[1]
    states = jnp.full((batch, 2 * length + 1), blank, targets.dtype).at[:, 1::2].set(targets)
    scores = jnp.take_along_axis(log_probs, states[None], 2, mode="clip")
    # A state may be reached from two before it unless that skips a needed blank.
    skips = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    skips = jnp.pad(skips, ((0, 0), (2, 0)))[:, : states.shape[1]]

    def moved(alpha: Array, by: int) -> Array:
        filled = jnp.pad(alpha, ((0, 0), (by, 0)), constant_values=_NEVER)
        return filled[:, : alpha.shape[1]]

    def step(alpha: Array, now: tuple[Array, Array]) -> tuple[Array, None]:
        score, t = now
        ways = jnp.stack([alpha, moved(alpha, 1), jnp.where(skips, moved(alpha, 2), _NEVER)])
        new = jax.nn.logsumexp(ways, 0) + score
        return jnp.where((t < input_lengths)[:, None], new, alpha), None

    first = jnp.arange(states.shape[1]) < 2
    alpha = jnp.where(first, scores[0], jnp.asarray(_NEVER, scores.dtype))
    times = jnp.arange(1, steps, dtype=input_lengths.dtype)
    alpha, _ = jax.lax.scan(step, alpha, (scores[1:], times))
    last = jnp.take_along_axis(alpha, 2 * target_lengths[:, None], 1)[:, 0]
    before = jnp.take_along_axis(alpha, jnp.maximum(2 * target_lengths - 1, 0)[:, None], 1)[:, 0]
    return jnp.logaddexp(last, jnp.where(target_lengths > 0, before, _NEVER))


@jax.custom_jvp
def _nothing(x: Array, factor: Array) -> Array:
    """0, with the derivative of factor * exp(x) by x."""
    return jnp.zeros_like(x)


@_nothing.defjvp
def _nothing_tangent(primals: Any, tangents: Any) -> tuple[Array, Array]:
    x, factor = primals
    return jnp.zeros_like(x), factor * jnp.exp(x) * tangents[0]


def _surplus(log_probs: Array, input_lengths: Array, factor: Array) -> Array:
    """0 for each sample, with the gradient that PyTorch adds to each score within its length.

    `log_softmax` takes it away again. The factor is NaN for an infinite loss.
    """
    times = jnp.arange(log_probs.shape[0], dtype=input_lengths.dtype)
    within = (times[:, None] < input_lengths)[..., None]
    return jnp.sum(_nothing(log_probs, jnp.where(within, factor[:, None], 0)), (0, 2))


@op(check=_check, name="ctc_loss")
def _ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Array,
    target_lengths: Array,
    blank: int,
    reduction: str,
    zero_infinity: bool,
    longest: int,
) -> Array:
    require_float("ctc_loss", log_probs)
    targets, input_lengths, target_lengths = (
        jnp.asarray(v) for v in (targets, input_lengths, target_lengths)
    )
    if not np.issubdtype(targets.dtype, np.integer):
        targets = targets.astype(dtypes.index_dtype())
    batched = log_probs.ndim == 3
    x = wide(log_probs) if batched else wide(log_probs)[:, None]
    if not batched:
        targets = targets.reshape(1, -1)
    input_lengths = jnp.broadcast_to(input_lengths, (x.shape[1],))
    target_lengths = jnp.broadcast_to(target_lengths, (x.shape[1],))
    padded = _padded(targets, target_lengths, longest)
    likelihood = _log_likelihood(x, padded, input_lengths, target_lengths, blank)
    impossible = likelihood < _NEVER / 2
    loss = -jnp.where(impossible, jnp.zeros((), x.dtype), likelihood)
    loss = jnp.where(impossible, 0.0 if zero_infinity else jnp.inf, loss)
    factor = jnp.where(impossible, 0.0 if zero_infinity else jnp.nan, 1.0).astype(x.dtype)
    loss = (loss + _surplus(x, input_lengths, factor)).astype(log_probs.dtype)
    if reduction == "mean":
        loss = jnp.mean(loss / jnp.maximum(target_lengths, 1).astype(loss.dtype))
    elif reduction == "sum":
        loss = jnp.sum(loss)
    return loss if batched or loss.ndim == 0 else loss[0]


def ctc_loss(
    log_probs: Array,
    targets: Array,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Array:
    """-log p(targets | log_probs), summed over all alignments of the target with the input.

    log_probs is (T, N, C) or (T, C) and holds log-probabilities; targets is (N, S), or the targets
    of all samples one after the other; the lengths are (N,), as Tensors or tuples. "mean" divides
    each loss by its target's length first. An impossible target has an infinite loss, or with
    `zero_infinity` loss 0 and gradient 0.

    The gradient by log_probs is PyTorch's, exp(log_probs) minus the probability of a class at a
    time given the target: that of the formula plus what `log_softmax` takes away again. It is NaN
    for an infinite loss, and 0 for a class of log-probability -inf, where PyTorch's is NaN. Paper:
    Connectionist Temporal Classification (https://www.cs.toronto.edu/~graves/icml_2006.pdf).
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    lengths = [np.asarray(v, np.int64) if isinstance(v, (tuple, list, int)) else v
               for v in (input_lengths, target_lengths)]  # fmt: skip
    longest = targets.shape[-1] if targets.ndim else 0
    if targets.ndim == 1 and log_probs.ndim == 3:
        longest = _longest(lengths[1], longest)
    return _ctc_loss(log_probs, targets, *lengths, blank, reduction, zero_infinity, longest)


def _longest(lengths: Any, limit: int) -> int:
    """The longest target of a concatenation; all of it where the lengths are being traced."""
    try:
        return int(host_value(lengths, "ctc_loss").max(initial=0))
    except (RuntimeError, jax.errors.ConcretizationTypeError):
        return limit
