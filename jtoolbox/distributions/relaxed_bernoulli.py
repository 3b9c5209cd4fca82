"""The relaxed Bernoulli (binary concrete) distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.odds import BinaryOdds
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import SigmoidTransform
from jtoolbox.distributions.utils import broadcast_all, clamp_probs
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["LogitRelaxedBernoulli", "RelaxedBernoulli"]


class LogitRelaxedBernoulli(BinaryOdds):
    """The logit of a relaxed Bernoulli number: (logits + logistic noise) / temperature.

    The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables,
    https://arxiv.org/abs/1611.00712
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        self.temperature = temperature
        self._set_binary(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        probs = clamp_probs(ops.expand(self.probs, self._extended_shape(sample_shape)))
        u = clamp_probs(standard_uniform(probs, tuple(probs.shape)))
        noise = ops.log(u) - ops.log1p(-u)
        return (noise + ops.log(probs) - ops.log1p(-probs)) / self.temperature

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        difference = logits - value * self.temperature
        log_temperature = ops.log(*broadcast_all(self.temperature))
        return log_temperature + difference - 2 * ops.log1p(ops.exp(difference))


class RelaxedBernoulli(TransformedDistribution):
    """Numbers in (0, 1) that are differentiable in `probs` or `logits`, near 0 and 1 for a small
    `temperature` > 0.

    Categorical Reparametrization with Gumbel-Softmax, https://arxiv.org/abs/1611.01144
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    base_dist: LogitRelaxedBernoulli

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Any:
        """How far the numbers may lie from 0 and 1."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        """The logarithm of the odds."""
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        """The probability of 1 at temperature 0."""
        return self.base_dist.probs
