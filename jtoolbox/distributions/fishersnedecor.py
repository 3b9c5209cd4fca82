"""The Fisher-Snedecor (F) distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.gamma import Gamma
from jtoolbox.distributions.utils import broadcast_all, limits

__all__ = ["FisherSnedecor"]


class FisherSnedecor(Distribution):
    """The ratio of a Chi2(df1) number over df1 to a Chi2(df2) number over df2.

    `df1` and `df2` are > 0. The mean is NaN for df2 <= 2, the variance for df2 <= 4.
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None):
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, validate_args=validate_args)

    def _above(self, bound: float) -> Any:
        """df2, and NaN where it is not greater than `bound`."""
        return ops.where(self.df2 > bound, self.df2, math.nan)

    @property
    def mean(self) -> Any:
        df2 = self._above(2)
        return df2 / (df2 - 2)

    @property
    def mode(self) -> Any:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return ops.where(self.df1 > 2, mode, math.nan)

    @property
    def variance(self) -> Any:
        df2 = self._above(4)
        return 2 * df2**2 * (self.df1 + df2 - 2) / (self.df1 * (df2 - 2) ** 2 * (df2 - 4))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        shape = Gamma(self.df1 * 0.5, self.df1, validate_args=False).rsample(sample_shape)
        other = Gamma(self.df2 * 0.5, self.df2, validate_args=False).rsample(sample_shape)
        tiny = float(limits(other).tiny)
        return ops.clamp(shape / ops.clamp(other, min=tiny), min=tiny)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        half1, half2 = self.df1 * 0.5, self.df2 * 0.5
        ratio = self.df1 / self.df2
        normalizer = ops.lgamma(half1 + half2) - ops.lgamma(half1) - ops.lgamma(half2)
        power = half1 * ops.log(ratio) + (half1 - 1) * ops.log(value)
        return normalizer + power - (half1 + half2) * ops.log1p(ratio * value)
