"""The beta distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.dirichlet import Dirichlet
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.utils import broadcast_all

__all__ = ["Beta"]


class Beta(ExponentialFamily):
    """Numbers in [0, 1] of density proportional to x^(a - 1) (1 - x)^(b - 1).

    `concentration1` is a, `concentration0` is b, both > 0. Samples carry implicit gradients.
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None):
        self._pair = broadcast_all(concentration1, concentration0)
        self._dirichlet = Dirichlet(ops.stack(self._pair, -1), validate_args=False)
        super().__init__(self._dirichlet.batch_shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._dirichlet = self._dirichlet.expand(batch_shape)
        new._pair = tuple(ops.expand(p, tuple(batch_shape)) for p in self._pair)
        return new

    @property
    def concentration1(self) -> Any:
        """The power of x, plus one."""
        return self._pair[0]

    @property
    def concentration0(self) -> Any:
        """The power of 1 - x, plus one."""
        return self._pair[1]

    @property
    def mean(self) -> Any:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Any:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Any:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return self._dirichlet.log_prob(ops.stack([value, 1 - value], -1))

    def entropy(self) -> Any:
        return self._dirichlet.entropy()

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return self.concentration1, self.concentration0

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        return ops.lgamma(x) + ops.lgamma(y) - ops.lgamma(x + y)
