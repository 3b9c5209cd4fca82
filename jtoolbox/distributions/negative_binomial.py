"""The negative binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.gamma import Gamma
from jtoolbox.distributions.odds import BinaryOdds, one_of
from jtoolbox.distributions.utils import broadcast_all, cast_like, stopped
from jtoolbox.engine import no_grad
from jtoolbox.nn import functional as F

__all__ = ["NegativeBinomial"]


class NegativeBinomial(BinaryOdds):
    """Successes of probability `probs`, or sigmoid(`logits`), before `total_count` failures.

    `total_count` >= 0 need not be whole. `probs` lies in [0, 1). Samples are Poisson numbers of a
    gamma distributed rate.
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        self.total_count, odds = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = cast_like(self.total_count, odds)
        self._set_odds(odds if logits is None else None, None if logits is None else odds)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.total_count * ops.exp(self.logits)

    @property
    def mode(self) -> Any:
        return ops.clamp(ops.floor((self.total_count - 1) * ops.exp(self.logits)), min=0)

    @property
    def variance(self) -> Any:
        return self.mean / ops.sigmoid(-self.logits)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            rate = Gamma(self.total_count, ops.exp(-self.logits), validate_args=False)
            return stopped(ops.poisson(rate.sample(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        unnormalized = n * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
        arrangements = ops.lgamma(n + value) - ops.lgamma(1 + value) - ops.lgamma(n)
        # With n = 0 only the value 0 can happen, and its two infinite terms cancel.
        return unnormalized + ops.where(n + value == 0, 0.0, arrangements)
