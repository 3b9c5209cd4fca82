"""The normal distribution of vectors with a covariance of low rank plus a diagonal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import linalg, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.multivariate_normal import batch_mahalanobis
from jtoolbox.distributions.utils import constant, lazy_property, own_size
from jtoolbox.ops.sampling_distributions import standard_normal

__all__ = ["LowRankMultivariateNormal", "capacitance_tril", "low_rank_log_det"]


def capacitance_tril(W: Any, D: Any) -> Any:
    """The Cholesky factor of I + W^T diag(D)^-1 W."""
    identity = constant(np.eye(W.shape[-1]), W)
    return linalg.cholesky(identity + ops.transpose(W, -2, -1) @ (W / D[..., None]))


def low_rank_log_det(D: Any, capacitance: Any) -> Any:
    """log |W W^T + diag(D)|, by the matrix determinant lemma."""
    return 2 * ops.sum(ops.log(ops.diagonal(capacitance, 0, -2, -1)), -1) + ops.sum(ops.log(D), -1)


def low_rank_mahalanobis(W: Any, D: Any, x: Any, capacitance: Any) -> Any:
    """x^T (W W^T + diag(D))^-1 x, by the Woodbury identity."""
    projected = (ops.transpose(W / D[..., None], -2, -1) @ x[..., None])[..., 0]
    return ops.sum(x**2 / D, -1) - batch_mahalanobis(capacitance, projected)


class LowRankMultivariateNormal(Distribution):
    """Vectors of mean `loc` (*, D) and covariance W W^T + diag(d): a few directions and noise.

    `cov_factor` is W (*, D, R), `cov_diag` is d (*, D) > 0. Cheap for R much smaller than D: only
    matrices (R, R) are factored.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Any, cov_factor: Any, cov_diag: Any, validate_args: bool | None = None):
        _check_shapes(loc, cov_factor, cov_diag)
        size, rank = loc.shape[-1], cov_factor.shape[-1]
        batch = ops.broadcast_shapes(
            tuple(loc.shape)[:-1], tuple(cov_factor.shape)[:-2], tuple(cov_diag.shape)[:-1]
        )
        self.loc = ops.expand(loc, (*batch, size))
        self.cov_factor = ops.expand(cov_factor, (*batch, size, rank))
        self.cov_diag = ops.expand(cov_diag, (*batch, size))
        super().__init__(batch, (size,), validate_args=validate_args)
        self._capacitance_tril = capacitance_tril(cov_factor, cov_diag)

    @property
    def mean(self) -> Any:
        return self.loc

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        return ops.sum(self.cov_factor**2, -1) + self.cov_diag

    @lazy_property
    def covariance_matrix(self) -> Any:
        """W W^T + diag(d)."""
        W = self.cov_factor
        return W @ ops.transpose(W, -2, -1) + ops.diag_embed(self.cov_diag)

    @lazy_property
    def scale_tril(self) -> Any:
        """The Cholesky factor of the covariance."""
        return linalg.cholesky(self.covariance_matrix)

    @lazy_property
    def precision_matrix(self) -> Any:
        """The inverse of the covariance, by the Woodbury identity."""
        scaled = self.cov_factor / self.cov_diag[..., None]
        factor = ops.expand(
            self._capacitance_tril, (*self._batch_shape, *self._capacitance_tril.shape[-2:])
        )
        half = linalg.solve_triangular(factor, ops.transpose(scaled, -2, -1), upper=False)
        return ops.diag_embed(1 / self.cov_diag) - ops.transpose(half, -2, -1) @ half

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        rank = standard_normal(self.loc, (*shape[:-1], self.cov_factor.shape[-1]))
        noise = standard_normal(self.loc, shape)
        low = (self.cov_factor @ rank[..., None])[..., 0]
        return self.loc + low + ops.sqrt(self.cov_diag) * noise

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        distance = low_rank_mahalanobis(
            self.cov_factor, self.cov_diag, value - self.loc, self._capacitance_tril
        )
        log_det = low_rank_log_det(self.cov_diag, self._capacitance_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + log_det + distance)

    def entropy(self) -> Any:
        log_det = low_rank_log_det(self.cov_diag, self._capacitance_tril)
        entropy = 0.5 * (self._event_shape[0] * (1 + math.log(2 * math.pi)) + log_det)
        return ops.expand(entropy, self._batch_shape)


def _check_shapes(loc: Any, cov_factor: Any, cov_diag: Any) -> None:
    if loc.ndim < 1:
        raise ValueError("loc must be at least one-dimensional.")
    event = own_size(tuple(loc.shape)[-1:])
    if cov_factor.ndim < 2:
        raise ValueError(
            "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
        )
    if tuple(cov_factor.shape)[-2:-1] != event:
        raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
    if tuple(cov_diag.shape)[-1:] != event:
        raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
