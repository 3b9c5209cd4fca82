"""The von Mises distribution of angles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import broadcast_all, stopped
from jtoolbox.engine import no_grad
from jtoolbox.ops.distribution_functions import log_bessel_0, log_bessel_1
from jtoolbox.ops.sampling_distributions import von_mises

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles in [-pi, pi) of density exp(concentration cos(x - loc)) / (2 pi I0(concentration)).

    `loc` is an angle in radians, `concentration` > 0. `variance` is the circular one,
    1 - I1(concentration) / I0(concentration). A sample of angle pi comes out as -pi.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        ratio = log_bessel_1(self.concentration) - log_bessel_0(self.concentration)
        return 1 - ops.exp(ratio)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            angle = von_mises(self.concentration, self._extended_shape(sample_shape))
            return stopped((angle + math.pi + self.loc) % (2 * math.pi) - math.pi)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        height = self.concentration * ops.cos(value - self.loc)
        return height - math.log(2 * math.pi) - log_bessel_0(self.concentration)
