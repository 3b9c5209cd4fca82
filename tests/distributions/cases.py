"""One table of all distributions: how to make each, its parameters, and a value to look at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

RNG = np.random.default_rng(3)


def between(low: float, high: float, *shape: int) -> np.ndarray:
    return RNG.uniform(low, high, shape or (3,))


def simplex(*shape: int) -> np.ndarray:
    x = RNG.uniform(0.2, 1.0, shape)
    return x / x.sum(-1, keepdims=True)


def factor(n: int) -> np.ndarray:
    return np.tril(RNG.uniform(-0.5, 0.5, (n, n)), -1) + np.diag(RNG.uniform(0.7, 1.5, n))


def covariance(n: int) -> np.ndarray:
    L = factor(n)
    return L @ L.T


class Case(NamedTuple):
    """`make(D, *parameters)` with D a module of distributions, and a `value` for its log_prob.

    `lacking` are the properties that PyTorch has but not the same way: compared elsewhere.
    """

    make: Callable[..., Any]
    parameters: tuple[np.ndarray, ...]
    value: np.ndarray
    lacking: tuple[str, ...] = ()
    differentiable_value: bool = True


def named(name: str, **settings: Any) -> Callable[..., Any]:
    return lambda D, *parameters: getattr(D, name)(*parameters, **settings)


def by(name: str, *keywords: str) -> Callable[..., Any]:
    """Makes it from the last parameters by keyword."""

    def make(D: Any, *parameters: Any) -> Any:
        first, last = parameters[: -len(keywords)], parameters[-len(keywords) :]
        return getattr(D, name)(*first, **dict(zip(keywords, last, strict=True)))

    return make


def real() -> np.ndarray:
    return between(-1.5, 1.5)


def positive(low: float = 0.5, high: float = 2.5) -> np.ndarray:
    return between(low, high)


def unit() -> np.ndarray:
    return between(0.1, 0.9)


COUNTS = np.array([2.0, 0.0, 3.0])
BITS = np.array([1.0, 0.0, 1.0])
ONE_HOT = np.eye(4)[[1, 3]]
MIXED = np.array([0.2, 0.5, 0.8])  # one probability in the middle, where formulas have limits
STICKS = simplex(2, 4)

CASES = {
    "Bernoulli": Case(named("Bernoulli"), (unit(),), BITS, (), False),
    "Bernoulli-logits": Case(by("Bernoulli", "logits"), (real(),), BITS, (), False),
    "Beta": Case(named("Beta"), (positive(1.2), positive(1.2)), unit()),
    "Binomial": Case(
        lambda D, p: D.Binomial(5, p), (unit(),), COUNTS, ("mode",), False
    ),
    "Binomial-logits": Case(
        lambda D, p: D.Binomial(4, logits=p), (real(),), COUNTS, ("mode",), False
    ),
    "Binomial-even": Case(
        lambda D, p: D.Binomial(4, logits=p), (np.zeros(3),), COUNTS, ("mode",), False
    ),
    "Categorical": Case(named("Categorical"), (simplex(2, 4),), np.array([1, 3]), (), False),
    "Categorical-logits": Case(
        by("Categorical", "logits"), (between(-1, 1, 2, 4),), np.array([1, 3]), (), False
    ),
    "Cauchy": Case(named("Cauchy"), (real(), positive()), real()),
    "Chi2": Case(named("Chi2"), (positive(1.0, 4.0),), positive(), ("cdf",)),
    "ContinuousBernoulli": Case(named("ContinuousBernoulli"), (MIXED,), unit()),
    "ContinuousBernoulli-logits": Case(by("ContinuousBernoulli", "logits"), (real(),), unit()),
    "Dirichlet": Case(named("Dirichlet"), (between(1.2, 3.0, 2, 4),), simplex(2, 4)),
    "Exponential": Case(named("Exponential"), (positive(),), positive()),
    "FisherSnedecor": Case(
        named("FisherSnedecor"), (positive(3.0, 5.0), positive(5.0, 8.0)), positive()
    ),
    "Gamma": Case(named("Gamma"), (positive(1.2), positive()), positive(), ("cdf",)),
    "GeneralizedPareto": Case(
        named("GeneralizedPareto"),
        # PyTorch 2.13 fails on float64 here.
        tuple(
            x.astype(np.float32)
            for x in (between(-1, 0), positive(2.0, 3.0), np.array([-0.3, 0.1, 0.2]))
        ),
        between(0.1, 1.0).astype(np.float32),
    ),
    "Geometric": Case(named("Geometric"), (unit(),), COUNTS, (), False),
    "Geometric-logits": Case(by("Geometric", "logits"), (real(),), COUNTS, (), False),
    "Gumbel": Case(named("Gumbel"), (real(), positive()), real()),
    "HalfCauchy": Case(named("HalfCauchy"), (positive(),), positive()),
    "HalfNormal": Case(named("HalfNormal"), (positive(),), positive()),
    "Independent": Case(
        lambda D, a, b: D.Independent(D.Normal(a, b), 1),
        (between(-1, 1, 2, 3), between(1, 2, 2, 3)),
        between(-1, 1, 2, 3),
    ),
    "InverseGamma": Case(
        named("InverseGamma"), (positive(2.2, 4.0), positive()), positive(), ("cdf",)
    ),
    "Kumaraswamy": Case(
        named("Kumaraswamy"), (positive(1.2), positive(1.2)), unit(), ("mode",)
    ),
    "Laplace": Case(named("Laplace"), (real(), positive()), real()),
    "LKJCholesky": Case(
        lambda D, c: D.LKJCholesky(3, c), (np.array([0.7, 1.9]),),
        np.array([[[1, 0, 0], [0.6, 0.8, 0], [0.48, 0.64, 0.6]]] * 2),
    ),
    "LogisticNormal": Case(
        named("LogisticNormal"), (between(-1, 1, 2, 3), between(1, 2, 2, 3)), STICKS
    ),
    "LogNormal": Case(named("LogNormal"), (real(), positive(0.5, 1.0)), positive()),
    "LowRankMultivariateNormal": Case(
        named("LowRankMultivariateNormal"),
        (between(-1, 1, 2, 3), between(-1, 1, 3, 2), between(1, 2, 3)),
        between(-1, 1, 2, 3),
    ),
    "MixtureSameFamily": Case(
        lambda D, w, a, b: D.MixtureSameFamily(D.Categorical(w), D.Normal(a, b)),
        (simplex(2, 3), between(-1, 1, 2, 3), between(1, 2, 2, 3)),
        between(-1, 1, 2),
    ),
    "MixtureSameFamily-vectors": Case(
        lambda D, w, a, b: D.MixtureSameFamily(
            D.Categorical(w), D.Independent(D.Normal(a, b), 1)
        ),
        (simplex(2), between(-1, 1, 2, 3), between(1, 2, 2, 3)),
        between(-1, 1, 4, 3),
    ),
    "Multinomial": Case(
        lambda D, p: D.Multinomial(5, p), (simplex(2, 3),), np.array([[2.0, 0, 3], [1, 4, 0]]),
        (), False,
    ),
    "MultivariateNormal": Case(
        by("MultivariateNormal", "covariance_matrix"),
        (between(-1, 1, 2, 3), covariance(3)), between(-1, 1, 2, 3),
    ),
    "MultivariateNormal-precision": Case(
        by("MultivariateNormal", "precision_matrix"),
        (between(-1, 1, 3), covariance(3)), between(-1, 1, 3),
    ),
    "MultivariateNormal-tril": Case(
        by("MultivariateNormal", "scale_tril"),
        (between(-1, 1, 3), factor(3)), between(-1, 1, 2, 3),
    ),
    "NegativeBinomial": Case(
        named("NegativeBinomial"), (positive(1.5, 4.0), unit()), COUNTS, (), False
    ),
    "NegativeBinomial-logits": Case(
        by("NegativeBinomial", "logits"), (positive(1.5, 4.0), real()), COUNTS, (), False
    ),
    "Normal": Case(named("Normal"), (real(), positive()), real()),
    "OneHotCategorical": Case(
        named("OneHotCategorical"), (simplex(2, 4),), ONE_HOT, (), False
    ),
    "OneHotCategoricalStraightThrough": Case(
        by("OneHotCategoricalStraightThrough", "logits"), (between(-1, 1, 2, 4),), ONE_HOT, (),
        False,
    ),
    "Pareto": Case(named("Pareto"), (between(0.5, 1.0), positive(2.2, 3.0)), positive(1.1)),
    "Poisson": Case(named("Poisson"), (positive(),), COUNTS, (), False),
    "RelaxedBernoulli": Case(named("RelaxedBernoulli"), (np.array(0.7), unit()), unit()),
    "RelaxedOneHotCategorical": Case(
        named("RelaxedOneHotCategorical"), (np.array(0.7), simplex(2, 4)), STICKS
    ),
    "StudentT": Case(named("StudentT"), (positive(2.5, 4.0), real(), positive()), real()),
    "TransformedDistribution": Case(
        lambda D, a, b: D.TransformedDistribution(
            D.Normal(a, b), [D.SigmoidTransform(), D.AffineTransform(1.0, -2.0)]
        ),
        (real(), positive()), between(-0.8, 0.8),
    ),
    "Uniform": Case(named("Uniform"), (between(-1, 0), between(1, 2)), between(0.1, 0.9)),
    "VonMises": Case(named("VonMises"), (real(), positive()), real(), ("variance",)),
    "Weibull": Case(named("Weibull"), (positive(), positive(1.2)), positive()),
    "Wishart": Case(
        by("Wishart", "covariance_matrix"),
        (np.array([3.5, 5.0]), covariance(3)), np.stack([covariance(3), covariance(3)]),
    ),
    "Wishart-precision": Case(
        by("Wishart", "precision_matrix"), (np.array(4.5), covariance(3)), covariance(3)
    ),
}  # fmt: skip
