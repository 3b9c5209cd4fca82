"""The normal distribution of vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import linalg, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import constant, lazy_property
from jtoolbox.ops.sampling_distributions import standard_normal

__all__ = ["MatrixForms", "MultivariateNormal", "batch_mahalanobis", "chosen_matrix", "factor_of"]

_ONE_OF_THREE = (
    "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
)


def batch_mahalanobis(factor: Any, x: Any) -> Any:
    """x^T (L L^T)^-1 x for the lower factors L (*, D, D) and vectors x (*, D), broadcast."""
    batch = ops.broadcast_shapes(tuple(factor.shape)[:-2], tuple(x.shape)[:-1])
    column = ops.expand(x, (*batch, x.shape[-1]))[..., None]
    factor = ops.expand(factor, (*batch, *factor.shape[-2:]))
    return ops.sum(linalg.solve_triangular(factor, column, upper=False) ** 2, (-2, -1))


def precision_to_scale_tril(precision: Any) -> Any:
    """The lower factor of the inverse of a matrix, from the factor of the matrix itself.

    With J reversing the order of rows, J P J = L L^T gives P^-1 = M M^T for M = (J L^T J)^-1.
    """
    factor = linalg.cholesky(ops.flip(precision, (-2, -1)))
    upper = ops.transpose(ops.flip(factor, (-2, -1)), -2, -1)
    identity = constant(np.eye(precision.shape[-1]), precision)
    return linalg.solve_triangular(upper, identity, upper=False)


def factor_of(name: str, matrix: Any) -> Any:
    """The lower Cholesky factor of the covariance that a form of it stands for."""
    if name == "covariance_matrix":
        return linalg.cholesky(matrix)
    return precision_to_scale_tril(matrix) if name == "precision_matrix" else matrix


class MatrixForms(Distribution):
    """A distribution with a matrix given in one of three forms; the others follow from the factor
    of the covariance, `_unbroadcasted_scale_tril`."""

    _unbroadcasted_scale_tril: Any

    def _full(self, matrix: Any) -> Any:
        return ops.expand(matrix, (*self._batch_shape, *matrix.shape[-2:]))

    @lazy_property
    def scale_tril(self) -> Any:
        """The lower factor L with covariance L L^T."""
        return self._full(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Any:
        """The covariance L L^T."""
        factor = self._unbroadcasted_scale_tril
        return self._full(factor @ ops.transpose(factor, -2, -1))

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance."""
        return self._full(ops.cholesky_inverse(self._unbroadcasted_scale_tril))


def chosen_matrix(covariance: Any, precision: Any, tril: Any) -> tuple[str, Any]:
    """The name and value of the only one of three that is given; ValueError otherwise."""
    forms = {
        "covariance_matrix": covariance,
        "precision_matrix": precision,
        "scale_tril": tril,
    }
    given = [(name, matrix) for name, matrix in forms.items() if matrix is not None]
    if len(given) != 1:
        raise ValueError(_ONE_OF_THREE)
    return given[0]


class MultivariateNormal(MatrixForms):
    """Vectors of mean `loc` (*, D) and a covariance (*, D, D), which is positive definite.

    Give one of `covariance_matrix`, its inverse `precision_matrix`, and its lower Cholesky factor
    `scale_tril`, which is what computations use; the others are computed when asked for.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ):
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = chosen_matrix(covariance_matrix, precision_matrix, scale_tril)
        if matrix.ndim < 2:
            label = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(
                f"{label} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = ops.broadcast_shapes(tuple(matrix.shape)[:-2], tuple(loc.shape)[:-1])
        self.loc = ops.expand(loc, (*batch, loc.shape[-1]))
        setattr(self, name, ops.expand(matrix, (*batch, *matrix.shape[-2:])))
        super().__init__(batch, tuple(loc.shape)[-1:], validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        squares = ops.sum(self._unbroadcasted_scale_tril**2, -1)
        return ops.expand(squares, self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        noise = standard_normal(self.loc, self._extended_shape(sample_shape))
        return self.loc + (self._unbroadcasted_scale_tril @ noise[..., None])[..., 0]

    def _half_log_det(self) -> Any:
        diagonal = ops.diagonal(self._unbroadcasted_scale_tril, 0, -2, -1)
        return ops.sum(ops.log(diagonal), -1)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        distance = batch_mahalanobis(self._unbroadcasted_scale_tril, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + distance) - self._half_log_det()

    def entropy(self) -> Any:
        constant = 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi))
        return ops.expand(constant + self._half_log_det(), self._batch_shape)
