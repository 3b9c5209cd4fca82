"""The continuous Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.bernoulli import binary_log_prob
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.odds import BinaryOdds
from jtoolbox.distributions.utils import clamp_probs
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(BinaryOdds, ExponentialFamily):
    """Numbers in [0, 1] of density C(p) p^x (1 - p)^(1 - x), with p as `probs` or from `logits`.

    Between the two `lims`, where the formulas lose all digits at p = 1/2, they are Taylor series
    around it. The continuous Bernoulli: fixing a pervasive error in variational autoencoders,
    https://arxiv.org/abs/1907.06845
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ):
        self._set_binary(probs, logits)
        self._lims = lims
        if logits is None:
            inside = constraints.holds(constraints.unit_interval, self.probs)
            # As in PyTorch: looked at only where `validate_args` is given, even as False.
            if validate_args is not None and not inside:
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
        super().__init__(self._param.shape, validate_args=validate_args)

    def _split(self) -> tuple[Any, Any, Any]:
        """Where the formulas are stable, p there (a harmless value elsewhere), and p - 1/2."""
        low, high = self._lims
        stable = (self.probs <= low) | (self.probs > high)
        return stable, ops.where(stable, self.probs, low), self.probs - 0.5

    def _log_normalizing_constant(self) -> Any:
        """log C(p), C = 2 atanh(1 - 2p) / (1 - 2p)."""
        stable, p, x = self._split()
        below = ops.where(p <= 0.5, p, 0.0)
        above = ops.where(p >= 0.5, p, 1.0)
        width = ops.where(p <= 0.5, ops.log1p(-2 * below), ops.log(2 * above - 1))
        value = ops.log(abs(ops.log1p(-p) - ops.log(p))) - width
        return ops.where(stable, value, math.log(2) + (4 / 3 + 104 / 45 * x**2) * x**2)

    @property
    def mean(self) -> Any:
        stable, p, x = self._split()
        value = p / (2 * p - 1) + 1 / (ops.log1p(-p) - ops.log(p))
        return ops.where(stable, value, 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self) -> Any:
        stable, p, x = self._split()
        value = p * (p - 1) / (1 - 2 * p) ** 2 + 1 / (ops.log1p(-p) - ops.log(p)) ** 2
        return ops.where(stable, value, 1 / 12 - (1 / 15 - 128 / 945 * x**2) * x**2)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        return self.icdf(standard_uniform(self.probs, self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return binary_log_prob(self.logits, value) + self._log_normalizing_constant()

    def cdf(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        stable, p, _ = self._split()
        power = ops.pow(p, value) * ops.pow(1 - p, 1 - value) + p - 1
        inner = ops.where(stable, power / (2 * p - 1), value)
        return ops.where(value <= 0, 0.0, ops.where(value >= 1, 1.0, inner))

    def icdf(self, value: Any) -> Any:
        stable, p, _ = self._split()
        top = ops.log1p(-p + value * (2 * p - 1)) - ops.log1p(-p)
        return ops.where(stable, top / (ops.log(p) - ops.log1p(-p)), value)

    def entropy(self) -> Any:
        no = ops.log1p(-self.probs)
        return self.mean * (no - ops.log(self.probs)) - self._log_normalizing_constant() - no

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Any:
        """log((exp(x) - 1) / x), a Taylor series around 0."""
        low, high = self._lims
        stable = (x <= low - 0.5) | (x > high - 0.5)
        far = ops.where(stable, x, (low - 0.5) * ops.ones_like(x))
        value = ops.log(abs(ops.expm1(far))) - ops.log(abs(far))
        return ops.where(stable, value, 0.5 * x + x**2 / 24 - x**4 / 2880)
