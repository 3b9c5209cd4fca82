"""The geometric distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.bernoulli import binary_log_prob
from jtoolbox.distributions.odds import BinaryOdds
from jtoolbox.distributions.utils import broadcast_all, known_value, shown, stopped
from jtoolbox.engine import no_grad
from jtoolbox.ops.sampling_distributions import standard_uniform

__all__ = ["Geometric"]


class Geometric(BinaryOdds):
    """The failures before the first success: k with probability (1 - p)^k p, k = 0, 1, ...

    p is `probs`, in (0, 1], or sigmoid(`logits`). (`Tensor.geometric_` counts trials, from 1.)
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._set_binary(probs, logits)
        super().__init__(self._param.shape, validate_args=validate_args)
        if self._validate_args and probs is not None:
            self._check_positive()

    def _check_positive(self) -> None:
        if not constraints.holds(constraints.positive, self.probs):
            value = known_value(self.probs)
            raise ValueError(
                f"Expected parameter probs ({type(self.probs).__name__} of shape "
                f"{tuple(self.probs.shape)}) of distribution {self!r} to be positive but found "
                f"invalid values:\n{shown(self.probs) if value is None else value[value <= 0]}"
            )

    @property
    def mean(self) -> Any:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Any:
        return ops.zeros_like(self.probs)

    @property
    def variance(self) -> Any:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            u = standard_uniform(self.probs, self._extended_shape(sample_shape))
            return stopped(ops.floor(ops.log(u) / ops.log1p(-self.probs)))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        # With p = 1 only 0 can happen: 0 * log(0) is 0.
        certain = (probs == 1) & (value == 0)
        return value * ops.log1p(-ops.where(certain, 0.0, probs)) + ops.log(self.probs)

    def entropy(self) -> Any:
        return -binary_log_prob(self.logits, self.probs) / self.probs
