"""Mixtures of distributions of one family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.categorical import Categorical
from jtoolbox.distributions.constraints import MixtureSameFamilyConstraint
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import stopped
from jtoolbox.engine import no_grad
from jtoolbox.nn import functional as F
from jtoolbox.tensor import Size

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """One of K components, chosen by a Categorical, gives the sample.

    `component_distribution` has the components in its last batch dimension: batch_shape (*, K).
    ValueError where the mixture's shape (*, K) does not fit it.
    """

    arg_constraints = {}
    has_rsample = False

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ):
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        _check_mixture(mixture_distribution, component_distribution)
        self._num_component = component_distribution.batch_shape[-1]
        event = component_distribution.event_shape
        self._event_ndims = len(event)
        batch = component_distribution.batch_shape[:-1]
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        shape = Size(batch_shape)
        new._component_distribution = self.component_distribution.expand(
            (*shape, self._num_component)
        )
        new._mixture_distribution = self.mixture_distribution.expand(shape)
        return new

    @constraints.dependent_property
    def support(self) -> Any:
        return MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution of the component's number."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    def _weights(self) -> Any:
        """The probabilities of the components, beside their events."""
        probs = self.mixture_distribution.probs
        return ops.reshape(probs, (*probs.shape, *(1,) * self._event_ndims))

    def _along(self) -> int:
        """The dimension of the components, in tensors with events."""
        return -1 - self._event_ndims

    @property
    def mean(self) -> Any:
        return ops.sum(self._weights() * self.component_distribution.mean, self._along())

    @property
    def variance(self) -> Any:
        component, dim = self.component_distribution, self._along()
        inside = ops.sum(self._weights() * component.variance, dim)
        distance = component.mean - ops.unsqueeze(self.mean, dim)
        return inside + ops.sum(self._weights() * distance**2, dim)

    def _padded(self, value: Any) -> Any:
        return ops.unsqueeze(value, self._along())

    def cdf(self, x: Any) -> Any:  # type: ignore[override]
        cdf = self.component_distribution.cdf(self._padded(x))
        return ops.sum(cdf * self.mixture_distribution.probs, -1)

    def log_prob(self, x: Any) -> Any:  # type: ignore[override]
        if self._validate_args:
            self._validate_sample(x)
        log_prob = self.component_distribution.log_prob(self._padded(x))
        log_mix = F.log_softmax(self.mixture_distribution.logits, -1)
        return ops.logsumexp(log_prob + log_mix, -1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            number = self.mixture_distribution.sample(sample_shape)
            samples = self.component_distribution.sample(sample_shape)
            dim, event = self._along(), tuple(self._event_shape)
            place = ops.reshape(number, (*number.shape, 1, *(1,) * len(event)))
            batch = tuple(samples.shape)[: samples.ndim + dim]
            place = ops.expand(place, (*batch, 1, *event))
            return stopped(ops.squeeze(ops.gather(samples, dim, place), dim))

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )


def _check_mixture(mixture: Any, component: Any) -> None:
    if not isinstance(mixture, Categorical):
        raise ValueError(
            "The Mixture distribution needs to be an instance of torch.distributions.Categorical, "
            f"got {type(mixture).__name__}"
        )
    if not isinstance(component, Distribution):
        raise ValueError(
            "The Component distribution needs to be an instance of "
            f"torch.distributions.Distribution, got {type(component).__name__}"
        )
    if not component.batch_shape:
        raise IndexError(
            "tuple index out of range: the components are the last batch dimension of "
            f"component_distribution, and {component} has none"
        )
    ours, theirs = mixture.batch_shape, component.batch_shape[:-1]
    pairs = zip(reversed(ours), reversed(theirs), strict=False)
    if any(i != 1 and j != 1 and i != j for i, j in pairs):
        raise ValueError(
            f"`mixture_distribution.batch_shape` ({ours}) is not compatible with "
            f"`component_distribution.batch_shape`({theirs})"
        )
    km, kc = mixture.param_shape[-1], component.batch_shape[-1]
    if km != kc:
        raise ValueError(
            f"`mixture_distribution component` ({km}) does not equal "
            f"`component_distribution.batch_shape[-1]` ({kc})"
        )
