"""The Kumaraswamy distribution."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import AffineTransform, PowerTransform
from jtoolbox.distributions.uniform import Uniform
from jtoolbox.distributions.utils import broadcast_all, euler_constant

__all__ = ["Kumaraswamy"]


class Kumaraswamy(TransformedDistribution):
    """Numbers in [0, 1] with the distribution function 1 - (1 - x^a)^b: close to Beta(a, b).

    `concentration1` is a, `concentration0` is b, both > 0. `mode` is ((a - 1) / (a b - 1))^(1 / a)
    for a and b of 1 or more that are not both 1, else NaN, where PyTorch 2.13 gives NaN always.
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        low, high = ops.zeros_like(self.concentration0), ops.ones_like(self.concentration0)
        transforms = [
            PowerTransform(exponent=ops.reciprocal(self.concentration0)),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=ops.reciprocal(self.concentration1)),
        ]
        base = Uniform(low, high, validate_args=False)
        super().__init__(base, transforms, validate_args=validate_args)

    def _moment(self, order: int) -> Any:
        """E[x^order] = b B(1 + order / a, b)."""
        b, arg = self.concentration0, 1 + order / self.concentration1
        return b * ops.exp(ops.lgamma(arg) + ops.lgamma(b) - ops.lgamma(arg + b))

    @property
    def mean(self) -> Any:
        return self._moment(1)

    @property
    def mode(self) -> Any:
        a, b = self.concentration1, self.concentration0
        mode = ops.pow((a - 1) / (a * b - 1), 1 / a)
        return ops.where((a < 1) | (b < 1), math.nan, mode)

    @property
    def variance(self) -> Any:
        return self._moment(2) - self.mean**2

    def entropy(self) -> Any:
        a, b = self.concentration1, self.concentration0
        harmonic = ops.digamma(b + 1) + euler_constant
        return (1 - 1 / b) + (1 - 1 / a) * harmonic - ops.log(a) - ops.log(b)
