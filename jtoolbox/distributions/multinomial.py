"""The multinomial distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.binomial import Binomial
from jtoolbox.distributions.categorical import Categorical, OverCategorical
from jtoolbox.distributions.utils import broadcast_all, cast_like
from jtoolbox.engine import no_grad
from jtoolbox.nn import functional as F

__all__ = ["Multinomial"]


class Multinomial(OverCategorical):
    """How often each of K categories comes in `total_count` draws.

    `total_count` is one int for all (NotImplementedError otherwise); `probs` (*, K) or `logits`
    (*, K) as for Categorical. A sample draws all of them: its cost grows with `total_count`.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        super().__init__(Categorical(probs, logits, validate_args=validate_args), validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Any:
        return self.probs * self.total_count

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            drawn = self._categorical.sample((self.total_count, *sample_shape))
            counts = ops.sum(F.one_hot(drawn, self._event_shape[0]), 0)
            return cast_like(counts, self._param)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        # A category of probability 0 that did not come adds 0, not 0 * -inf.
        logits = ops.where((value == 0) & (logits == -float("inf")), 0.0, logits)
        arrangements = ops.lgamma(ops.sum(value, -1) + 1) - ops.sum(ops.lgamma(value + 1), -1)
        return arrangements + ops.sum(logits * value, -1)

    def entropy(self) -> Any:
        n = self.total_count
        count = Binomial(n, probs=self.probs, validate_args=False)
        support = count.enumerate_support(False)[1:]
        repeats = ops.sum(ops.exp(count.log_prob(support)) * ops.lgamma(support + 1), (0, -1))
        return n * self._categorical.entropy() - math.lgamma(n + 1) + repeats
