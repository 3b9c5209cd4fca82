"""The log-normal distribution."""

from __future__ import annotations

from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.normal import Normal
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import ExpTransform

__all__ = ["LogNormal"]


class LogNormal(TransformedDistribution):
    """exp(x) of a normal x: `loc` and `scale` > 0 are mean and deviation of the logarithm."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    has_rsample = True
    base_dist: Normal

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None):
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Any:
        """The mean of the logarithm."""
        return self.base_dist.loc

    @property
    def scale(self) -> Any:
        """The standard deviation of the logarithm."""
        return self.base_dist.scale

    @property
    def mean(self) -> Any:
        return ops.exp(self.loc + self.scale**2 / 2)

    @property
    def mode(self) -> Any:
        return ops.exp(self.loc - self.scale**2)

    @property
    def variance(self) -> Any:
        squared = self.scale**2
        return ops.expm1(squared) * ops.exp(2 * self.loc + squared)

    def entropy(self) -> Any:
        return self.base_dist.entropy() + self.loc
