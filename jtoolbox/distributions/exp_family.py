"""Exponential families: p(x) = exp(<eta, t(x)> - F(eta) + k(x)) with natural parameters eta."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax

from jtoolbox import autograd, ops
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.engine import enable_grad
from jtoolbox.engine.graph import Handle

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """A distribution with natural parameters, whose entropy follows from their log normalizer.

    Subclasses define `_natural_params`, `_log_normalizer(*natural)` and `_mean_carrier_measure`.
    Entropies and Cross-Entropies of Exponential Families, https://hal.science/hal-00825529
    """

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        raise NotImplementedError(f"{type(self).__name__} does not define _natural_params")

    if TYPE_CHECKING:  # families define them with their own arguments, or as constants
        _log_normalizer: Any
        _mean_carrier_measure: Any
    else:

        def _log_normalizer(self, *natural_params: Any) -> Any:
            raise NotImplementedError(f"{type(self).__name__} does not define _log_normalizer")

        @property
        def _mean_carrier_measure(self) -> Any:
            raise NotImplementedError(
                f"{type(self).__name__} does not define _mean_carrier_measure"
            )

    def entropy(self) -> Any:
        """F(eta) - <eta, F'(eta)> - E[k(x)], with F' by automatic differentiation."""
        natural, normalizer, slopes = normalizer_and_slopes(self)
        result = normalizer - self._mean_carrier_measure
        for eta, slope in zip(natural, slopes, strict=True):
            inner = eta * slope
            result = result - ops.sum(ops.reshape(inner, (*self._batch_shape, -1)), -1)
        return result


def normalizer_and_slopes(family: ExponentialFamily) -> tuple[tuple[Any, ...], Any, Any]:
    """The natural parameters of a family, its log normalizer there, and the derivative for each.

    As in PyTorch, the natural parameters are leaves: gradients of the result reach them only.
    """
    natural = family._natural_params
    if not isinstance(natural[0], Handle):
        places = tuple(range(len(natural)))
        slopes = jax.grad(lambda *eta: ops.sum(family._log_normalizer(*eta)), places)(*natural)
        return natural, family._log_normalizer(*natural), slopes
    with enable_grad():
        natural = tuple(p.detach().requires_grad_() for p in natural)
        normalizer = family._log_normalizer(*natural)
        slopes = autograd.grad(ops.sum(normalizer), natural, create_graph=True)
    return natural, normalizer, slopes
