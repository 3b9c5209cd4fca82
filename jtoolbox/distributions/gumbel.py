"""The Gumbel distribution."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import AffineTransform, ExpTransform
from jtoolbox.distributions.uniform import Uniform
from jtoolbox.distributions.utils import broadcast_all, euler_constant, limits

__all__ = ["Gumbel"]


class Gumbel(TransformedDistribution):
    """Numbers with the distribution function exp(-exp(-(x - loc) / scale)); `scale` > 0.

    The limit of the largest of many numbers: loc - scale log(-log(u)) of a uniform u.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        self.loc, self.scale = broadcast_all(loc, scale)
        kind = limits(self.loc)
        low = ops.full_like(self.loc, float(kind.tiny))
        high = ops.full_like(self.loc, 1 - float(kind.eps))
        transforms = [
            ExpTransform().inv,
            AffineTransform(loc=0, scale=-1.0),
            ExpTransform().inv,
            AffineTransform(loc=self.loc, scale=-self.scale),
        ]
        base = Uniform(low, high, validate_args=False)
        super().__init__(base, transforms, validate_args=validate_args)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return y - ops.exp(y) - ops.log(self.scale)

    @property
    def mean(self) -> Any:
        return self.loc + self.scale * euler_constant

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def stddev(self) -> Any:
        return math.pi / math.sqrt(6) * self.scale

    @property
    def variance(self) -> Any:
        return self.stddev**2

    def entropy(self) -> Any:
        return ops.log(self.scale) + (1 + euler_constant)
