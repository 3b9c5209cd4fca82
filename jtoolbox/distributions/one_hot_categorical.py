"""The categorical distribution over one-hot vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.categorical import Categorical, OverCategorical
from jtoolbox.distributions.utils import cast_like, constant, stopped
from jtoolbox.nn import functional as F

__all__ = ["OneHotCategorical", "OneHotCategoricalStraightThrough"]


class OneHotCategorical(OverCategorical):
    """A vector of K numbers, one of them 1 with the probability of its place, the others 0.

    `probs` (*, K) are weights, which are normalized; `logits` (*, K) their logarithms up to a
    constant. Give one of the two.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        categorical = Categorical(probs, logits, validate_args=validate_args)
        super().__init__(categorical, validate_args)

    @property
    def mean(self) -> Any:
        return self._categorical.probs

    @property
    def mode(self) -> Any:
        return self._vectors(self._categorical.mode)

    @property
    def variance(self) -> Any:
        return self._categorical.probs * (1 - self._categorical.probs)

    def _vectors(self, places: Any) -> Any:
        return cast_like(F.one_hot(places, self._event_shape[0]), self._param)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        return self._vectors(self._categorical.sample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(ops.argmax(value, -1))

    def entropy(self) -> Any:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Any:
        n = self._event_shape[0]
        values = constant(np.eye(n), self._param)
        values = ops.reshape(values, (n, *(1,) * len(self._batch_shape), n))
        return ops.expand(values, (n, *self._batch_shape, n)) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """OneHotCategorical whose samples pass gradients straight on to the probabilities.

    Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation,
    https://arxiv.org/abs/1308.3432
    """

    has_rsample = True

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        probs = self._categorical.probs
        constant = probs.detach() if hasattr(probs, "detach") else stopped(probs)
        return self.sample(sample_shape) + (probs - constant)
