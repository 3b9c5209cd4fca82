"""The Dirichlet distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.utils import cast_like
from jtoolbox.nn import functional as F
from jtoolbox.ops.sampling_distributions import dirichlet

__all__ = ["Dirichlet"]


class Dirichlet(ExponentialFamily):
    """Points x of the simplex with density proportional to the product of x_i^(a_i - 1).

    `concentration` (*, K) holds a > 0. Samples carry implicit gradients, through the gamma numbers
    that they are made of: another unbiased estimate than PyTorch's, which goes through the beta
    distributions of the components.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Any, validate_args: bool | None = None):
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = tuple(concentration.shape)
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / ops.sum(self.concentration, -1, keepdim=True)

    @property
    def mode(self) -> Any:
        excess = ops.clamp(self.concentration - 1, min=0)
        inside = excess / ops.sum(excess, -1, keepdim=True)
        # With all concentrations below 1 every corner is a mode; PyTorch names the first.
        corner = F.one_hot(ops.argmax(inside, -1), self.concentration.shape[-1])
        vertex = ops.all(self.concentration < 1, -1, keepdim=True)
        return ops.where(vertex, cast_like(corner, inside), inside)

    @property
    def variance(self) -> Any:
        total = ops.sum(self.concentration, -1, keepdim=True)
        return self.concentration * (total - self.concentration) / (total**2 * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return dirichlet(self.concentration, self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return (
            ops.sum(ops.xlogy(a - 1, value), -1)
            + ops.lgamma(ops.sum(a, -1))
            - ops.sum(ops.lgamma(a), -1)
        )

    def entropy(self) -> Any:
        a, k = self.concentration, self.concentration.shape[-1]
        total = ops.sum(a, -1)
        return (
            ops.sum(ops.lgamma(a), -1)
            - ops.lgamma(total)
            - (k - total) * ops.digamma(total)
            - ops.sum((a - 1) * ops.digamma(a), -1)
        )

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return (self.concentration,)

    def _log_normalizer(self, x: Any) -> Any:
        return ops.sum(ops.lgamma(x), -1) - ops.lgamma(ops.sum(x, -1))
