"""The Wishart distribution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Number
from typing import Any

from jtoolbox import linalg, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.chi2 import Chi2
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.multivariate_normal import MatrixForms, factor_of
from jtoolbox.distributions.utils import constant, known_value, limits
from jtoolbox.ops.sampling_distributions import standard_normal

__all__ = ["Wishart"]

_ONE_OF_THREE = (
    "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
)


class Wishart(ExponentialFamily, MatrixForms):
    """The sum of x x^T of `df` normal vectors of mean 0: random covariance matrices (*, D, D).

    `df` > D - 1 need not be whole. Give one of `covariance_matrix`, `precision_matrix`,
    `scale_tril` of the vectors. Samples are made by Bartlett's decomposition. PyTorch draws anew
    where rounding made a sample singular, which needs values; here their diagonal factors are kept
    above the smallest number instead, and `max_try_correction` is not there.
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ):
        forms = {
            "scale_tril": scale_tril,
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
        }
        given = {name: matrix for name, matrix in forms.items() if matrix is not None}
        if len(given) != 1:
            raise AssertionError(_ONE_OF_THREE)  # PyTorch's type
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                "scale_tril must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if isinstance(df, Number):
            df = constant(df, matrix)
        batch = ops.broadcast_shapes(tuple(df.shape), tuple(matrix.shape)[:-2])
        event = tuple(matrix.shape)[-2:]
        _check_df(df, event[-1])
        self.df = ops.expand(df, batch)
        setattr(self, name, ops.expand(matrix, (*batch, *event)))
        super().__init__(batch, event, validate_args=validate_args)
        self._unbroadcasted_scale_tril = factor_of(name, matrix)

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @property
    def mean(self) -> Any:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Any:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = ops.where(factor <= 0, math.nan, factor)
        return factor[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Any:
        V = self.covariance_matrix
        diagonal = ops.diagonal(V, 0, -2, -1)
        products = diagonal[..., :, None] * diagonal[..., None, :]
        return self.df[..., None, None] * (V**2 + products)

    def _degrees(self) -> Any:
        """df, df - 1, ..., df - D + 1: those of the chi-squared numbers on the diagonal."""
        return self.df[..., None] - constant(range(self._event_shape[-1]), self.df)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        squares = Chi2(self._degrees(), validate_args=False).rsample(sample_shape)
        tiny = float(limits(squares).tiny)
        diagonal = ops.diag_embed(ops.sqrt(ops.clamp(squares, min=tiny)))
        shape = self._extended_shape(sample_shape)
        below = ops.tril(standard_normal(self._unbroadcasted_scale_tril, shape), -1)
        factor = self._unbroadcasted_scale_tril @ (diagonal + below)
        return factor @ ops.transpose(factor, -2, -1)

    def _log_det_factor(self) -> Any:
        return ops.sum(ops.log(ops.diagonal(self._unbroadcasted_scale_tril, 0, -2, -1)), -1)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        L = self._unbroadcasted_scale_tril
        solved = ops.cholesky_solve(value, L)
        trace = ops.sum(ops.diagonal(solved, 0, -2, -1), -1)
        return (
            -nu * (p * math.log(2) / 2 + self._log_det_factor())
            - ops.mvlgamma(nu / 2, p)
            + (nu - p - 1) / 2 * linalg.slogdet(value)[1]
            - trace / 2
        )

    def entropy(self) -> Any:
        nu, p = self.df, self._event_shape[-1]
        digammas = ops.sum(ops.digamma(self._degrees() / 2), -1)
        return (
            (p + 1) * (p * math.log(2) / 2 + self._log_det_factor())
            + ops.mvlgamma(nu / 2, p)
            - (nu - p - 1) / 2 * digammas
            + nu * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Any, ...]:
        return -self.precision_matrix / 2, (self.df - self._event_shape[-1] - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Any:
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        return half * (-linalg.slogdet(-2 * x)[1] + p * math.log(2)) + ops.mvlgamma(half, p)


def _check_df(df: Any, size: int) -> None:
    known = known_value(df)
    if known is not None and (known <= size - 1).any():
        raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
