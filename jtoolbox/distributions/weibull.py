"""The Weibull distribution."""

from __future__ import annotations

from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.exponential import Exponential
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import AffineTransform, PowerTransform
from jtoolbox.distributions.utils import broadcast_all, euler_constant

__all__ = ["Weibull"]


class Weibull(TransformedDistribution):
    """Positive numbers with the distribution function 1 - exp(-(x / scale)^concentration).

    `scale` and `concentration` are > 0.
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = ops.reciprocal(self.concentration)
        base = Exponential(ops.ones_like(self.scale), validate_args=validate_args)
        transforms = [
            PowerTransform(exponent=self.concentration_reciprocal),
            AffineTransform(loc=0, scale=self.scale),
        ]
        super().__init__(base, transforms, validate_args=validate_args)

    def _trailing(self) -> dict[str, int]:
        return {**super()._trailing(), "concentration_reciprocal": 0}

    def _log_moment(self, order: int) -> Any:
        """log E[(x / scale)^order]."""
        return ops.lgamma(1 + order * self.concentration_reciprocal)

    @property
    def mean(self) -> Any:
        return self.scale * ops.exp(self._log_moment(1))

    @property
    def mode(self) -> Any:
        a = self.concentration
        return self.scale * ops.pow((a - 1) / a, self.concentration_reciprocal)

    @property
    def variance(self) -> Any:
        spread = ops.exp(self._log_moment(2)) - ops.exp(2 * self._log_moment(1))
        return self.scale**2 * spread

    def entropy(self) -> Any:
        inverse = self.concentration_reciprocal
        return euler_constant * (1 - inverse) + ops.log(self.scale * inverse) + 1
