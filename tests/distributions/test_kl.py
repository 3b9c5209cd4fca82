"""Divergences of all registered pairs are PyTorch's, and so are the rules of the registry."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.distributions
from torch.distributions.kl import _KL_REGISTRY

import jtoolbox as jt
from jtoolbox import distributions as D
from jtoolbox.distributions import kl
from tests.nn.both import both
from tests.reference import assert_same, to_numpy

# Two sets of parameters for each class; the sets of supports overlap in some and not in others.
SCALARS = {
    "Bernoulli": (([0.3, 0.6],), ([0.5, 0.0],)),
    "Beta": (([1.5, 2.5], [2.0, 0.8]), ([0.7, 1.4], [1.2, 3.0])),
    "Binomial": ((4, [0.3, 0.6]), (4, [0.5, 0.2])),
    "Categorical": (([[0.2, 0.8], [1.0, 0.0]],), ([[0.5, 0.5], [0.7, 0.3]],)),
    "Cauchy": (([0.1, -0.5], [1.2, 0.8]), ([0.4, 0.3], [0.9, 2.0])),
    "ContinuousBernoulli": (([0.3, 0.5],), ([0.6, 0.8],)),
    "Dirichlet": (([[1.5, 2.0], [0.8, 1.1]],), ([[0.7, 2.5], [1.9, 1.3]],)),
    "Exponential": (([0.7, 1.6],), ([1.2, 0.9],)),
    "Gamma": (([1.3, 2.2], [0.8, 1.7]), ([2.1, 0.9], [1.2, 0.6])),
    "Geometric": (([0.3, 0.7],), ([0.5, 0.4],)),
    "Gumbel": (([0.2, -0.4], [1.1, 0.7]), ([0.5, 0.1], [0.9, 1.6])),
    "HalfNormal": (([0.8, 1.5],), ([1.1, 0.6],)),
    "Laplace": (([0.3, -0.2], [0.9, 1.4]), ([0.1, 0.6], [1.3, 0.7])),
    "Normal": (([0.3, -0.2], [0.9, 1.4]), ([0.1, 0.6], [1.3, 0.7])),
    "OneHotCategorical": (([[0.2, 0.8], [0.4, 0.6]],), ([[0.5, 0.5], [0.7, 0.3]],)),
    "Pareto": (([1.2, 0.5], [2.5, 1.5]), ([0.6, 0.8], [1.4, 3.0])),
    "Poisson": (([0.8, 2.3],), ([1.4, 1.1],)),
    "Uniform": (([0.2, -0.5], [0.9, 1.5]), ([0.1, 0.0], [1.2, 1.0])),
}
COVARIANCE = [[1.2, 0.3], [0.3, 0.8]]
VECTORS = {
    "MultivariateNormal": (
        ([0.3, -0.2], COVARIANCE),
        ([[0.1, 0.6], [0.0, 0.2]], [[0.9, -0.2], [-0.2, 1.1]]),
    ),
    "LowRankMultivariateNormal": (
        ([0.3, -0.2], [[0.5], [-0.4]], [0.9, 1.2]),
        ([[0.1, 0.6], [0.0, 0.2]], [[0.2], [0.7]], [1.3, 0.8]),
    ),
}
CLASSES = {**SCALARS, **VECTORS}
OTHERS = {"ExponentialFamily", "Independent", "TransformedDistribution"}
PAIRS = [(p.__name__, q.__name__) for p, q in _KL_REGISTRY]


def parameters(lib: Any, values: tuple[Any, ...]) -> list[Any]:
    return [
        v if isinstance(v, int) else lib.tensor(v, dtype=lib.float64, requires_grad=True)
        for v in values
    ]


def divergences(lib: Any, module: Any, name: str, partners: list[str]) -> tuple[Any, Any]:
    """The divergences from one class to its partners, and the gradients of all that are finite."""
    p = parameters(lib, CLASSES[name][0])
    results, leaves = [], [v for v in p if not isinstance(v, int)]
    for partner in partners:
        q = parameters(lib, CLASSES[partner][1])
        leaves += [v for v in q if not isinstance(v, int)]
        options = {"validate_args": False}
        results.append(
            module.kl_divergence(
                getattr(module, name)(*p, **options), getattr(module, partner)(*q, **options)
            )
        )
    return results, leaves


@pytest.mark.parametrize("name", CLASSES)
def test_divergences_and_gradients(name):
    partners = [q for p, q in PAIRS if p == name and q in CLASSES]
    theirs, their_leaves = divergences(torch, torch.distributions, name, partners)
    ours, leaves = divergences(jt, D, name, partners)
    masks = [torch.isfinite(r.detach()) for r in theirs]
    sum(torch.where(m, r, 0.0).sum() for m, r in zip(masks, theirs, strict=True)).backward()
    pairs = zip(masks, ours, strict=True)
    sum(jt.where(jt.tensor(m.numpy()), r, 0.0).sum() for m, r in pairs).backward()
    for partner, a, b in zip(partners, ours, theirs, strict=True):
        assert_same(a, b, 1e-5, 1e-8, what=f"KL({name} || {partner})")
    for a, b in zip(leaves, their_leaves, strict=True):
        if b.grad is not None and torch.isfinite(b.grad).all():
            assert_same(a.grad, b.grad, 1e-5, 1e-8, what="gradient")


def test_every_pair_of_pytorch_is_registered():
    ours = {(p.__name__, q.__name__) for p, q in kl._KL_REGISTRY}
    assert set(PAIRS) == ours
    assert {name for pair in PAIRS for name in pair} == set(CLASSES) | OTHERS


@both
def test_independent_and_transformed_pairs(lib):
    d = lib.distributions
    normal = [d.Normal(lib.zeros(2, 3), 1.0), d.Normal(lib.ones(2, 3), 2.0)]
    inner = d.kl_divergence(*normal)
    outer = d.kl_divergence(*[d.Independent(n, 1) for n in normal])
    logs = d.kl_divergence(d.LogNormal(0.0, 1.0), d.LogNormal(1.0, 2.0))
    np.testing.assert_allclose(to_numpy(outer), to_numpy(inner.sum(-1)), rtol=1e-6)
    np.testing.assert_allclose(to_numpy(logs), to_numpy(inner[0, 0]), rtol=1e-6)
    with pytest.raises(NotImplementedError):
        d.kl_divergence(d.Independent(normal[0], 1), d.Independent(normal[1], 2))
    with pytest.raises(NotImplementedError):
        d.kl_divergence(d.LogNormal(0.0, 1.0), d.Pareto(1.0, 2.0))


class Family(D.ExponentialFamily):
    """An exponential distribution that leaves entropy and divergence to the family."""

    arg_constraints = {"rate": D.constraints.positive}
    _mean_carrier_measure = 0

    def __init__(self, rate):
        (self.rate,) = D.utils.broadcast_all(rate)
        super().__init__(self.rate.shape)

    @property
    def _natural_params(self):
        return (-self.rate,)

    def _log_normalizer(self, x):
        return -jt.log(-x)


def test_a_family_has_entropy_and_divergence_of_its_log_normalizer():
    p, q = jt.tensor([0.7, 1.6]), jt.tensor([1.2, 0.9])
    expected = D.kl_divergence(D.Exponential(p), D.Exponential(q))
    np.testing.assert_allclose(D.kl_divergence(Family(p), Family(q)).detach(), expected, rtol=1e-5)
    np.testing.assert_allclose(Family(p).entropy().detach(), D.Exponential(p).entropy(), rtol=1e-5)
    arrays = Family(p.array).entropy()
    np.testing.assert_allclose(arrays, D.Exponential(p).entropy(), rtol=1e-5)


def test_the_registry_takes_the_nearest_classes_and_names_what_is_missing():
    class Mine(D.Normal):
        pass

    @D.register_kl(Mine, D.Normal)
    def rule(p, q):
        return "mine"

    try:
        assert D.kl_divergence(Mine(0.0, 1.0), D.Normal(0.0, 1.0)) == "mine"
        assert D.kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)) == "mine"
        assert D.kl_divergence(D.Normal(0.0, 1.0), Mine(0.0, 1.0)).item() == 0
        D.register_kl(D.Normal, Mine)(lambda p, q: "other")
        with pytest.warns(RuntimeWarning, match=r"Ambiguous kl_divergence\(Mine, Mine\)"):
            assert D.kl_divergence(Mine(0.0, 1.0), Mine(0.0, 1.0)) == "mine"
    finally:
        for pair in ((Mine, D.Normal), (D.Normal, Mine)):
            kl._KL_REGISTRY.pop(pair, None)
        kl._KL_MEMOIZE.clear()
    with pytest.raises(NotImplementedError, match="p type Normal and q type Categorical"):
        D.kl_divergence(D.Normal(0.0, 1.0), D.Categorical(jt.ones(2)))
    with pytest.raises(TypeError, match="type_q to be a Distribution subclass"):
        D.register_kl(D.Normal, 3)


def test_a_rule_may_name_a_mixin_of_distributions():
    class Mixin:
        pass

    class Mine(D.Normal, Mixin):
        pass

    try:
        D.register_kl(D.Cauchy, Mixin)(lambda p, q: "mixin")
        assert D.kl_divergence(D.Cauchy(0.0, 1.0), Mine(0.0, 1.0)) == "mixin"
    finally:
        kl._KL_REGISTRY.pop((D.Cauchy, Mixin))
        kl._KL_MEMOIZE.clear()


def test_binomials_of_unequal_counts_are_as_in_pytorch():
    more, fewer = D.Binomial(5, jt.tensor(0.3)), D.Binomial(3, jt.tensor(0.3))
    assert D.kl_divergence(more, fewer).item() == float("inf")
    with pytest.raises(NotImplementedError, match=r"q\.total_count > p\.total_count"):
        D.kl_divergence(fewer, more)
