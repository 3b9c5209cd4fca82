"""The gamma distribution."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Number
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.utils import broadcast_all, cast_like, constant, is_array
from jtoolbox.ops.distribution_functions import gammainc
from jtoolbox.ops.sampling_distributions import standard_gamma

__all__ = ["Gamma"]


class Gamma(ExponentialFamily):
    """Nonnegative numbers of density rate^a x^(a - 1) exp(-rate x) / gamma(a), a = `concentration`.

    `concentration` and `rate` are > 0. Samples carry implicit gradients to the concentration.
    `cdf` is differentiable in it too, where PyTorch has no derivative.
    """

    arg_constraints = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None):
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.rate

    @property
    def mode(self) -> Any:
        return ops.clamp((self.concentration - 1) / self.rate, min=0)

    @property
    def variance(self) -> Any:
        return self.concentration / self.rate**2

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return standard_gamma(self.concentration, self._extended_shape(sample_shape)) / self.rate

    def log_prob(self, value: Any) -> Any:
        # The only distribution of PyTorch's that takes a number, or brings a value to its type.
        value = constant(value, self.rate) if isinstance(value, Number) else value
        value = cast_like(value, self.rate) if is_array(value) else value
        if self._validate_args:
            self._validate_sample(value)
        return (
            ops.xlogy(self.concentration, self.rate)
            + ops.xlogy(self.concentration - 1, value)
            - self.rate * value
            - ops.lgamma(self.concentration)
        )

    def cdf(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return gammainc(self.concentration, self.rate * value)

    def entropy(self) -> Any:
        a = self.concentration
        return a - ops.log(self.rate) + ops.lgamma(a) + (1 - a) * ops.digamma(a)

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return self.concentration - 1, -self.rate

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        return ops.lgamma(x + 1) + (x + 1) * ops.log(-ops.reciprocal(y))

    _mean_carrier_measure = 0
