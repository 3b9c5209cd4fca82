"""Probability distributions under PyTorch's `torch.distributions` names."""

# ruff: noqa: F401, F403
from jtoolbox.distributions import constraints, kl_pairs, transforms
from jtoolbox.distributions.bernoulli import Bernoulli
from jtoolbox.distributions.beta import Beta
from jtoolbox.distributions.binomial import Binomial
from jtoolbox.distributions.categorical import Categorical
from jtoolbox.distributions.cauchy import Cauchy
from jtoolbox.distributions.chi2 import Chi2
from jtoolbox.distributions.constraint_registry import biject_to, transform_to
from jtoolbox.distributions.continuous_bernoulli import ContinuousBernoulli
from jtoolbox.distributions.dirichlet import Dirichlet
from jtoolbox.distributions.distribution import Distribution
from jtoolbox.distributions.exp_family import ExponentialFamily
from jtoolbox.distributions.exponential import Exponential
from jtoolbox.distributions.fishersnedecor import FisherSnedecor
from jtoolbox.distributions.gamma import Gamma
from jtoolbox.distributions.generalized_pareto import GeneralizedPareto
from jtoolbox.distributions.geometric import Geometric
from jtoolbox.distributions.gumbel import Gumbel
from jtoolbox.distributions.half_cauchy import HalfCauchy
from jtoolbox.distributions.half_normal import HalfNormal
from jtoolbox.distributions.independent import Independent
from jtoolbox.distributions.inverse_gamma import InverseGamma
from jtoolbox.distributions.kl import kl_divergence, register_kl
from jtoolbox.distributions.kumaraswamy import Kumaraswamy
from jtoolbox.distributions.laplace import Laplace
from jtoolbox.distributions.lkj_cholesky import LKJCholesky
from jtoolbox.distributions.log_normal import LogNormal
from jtoolbox.distributions.logistic_normal import LogisticNormal
from jtoolbox.distributions.lowrank_multivariate_normal import LowRankMultivariateNormal
from jtoolbox.distributions.mixture_same_family import MixtureSameFamily
from jtoolbox.distributions.multinomial import Multinomial
from jtoolbox.distributions.multivariate_normal import MultivariateNormal
from jtoolbox.distributions.negative_binomial import NegativeBinomial
from jtoolbox.distributions.normal import Normal
from jtoolbox.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from jtoolbox.distributions.pareto import Pareto
from jtoolbox.distributions.poisson import Poisson
from jtoolbox.distributions.relaxed_bernoulli import RelaxedBernoulli
from jtoolbox.distributions.relaxed_categorical import RelaxedOneHotCategorical
from jtoolbox.distributions.studentT import StudentT
from jtoolbox.distributions.transformed_distribution import TransformedDistribution
from jtoolbox.distributions.transforms import *
from jtoolbox.distributions.uniform import Uniform
from jtoolbox.distributions.von_mises import VonMises
from jtoolbox.distributions.weibull import Weibull
from jtoolbox.distributions.wishart import Wishart

__all__ = [
    *("Bernoulli", "Beta", "Binomial", "Categorical", "Cauchy", "Chi2", "ContinuousBernoulli"),
    *("Dirichlet", "Distribution", "Exponential", "ExponentialFamily", "FisherSnedecor", "Gamma"),
    *("GeneralizedPareto", "Geometric", "Gumbel", "HalfCauchy", "HalfNormal", "Independent"),
    *("InverseGamma", "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal"),
    *("LowRankMultivariateNormal", "MixtureSameFamily", "Multinomial", "MultivariateNormal"),
    *("NegativeBinomial", "Normal", "OneHotCategorical", "OneHotCategoricalStraightThrough"),
    *("Pareto", "Poisson", "RelaxedBernoulli", "RelaxedOneHotCategorical", "StudentT"),
    *("TransformedDistribution", "Uniform", "VonMises", "Weibull", "Wishart", "biject_to"),
    *("kl_divergence", "register_kl", "transform_to"),
]
__all__ += transforms.__all__
