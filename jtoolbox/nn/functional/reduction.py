"""The last step of every loss: none, mean or sum, and PyTorch's older way of asking for it."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array
from jtoolbox.nn.functional.checks import size, warn_user

__all__ = ["check_reduction", "choose_reduction", "reduce_loss", "warn_if_broadcast"]

REDUCTIONS = ("none", "mean", "sum")


def choose_reduction(
    size_average: bool | None,
    reduce: bool | None,
    reduction: str,
    allowed: tuple[str, ...] = REDUCTIONS,
) -> str:
    """The reduction asked for; the deprecated pair `size_average`, `reduce` goes first if given.

    Raises ValueError for a word that is no reduction.
    """
    if size_average is not None or reduce is not None:
        averaged = "sum" if size_average is False else "mean"
        reduction = "none" if reduce is False else averaged
        warn_user(
            "size_average and reduce args will be deprecated, please use "
            f"reduction='{reduction}' instead."
        )
    if reduction not in allowed:
        raise ValueError(f"{reduction} is not a valid value for reduction; choose from {allowed}")
    return reduction


def check_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> None:
    """ValueError for a word that is no reduction, before anything else is looked at."""
    if size_average is None and reduce is None:
        choose_reduction(None, None, reduction)


def reduce_loss(loss: Array, reduction: str) -> Array:
    """The losses themselves, their mean, or their sum."""
    if reduction == "none":
        return loss
    return jnp.mean(loss) if reduction == "mean" else jnp.sum(loss)


def warn_if_broadcast(input: Any, target: Any) -> None:
    """Warns when input and target have different shapes: most often (N, 1) against (N,)."""
    if input.shape != target.shape:
        warn_user(
            f"Using a target size ({size(target)}) that is different to the input size "
            f"({size(input)}). This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size, for example by target.unsqueeze(1)."
        )
