"""The registered divergences, those within a family first, then those between families.

Where p has values that q excludes, the divergence is infinite.
"""

from __future__ import annotations

import math
from typing import Any

from jtoolbox import linalg, ops
from jtoolbox.distributions.bernoulli import Bernoulli
from jtoolbox.distributions.beta import Beta
from jtoolbox.distributions.binomial import Binomial
from jtoolbox.distributions.categorical import Categorical
from jtoolbox.distributions.cauchy import Cauchy
from jtoolbox.distributions.continuous_bernoulli import ContinuousBernoulli
from jtoolbox.distributions.dirichlet import Dirichlet
from jtoolbox.distributions.exp_family import ExponentialFamily, normalizer_and_slopes
from jtoolbox.distributions.exponential import Exponential
from jtoolbox.distributions.gamma import Gamma
from jtoolbox.distributions.geometric import Geometric
from jtoolbox.distributions.gumbel import Gumbel
from jtoolbox.distributions.half_normal import HalfNormal
from jtoolbox.distributions.independent import Independent
from jtoolbox.distributions.kl import kl_divergence, register_kl
from jtoolbox.distributions.laplace import Laplace
from jtoolbox.distributions.lowrank_multivariate_normal import (
    LowRankMultivariateNormal,
    low_rank_log_det,
    low_rank_mahalanobis,
)
from jtoolbox.distributions.multivariate_normal import MultivariateNormal, batch_mahalanobis
from jtoolbox.distributions.normal import Normal
from jtoolbox.distributions.one_hot_categorical import OneHotCategorical
from jtoolbox.distributions.pareto import Pareto
from jtoolbox.distributions.poisson import Poisson
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.uniform import Uniform
from jtoolbox.distributions.utils import _sum_rightmost, euler_constant
from jtoolbox.nn import functional as F

__all__: list[str] = []

# --- within a family ------------------------------------------------------------------------------


@register_kl(ExponentialFamily, ExponentialFamily)
def _family(p: Any, q: Any) -> Any:
    """The Bregman divergence of the log normalizer, for two of one class."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed "
            f"using Bregman divergences: p is {type(p).__name__}, q is {type(q).__name__}"
        )
    natural, normalizer, slopes = normalizer_and_slopes(p)
    result = q._log_normalizer(*q._natural_params) - normalizer
    for a, b, slope in zip(natural, q._natural_params, slopes, strict=True):
        result = result - _sum_rightmost((b - a) * slope, len(q.event_shape))
    return result


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Any:
    def part(pp: Any, qq: Any, a: Any) -> Any:
        """p log(p / q) with the log ratio `a`; infinite for q = 0, 0 for p = 0."""
        value = ops.where(pp == 0, 0.0, pp * a)
        return ops.where((qq == 0) & (pp > 0), math.inf, value)

    yes = F.softplus(-q.logits) - F.softplus(-p.logits)
    no = F.softplus(q.logits) - F.softplus(p.logits)
    return part(p.probs, q.probs, yes) + part(1 - p.probs, 1 - q.probs, no)


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Any:
    a, b, c, d = p.concentration1, p.concentration0, q.concentration1, q.concentration0
    log_beta_q = ops.lgamma(c) + ops.lgamma(d) + ops.lgamma(a + b)
    log_beta_p = ops.lgamma(a) + ops.lgamma(b) + ops.lgamma(c + d)
    means = (a - c) * ops.digamma(a) + (b - d) * ops.digamma(b)
    return log_beta_q - log_beta_p + means + (c + d - (a + b)) * ops.digamma(a + b)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Any:
    """Of as many trials; infinite for more, NotImplementedError for fewer."""
    n, m = p.total_count, q.total_count
    if bool(ops.any(n < m)):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    kl = n * (p.probs * (p.logits - q.logits) + ops.log1p(-p.probs) - ops.log1p(-q.probs))
    return ops.where(n > m, math.inf, kl)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    terms = p.probs * (p.logits - q.logits)
    terms = ops.where(q.probs == 0, math.inf, terms)
    return ops.sum(ops.where(p.probs == 0, 0.0, terms), -1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Any:
    normalizers = p._log_normalizing_constant() - q._log_normalizing_constant()
    return p.mean * (p.logits - q.logits) + normalizers + ops.log1p(-p.probs) - ops.log1p(-q.probs)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    total_a, total_b = ops.sum(a, -1), ops.sum(b, -1)
    normalizers = (
        ops.lgamma(total_a) - ops.lgamma(total_b) - ops.sum(ops.lgamma(a) - ops.lgamma(b), -1)
    )
    means = ops.digamma(a) - ops.digamma(total_a)[..., None]
    return normalizers + ops.sum((a - b) * means, -1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    return ratio - ops.log(ratio) - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    return (
        b * ops.log(p.rate / q.rate)
        + ops.lgamma(b)
        - ops.lgamma(a)
        + (a - b) * ops.digamma(a)
        + (q.rate - p.rate) * (a / p.rate)
    )


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Any:
    ratio, distance = p.scale / q.scale, q.loc / q.scale - p.loc / q.scale
    moment = ops.exp(distance + ops.lgamma(1 + ratio))
    return -ops.log(ratio) - distance + ratio * euler_constant + moment - (1 + euler_constant)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Any:
    return -p.entropy() - ops.log1p(-q.probs) / p.probs - q.logits


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Any:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Any:
    ratio, distance = p.scale / q.scale, abs(p.loc - q.loc)
    return -ops.log(ratio) + distance / q.scale + ratio * ops.exp(-distance / p.scale) - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Any:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ops.log(ratio))


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: Any, q: Any) -> Any:
    return _categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Any:
    scales, ratio = p.scale / q.scale, q.alpha / p.alpha
    result = q.alpha * ops.log(scales) - ops.log(ratio) + ratio - 1
    return ops.where(p.scale < q.scale, math.inf, result)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Any:
    return p.rate * (ops.log(p.rate) - ops.log(q.rate)) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Any:
    result = ops.log((q.high - q.low) / (p.high - p.low))
    return ops.where((q.low > p.low) | (q.high < p.high), math.inf, result)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    """A closed form for the Kullback-Leibler divergence between Cauchy distributions,
    https://arxiv.org/abs/1905.10965"""
    distance = (p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2
    return ops.log(distance) - ops.log(4 * p.scale * q.scale)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL between Independents needs equal reinterpreted_batch_ndims, got "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "KL between transformed distributions needs equal transforms and event shapes, got "
            f"{p.transforms} and {q.transforms}"
        )
    return kl_divergence(p.base_dist, q.base_dist)


# --- normal vectors -------------------------------------------------------------------------------


def _trace_of(factor: Any, root: Any) -> Any:
    """tr((L L^T)^-1 R R^T) of a lower factor L and a root R."""
    batch = ops.broadcast_shapes(tuple(factor.shape)[:-2], tuple(root.shape)[:-2])
    factor = ops.expand(factor, (*batch, *factor.shape[-2:]))
    root = ops.expand(root, (*batch, *root.shape[-2:]))
    return ops.sum(linalg.solve_triangular(factor, root, upper=False) ** 2, (-2, -1))


def _log_det(factor: Any) -> Any:
    """log |L L^T|."""
    return 2 * ops.sum(ops.log(ops.diagonal(factor, 0, -2, -1)), -1)


def _same_size(p: Any, q: Any) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two (Low Rank) Multivariate Normals with different event shapes "
            f"cannot be computed: {p.event_shape} and {q.event_shape}"
        )


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: Any, q: Any) -> Any:
    _same_size(p, q)
    P, Q = p._unbroadcasted_scale_tril, q._unbroadcasted_scale_tril
    distance = batch_mahalanobis(Q, q.loc - p.loc)
    return 0.5 * (_log_det(Q) - _log_det(P) + _trace_of(Q, P) + distance - p.event_shape[0])


def _log_det_low_rank(d: Any) -> Any:
    return low_rank_log_det(d.cov_diag, d._capacitance_tril)


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _multivariate_low_rank(p: Any, q: Any) -> Any:
    _same_size(p, q)
    P = p._unbroadcasted_scale_tril
    return _to_low_rank(p, q, _log_det(P), [P])


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank(p: Any, q: Any) -> Any:
    _same_size(p, q)
    roots = [p.cov_factor, ops.diag_embed(ops.sqrt(p.cov_diag))]
    return _to_low_rank(p, q, _log_det_low_rank(p), roots)


def _to_low_rank(p: Any, q: Any, log_det: Any, roots: list[Any]) -> Any:
    """KL to a normal of low rank, for p of covariance sum R R^T over the roots R."""
    W, D, capacitance = q.cov_factor, q.cov_diag, q._capacitance_tril
    distance = low_rank_mahalanobis(W, D, q.loc - p.loc, capacitance)
    scaled = ops.transpose(W / D[..., None], -2, -1)
    trace = sum(
        ops.sum(R**2 / D[..., None], (-2, -1)) - _trace_of(capacitance, scaled @ R) for R in roots
    )
    return 0.5 * (_log_det_low_rank(q) - log_det + trace + distance - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_multivariate(p: Any, q: Any) -> Any:
    _same_size(p, q)
    Q = q._unbroadcasted_scale_tril
    distance = batch_mahalanobis(Q, q.loc - p.loc)
    trace = _trace_of(Q, p.cov_factor) + _trace_of(Q, ops.diag_embed(ops.sqrt(p.cov_diag)))
    return 0.5 * (_log_det(Q) - _log_det_low_rank(p) + trace + distance - p.event_shape[0])


# --- between families -----------------------------------------------------------------------------


def _infinite(p: Any, q: Any) -> Any:
    """q excludes values of p whatever the parameters are."""
    return ops.full_like(_first(p), math.inf)


def _first(p: Any) -> Any:
    """A tensor of the shape of the batch."""
    return next(getattr(p, name) for name in p.arg_constraints)


for _p, _q in (
    *((Beta, Pareto), (ContinuousBernoulli, Pareto), (Poisson, Bernoulli), (Poisson, Binomial)),
    *((p, q) for p in (Exponential, Gamma, Gumbel, Laplace, Normal, Pareto)
      for q in (Beta, ContinuousBernoulli, Uniform)),
    *((p, q) for p in (Gumbel, Laplace, Normal) for q in (Exponential, Gamma, Pareto)),
    *((Exponential, Pareto), (Gamma, Pareto)),
):  # fmt: skip
    register_kl(_p, _q)(_infinite)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Any:
    return -p.entropy() - (p.probs * ops.log(q.rate) - q.rate)


@register_kl(Beta, ContinuousBernoulli)
def _beta_continuous_bernoulli(p: Any, q: Any) -> Any:
    return -p.entropy() - p.mean * q.logits - ops.log1p(-q.probs) - q._log_normalizing_constant()


@register_kl(Beta, Exponential)
def _beta_exponential(p: Any, q: Any) -> Any:
    return -p.entropy() - ops.log(q.rate) + q.rate * p.mean


@register_kl(Beta, Gamma)
def _beta_gamma(p: Any, q: Any) -> Any:
    total = p.concentration1 + p.concentration0
    log_mean = ops.digamma(p.concentration1) - ops.digamma(total)
    return -p.entropy() + _to_gamma(q, log_mean, p.mean)


def _to_gamma(q: Any, log_mean: Any, mean: Any) -> Any:
    """-E[log q(x)] for a gamma q, from the means of log x and x."""
    a = q.concentration
    return ops.lgamma(a) - a * ops.log(q.rate) - (a - 1) * log_mean + q.rate * mean


def _to_normal(q: Any, mean: Any, variance: Any) -> Any:
    """-E[log q(x)] for a normal q, from the moments of x."""
    squares = (variance + (mean - q.loc) ** 2) / q.scale**2
    return 0.5 * (squares + math.log(2 * math.pi)) + ops.log(q.scale)


def _by_moments(p: Any, q: Any) -> Any:
    return -p.entropy() + _to_normal(q, p.mean, p.variance)


for _p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Uniform):
    register_kl(_p, Normal)(_by_moments)


@register_kl(Beta, Uniform)
def _beta_uniform(p: Any, q: Any) -> Any:
    result = -p.entropy() + ops.log(q.high - q.low)
    return ops.where((q.low > 0) | (q.high < 1), math.inf, result)


@register_kl(ContinuousBernoulli, Exponential)
def _continuous_bernoulli_exponential(p: Any, q: Any) -> Any:
    return -p.entropy() - ops.log(q.rate) + q.rate * p.mean


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: Any, q: Any) -> Any:
    result = -p.entropy() + ops.log(q.high - q.low)
    # As PyTorch, infinite also where the interval ends at 0 or 1.
    return ops.where((q.low >= 0) | (q.high <= 1), math.inf, result)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Any:
    return -p.entropy() + _to_gamma(q, -euler_constant - ops.log(p.rate), 1 / p.rate)


def _to_gumbel(q: Any, mean: Any, exponential: Any) -> Any:
    """-E[log q(x)] for a Gumbel q, from E[x] and E[exp(-x / scale of q)]."""
    offset = q.loc / q.scale
    return ops.log(q.scale) + mean / q.scale - offset + ops.exp(offset) * exponential


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Any, q: Any) -> Any:
    product = p.rate * q.scale
    return -p.entropy() + _to_gumbel(q, 1 / p.rate, product / (product + 1))


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Any, q: Any) -> Any:
    return -p.entropy() - ops.log(q.rate) + q.rate * p.concentration / p.rate


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Any, q: Any) -> Any:
    product = p.rate * q.scale
    moment = ops.pow(1 + 1 / product, -p.concentration)
    return -p.entropy() + _to_gumbel(q, p.concentration / p.rate, moment)


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Any, q: Any) -> Any:
    moment = ops.exp(-p.loc / q.scale + 0.5 * (p.scale / q.scale) ** 2)
    return -p.entropy() + _to_gumbel(q, p.loc, moment)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Any:
    distance = p.loc - q.loc
    z = distance / p.scale
    spread = math.sqrt(2 / math.pi) * p.scale * ops.exp(-0.5 * z**2)
    mean_distance = spread + distance * ops.erf(math.sqrt(0.5) * z)
    return -p.entropy() + ops.log(2 * q.scale) + mean_distance / q.scale


def _with_moments(p: Any, order: int) -> tuple[Any, Pareto]:
    """Where a Pareto p lacks the moment of this order, and p made to have it there."""
    lacks = p.alpha <= order
    alpha = ops.where(lacks, order + 1.0, p.alpha)
    return lacks, Pareto(p.scale, alpha, validate_args=False)


@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Any, q: Any) -> Any:
    lacks, p = _with_moments(p, 1)
    return ops.where(lacks, math.inf, -p.entropy() - ops.log(q.rate) + q.rate * p.mean)


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Any, q: Any) -> Any:
    lacks, p = _with_moments(p, 1)
    log_mean = ops.log(p.scale) + 1 / p.alpha
    return ops.where(lacks, math.inf, -p.entropy() + _to_gamma(q, log_mean, p.mean))


@register_kl(Pareto, Normal)
def _pareto_normal(p: Any, q: Any) -> Any:
    lacks, p = _with_moments(p, 2)
    return ops.where(lacks, math.inf, _by_moments(p, q))


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Any:
    a, b = q.concentration1, q.concentration0
    # The means of log x and of log(1 - x) over the interval, from the integral of log.
    low = _mean_log(p.low, p.high)
    high = _mean_log(1 - p.high, 1 - p.low)
    normalizer = ops.lgamma(a) + ops.lgamma(b) - ops.lgamma(a + b)
    result = -p.entropy() - (a - 1) * low - (b - 1) * high + normalizer
    return ops.where((p.high > 1) | (p.low < 0), math.inf, result)


def _mean_log(low: Any, high: Any) -> Any:
    """The mean of log x for x uniform in [low, high]."""
    return (ops.xlogy(high, high) - ops.xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Any, q: Any) -> Any:
    normalizer = ops.log1p(-q.probs) + q._log_normalizing_constant()
    result = -p.entropy() - p.mean * q.logits - normalizer
    return ops.where((p.high > 1) | (p.low < 0), math.inf, result)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Any, q: Any) -> Any:
    result = -p.entropy() + q.rate * p.mean - ops.log(q.rate)
    return ops.where(p.low < 0, math.inf, result)


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Any, q: Any) -> Any:
    result = -p.entropy() + _to_gamma(q, _mean_log(p.low, p.high), p.mean)
    return ops.where(p.low < 0, math.inf, result)


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Any, q: Any) -> Any:
    difference = ops.exp(-p.low / q.scale) - ops.exp(-p.high / q.scale)
    moment = q.scale * difference / (p.high - p.low)
    return -p.entropy() + _to_gumbel(q, p.mean, moment)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Any:
    log_mean = _mean_log(p.low, p.high)
    density = ops.log(q.alpha) + q.alpha * ops.log(q.scale)
    result = -p.entropy() - density + (q.alpha + 1) * log_mean
    return ops.where(p.low < q.scale, math.inf, result)
