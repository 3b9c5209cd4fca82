"""SparseAdam, which says what to use instead."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jtoolbox.optim.optimizer import Optimizer

__all__ = ["SparseAdam"]

_NO_SPARSE = (
    "SparseAdam is for sparse gradients, which jtoolbox does not have: an embedding's gradient is "
    "dense and part of the step's one program. Use optim.Adam, which also updates the moments of "
    "rows that a batch does not use, or optim.SGD"
)


class SparseAdam(Optimizer):
    """Not supported: raises NotImplementedError and names `Adam`, the same rule on dense gradients.

    There are no sparse gradients here. Adam differs in that rows without gradient also move, by
    their fading momentum.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ):
        raise NotImplementedError(_NO_SPARSE)
