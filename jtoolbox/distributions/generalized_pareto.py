"""The generalized Pareto distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import broadcast_all
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers x = loc + scale z with the survival function (1 + c z)^(-1 / c), exp(-z) for c = 0.

    c is `concentration`, of any sign; `scale` > 0. They lie above loc, and below loc - scale / c
    for c < 0. The mean is NaN for c >= 1, the variance for c >= 1/2.
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        upper = self.loc - self.scale / self.concentration
        upper = ops.where(self.concentration < 0, upper, math.inf)
        return constraints.interval(self.loc, upper)

    def _flat(self) -> tuple[Any, Any]:
        """Where c is 0, and c made harmless there."""
        flat = abs(self.concentration) <= 1e-8
        return flat, ops.where(flat, 1.0, self.concentration)

    def _log_survival(self, value: Any) -> Any:
        flat, c = self._flat()
        z = (value - self.loc) / self.scale
        return ops.where(flat, -z, -ops.log1p(c * z) / c)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return self.icdf(standard_uniform(self.loc, self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        flat, c = self._flat()
        survival = self._log_survival(value)
        return ops.where(flat, survival, (1 + c) * survival) - ops.log(self.scale)

    def log_survival_function(self, value: Any) -> Any:
        """The logarithm of the probability of a greater value."""
        if self._validate_args:
            self._validate_sample(value)
        return self._log_survival(value)

    def log_cdf(self, value: Any) -> Any:
        """The logarithm of the probability of a value up to this one."""
        return ops.log1p(-ops.exp(self.log_survival_function(value)))

    def cdf(self, value: Any) -> Any:
        return ops.exp(self.log_cdf(value))

    def icdf(self, value: Any) -> Any:
        flat, c = self._flat()
        log_survival = ops.log1p(-value)
        z = ops.where(flat, -log_survival, ops.expm1(-c * log_survival) / c)
        return self.loc + self.scale * z

    @property
    def mean(self) -> Any:
        c = self.concentration
        return self.loc + self.scale / (1 - ops.where(c < 1, c, math.nan))

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        c = self.concentration
        c = ops.where(c < 0.5, c, math.nan)
        return self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))

    def entropy(self) -> Any:
        return ops.log(self.scale) + self.concentration + 1
