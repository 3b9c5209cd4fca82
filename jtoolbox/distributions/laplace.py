"""The Laplace (double exponential) distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import broadcast_all
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["Laplace"]


class Laplace(Distribution):
    """Numbers of density exp(-|x - loc| / scale) / (2 scale); `scale` > 0."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = broadcast_all(loc, scale)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return 2 * self.scale**2

    @property
    def stddev(self) -> Any:
        return math.sqrt(2) * self.scale

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        u = standard_uniform(self.loc, self._extended_shape(sample_shape))
        # Both tails from a uniform number of one sign each: log(2u) below, -log(2 - 2u) above.
        low = ops.log(2 * u)
        high = -ops.log(2 - 2 * u)
        return self.loc + self.scale * ops.where(u < 0.5, low, high)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return -ops.log(2 * self.scale) - abs(value - self.loc) / self.scale

    def cdf(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        distance = value - self.loc
        return 0.5 - 0.5 * ops.sign(distance) * ops.expm1(-abs(distance) / self.scale)

    def icdf(self, value: Any) -> Any:
        term = value - 0.5
        return self.loc - self.scale * ops.sign(term) * ops.log1p(-2 * abs(term))

    def entropy(self) -> Any:
        return 1 + ops.log(2 * self.scale)
