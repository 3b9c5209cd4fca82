"""The categorical distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import dtypes, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.odds import Odds, vectors_of
from jtoolbox.distributions.utils import constant, limits, stopped
from jtoolbox.engine import no_grad
from jtoolbox.ops.conversion import cast
from jtoolbox.tensor import Size

__all__ = ["Categorical", "OverCategorical"]


class Categorical(Odds):
    """A category 0 ... K - 1, as int64, with the probabilities in the last dimension.

    `probs` (*, K) are nonnegative weights, which are normalized; `logits` (*, K) their logarithms
    up to a constant. Give one of the two. Mean and variance are NaN.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._set_odds(*vectors_of(probs, logits))
        self._num_events = self._param.shape[-1]
        super().__init__(tuple(self._param.shape)[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Any:
        return self._undefined()

    @property
    def mode(self) -> Any:
        return ops.argmax(self.probs, -1)

    @property
    def variance(self) -> Any:
        return self._undefined()

    def _undefined(self) -> Any:
        return ops.full_like(self._param[..., 0], float("nan"))

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            rows = ops.reshape(self.probs, (-1, self._num_events))
            drawn = ops.multinomial(rows, Size(sample_shape).numel(), True)
            return stopped(ops.reshape(ops.transpose(drawn, 0, 1), shape))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        place = ops.unsqueeze(cast(value, dtypes.int64), -1)
        shape = ops.broadcast_shapes(tuple(value.shape), self._batch_shape)
        place = ops.expand(place, (*shape, 1))
        logits = ops.expand(self.logits, (*shape, self._num_events))
        return ops.squeeze(ops.gather(logits, -1, place), -1)

    def entropy(self) -> Any:
        # log 0 is -inf, whose product with its probability 0 is to be 0.
        logits = ops.clamp(self.logits, min=float(limits(self.logits).min))
        return -ops.sum(logits * self.probs, -1)

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._along_batch(
            constant(range(self._num_events), self._param, dtypes.int64), expand
        )


class OverCategorical(Distribution):
    """A distribution over vectors of K numbers that has its probabilities from a `Categorical`."""

    def __init__(self, categorical: Categorical, validate_args: bool | None = None):
        self._categorical = categorical
        event_shape = categorical.param_shape[-1:]
        super().__init__(categorical.batch_shape, event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @property
    def probs(self) -> Any:
        """The probabilities of the categories."""
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        """The logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def _param(self) -> Any:
        return self._categorical._param

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and `logits`."""
        return self._categorical.param_shape
