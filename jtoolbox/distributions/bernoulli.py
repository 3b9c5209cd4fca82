"""The Bernoulli distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import dtypes, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.odds import BinaryOdds
from jtoolbox.distributions.utils import broadcast_all, cast_like, constant, stopped
from jtoolbox.engine import no_grad
from jtoolbox.nn import functional as F

__all__ = ["Bernoulli", "binary_log_prob"]


def binary_log_prob(logits: Any, value: Any) -> Any:
    """value log p + (1 - value) log(1 - p), from the logits of p."""
    logits, value = broadcast_all(logits, value)
    dtype: Any = dtypes.as_numpy(value.dtype)
    if dtypes.kind(dtype) < 2:
        value = cast_like(value, logits)
    return -F.binary_cross_entropy_with_logits(logits, value, reduction="none")


class Bernoulli(BinaryOdds, ExponentialFamily):
    """1 with probability `probs`, or sigmoid(`logits`), else 0. Give one of the two."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._set_binary(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        mode = cast_like(self.probs >= 0.5, self.probs)
        return ops.where(self.probs == 0.5, math.nan, mode)

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            probs = ops.expand(self.probs, self._extended_shape(sample_shape))
            return stopped(ops.bernoulli(probs))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        return binary_log_prob(self.logits, value)

    def entropy(self) -> Any:
        return -binary_log_prob(self.logits, self.probs)

    def enumerate_support(self, expand: bool = True) -> Any:
        return self._along_batch(constant([0, 1], self._param), expand)

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return (ops.logit(self.probs),)

    def _log_normalizer(self, x: Any) -> Any:
        return F.softplus(x)

    _mean_carrier_measure = 0
