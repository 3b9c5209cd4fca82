"""The relaxed categorical (concrete, Gumbel-softmax) distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.categorical import Categorical, OverCategorical
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import ExpTransform
from jtoolbox.distributions.utils import broadcast_all, clamp_probs
from jtoolbox.nn import functional as F
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["ExpRelaxedCategorical", "RelaxedOneHotCategorical"]


class ExpRelaxedCategorical(OverCategorical):
    """The logarithm of a relaxed one-hot vector: log softmax((logits + Gumbel noise) / temperature)

    `probs` are those of the categories at temperature 0.

    The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables,
    https://arxiv.org/abs/1611.00712
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        self.temperature = temperature
        super().__init__(Categorical(probs, logits), validate_args)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        u = standard_uniform(self.logits, self._extended_shape(sample_shape))
        gumbel = -ops.log(-ops.log(clamp_probs(u)))
        scores = (self.logits + gumbel) / self.temperature
        return scores - ops.logsumexp(scores, -1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        k = self._event_shape[0]
        logits, value = broadcast_all(self.logits, value)
        (temperature,) = broadcast_all(self.temperature)
        scale = ops.lgamma(ops.full_like(temperature, k)) + (k - 1) * ops.log(temperature)
        return ops.sum(F.log_softmax(logits - value * self.temperature, -1), -1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """Points of the simplex that are differentiable in `probs` or `logits`.

    They are near one-hot vectors for a small `temperature` > 0.

    Categorical Reparametrization with Gumbel-Softmax, https://arxiv.org/abs/1611.01144
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True
    base_dist: ExpRelaxedCategorical

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Any:
        """How far the points may lie from one-hot vectors."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        """The logarithms of the probabilities."""
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        """The probabilities of the categories at temperature 0."""
        return self.base_dist.probs
