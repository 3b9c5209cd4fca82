"""Student's t distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.chi2 import Chi2
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import broadcast_all
from jtoolbox.ops.sampling_distributions import standard_normal

__all__ = ["StudentT"]


def _log_beta_half(df: Any) -> Any:
    """log B(1/2, df/2)."""
    return ops.lgamma(0.5 * df) + 0.5 * math.log(math.pi) - ops.lgamma(0.5 * (df + 1))


class StudentT(Distribution):
    """loc + scale z / sqrt(c / df) of a standard normal z and a Chi2(df) number c.

    `df` > 0 are the degrees of freedom, `scale` > 0. The mean is NaN for df <= 1, the variance
    infinite for df <= 2 and NaN for df <= 1.
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return ops.where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        # The denominator is made harmless where it is not used, so that gradients are.
        finite = self.df > 2
        safe = ops.where(finite, self.df, 3.0)
        value = self.scale**2 * safe / (safe - 2)
        return ops.where(finite, value, ops.where(self.df > 1, math.inf, math.nan))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        z = standard_normal(self.loc, shape)
        c = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * z * ops.rsqrt(c / self.df)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        y = (value - self.loc) / self.scale
        normalizer = ops.log(self.scale) + 0.5 * ops.log(self.df) + _log_beta_half(self.df)
        return -0.5 * (self.df + 1) * ops.log1p(y**2 / self.df) - normalizer

    def entropy(self) -> Any:
        half = 0.5 * (self.df + 1)
        spread = half * (ops.digamma(half) - ops.digamma(0.5 * self.df))
        return ops.log(self.scale) + spread + 0.5 * ops.log(self.df) + _log_beta_half(self.df)
