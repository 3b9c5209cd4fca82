"""The LKJ distribution of correlation matrices, as their Cholesky factors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.beta import Beta
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.utils import broadcast_all, constant, limits, stopped
from jtoolbox.engine import no_grad
from jtoolbox.ops.sampling_distributions import standard_normal

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Lower factors L (*, D, D) of correlation matrices with density |L L^T|^(concentration - 1).

    `dim` is D >= 2 (ValueError otherwise), `concentration` > 0: 1 is uniform, larger ones favour
    small correlations. Samples are made row by row ("onion"). Generating random correlation
    matrices based on vines and extended onion method, https://doi.org/10.1016/j.jmva.2009.04.008
    PyTorch 2.13 draws the rows from the third on too long; here the samples follow `log_prob`.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None):
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        batch = self.concentration.shape
        super().__init__(batch, (dim, dim), validate_args=validate_args)

    def _radii(self) -> Beta:
        """The distribution of the squared length of each row's part left of the diagonal."""
        row = constant(range(self.dim - 1), self.concentration)
        first = 0.5 * row + 0.5
        second = self.concentration[..., None] + 0.5 * (self.dim - 2) - 0.5 * row
        return Beta(first, second, validate_args=False)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        with no_grad():
            y = self._radii().sample(sample_shape)[..., None]
            shape = self._extended_shape(sample_shape)
            normal = ops.tril(
                standard_normal(self.concentration, (*shape[:-2], self.dim - 1, self.dim))
            )
            direction = normal / ops.sqrt(ops.sum(normal**2, -1, keepdim=True))
            below = ops.sqrt(y) * direction
            first = ops.zeros_like(below[..., :1, :])
            w = ops.cat([first, below], -2)
            rest = 1 - ops.sum(w**2, -1)
            tiny = float(limits(w).tiny)
            return stopped(w + ops.diag_embed(ops.sqrt(ops.clamp(rest, min=tiny))))

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        diagonal = ops.diagonal(value, 0, -2, -1)[..., 1:]
        order = constant(range(2, self.dim + 1), self.concentration)
        order = 2 * (self.concentration - 1)[..., None] + self.dim - order
        unnormalized = ops.sum(order * ops.log(diagonal), -1)
        return unnormalized - self._log_normalizer()

    def _log_normalizer(self) -> Any:
        """log of the integral of the density: page 1999 of the paper."""
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        return 0.5 * n * math.log(math.pi) + ops.mvlgamma(alpha - 0.5, n) - n * ops.lgamma(alpha)
