"""The binomial distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.odds import BinaryOdds, one_of
from jtoolbox.distributions.utils import broadcast_all, cast_like, constant, known_value, stopped
from jtoolbox.engine import no_grad
from jtoolbox.ops.sampling_distributions import binomial

__all__ = ["Binomial"]


class Binomial(BinaryOdds):
    """Successes in `total_count` trials, each of probability `probs`, or sigmoid(`logits`).

    `entropy` and `enumerate_support` need one `total_count` for all (NotImplementedError), known
    on the host.
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        one_of(probs, logits)
        self._trials = total_count if isinstance(total_count, int) else None
        self.total_count, odds = broadcast_all(total_count, logits if probs is None else probs)
        self.total_count = cast_like(self.total_count, odds)
        self._set_odds(odds if logits is None else None, None if logits is None else odds)
        super().__init__(self._param.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Any:
        return self.total_count * self.probs

    @property
    def mode(self) -> Any:
        return ops.clamp_max(ops.floor((self.total_count + 1) * self.probs), self.total_count)

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            return stopped(binomial(self.total_count, self.probs, shape))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        n, logits = self.total_count, self.logits
        # n log(1 + exp(logits)); a clamp would tilt the slope at logits of 0, where p is 1/2.
        normalizer = n * ops.logaddexp(logits, ops.zeros_like(logits))
        arrangements = ops.lgamma(n + 1) - ops.lgamma(value + 1) - ops.lgamma(n - value + 1)
        return value * logits + arrangements - normalizer

    def entropy(self) -> Any:
        self._one_count("`entropy`")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -ops.sum(ops.exp(log_prob) * log_prob, 0)

    def _one_count(self, user: str) -> int:
        if self._trials is not None:
            return self._trials
        counts = known_value(self.total_count)
        if counts is None:
            raise NotImplementedError(
                f"{user} needs the value of total_count, which is not known here: give it as a "
                "number or a constant tensor"
            )
        if not counts.size or counts.min() != counts.max():
            raise NotImplementedError(f"Inhomogeneous total count not supported by {user}.")
        return int(counts.max())

    def enumerate_support(self, expand: bool = True) -> Any:
        values = np.arange(1 + self._one_count("`enumerate_support`"))
        return self._along_batch(constant(values, self._param), expand)
