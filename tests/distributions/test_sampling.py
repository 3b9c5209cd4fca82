"""Samples have their distribution, shape and type; gradients of samples are right on average."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import distributions as D
from tests.distributions.cases import CASES

COUNT = 4000
FLOATS = {
    name: [jt.tensor(p.astype(np.float32)) for p in case.parameters] for name, case in CASES.items()
}
# Variants by another parameter sample as the plain ones; some have no moments.
ONCE = [name for name in CASES if "-" not in name]
NO_MOMENTS = {"Cauchy", "HalfCauchy"}


def made(name):
    return CASES[name].make(D, *FLOATS[name])


@pytest.mark.parametrize("name", ONCE)
def test_samples_have_the_right_shape_moments_and_support(name):
    d = made(name)
    with jt.no_grad():
        x = d.sample((COUNT,))
    assert x.shape == (COUNT, *d.batch_shape, *d.event_shape)
    assert not x.requires_grad
    host = x.numpy().astype(np.float64)
    near = D.constraints.holds(d.support, x) or name in ("LogisticNormal", "Dirichlet", "Wishart",
        "RelaxedOneHotCategorical", "LKJCholesky")  # fmt: skip
    assert near, "outside the support"
    if name in NO_MOMENTS:
        quarter = d.icdf(jt.full(d.batch_shape, 0.25)).numpy()
        np.testing.assert_allclose((host < quarter).mean(0), 0.25, atol=0.04)
        return
    if name == "VonMises":
        length = abs(np.exp(1j * host).mean(0))
        np.testing.assert_allclose(1 - length, d.variance.numpy(), atol=0.05)
        np.testing.assert_allclose(np.angle(np.exp(1j * host).mean(0)), d.loc.numpy(), atol=0.1)
        return
    try:
        mean, variance = d.mean.numpy(), d.variance.numpy()
    except NotImplementedError:
        return
    if np.isnan(mean).all():
        return
    error = np.sqrt(variance / COUNT)
    assert (abs(host.mean(0) - mean) < 5 * error + 1e-6).all()
    # The variance of heavy tails converges slowly.
    loose = 0.6 if name in ("Pareto", "InverseGamma", "FisherSnedecor", "StudentT") else 0.2
    np.testing.assert_allclose(host.var(0), variance, rtol=loose, atol=0.02)


def test_categories_come_as_often_as_their_probabilities_say():
    probs = jt.tensor([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]])
    x = D.Categorical(probs).sample((COUNT,))
    assert x.dtype is jt.int64
    shares = (x.numpy()[..., None] == np.arange(3)).mean(0)
    np.testing.assert_allclose(shares, probs.numpy(), atol=0.03)
    assert D.Categorical(probs).sample().shape == (2,)
    assert D.Categorical(probs[0]).sample((2, 3)).shape == (2, 3)


def test_correlations_of_lkj_and_normal_vectors():
    L = D.LKJCholesky(3, 1.0).sample((COUNT,)).numpy()
    correlations = L @ np.swapaxes(L, -1, -2)
    np.testing.assert_allclose(correlations[..., range(3), range(3)], 1, atol=1e-5)
    # Uniform correlation matrices of size 3: each correlation is 2 Beta(3/2, 3/2) - 1.
    np.testing.assert_allclose(correlations[:, 2, 0].var(), 0.25, atol=0.03)
    np.testing.assert_allclose(correlations[:, 2, 1].var(), 0.25, atol=0.03)
    covariance = jt.tensor([[1.0, 0.6], [0.6, 2.0]])
    x = D.MultivariateNormal(jt.zeros(2), covariance).sample((COUNT,)).numpy()
    np.testing.assert_allclose(np.cov(x.T), covariance.numpy(), atol=0.2)


def test_a_seed_repeats_samples_and_the_next_call_differs():
    d = D.Gamma(2.0, jt.ones(3))
    jt.manual_seed(1)
    first, second = d.sample().numpy(), d.sample().numpy()
    jt.manual_seed(1)
    np.testing.assert_array_equal(d.sample().numpy(), first)
    assert not np.array_equal(first, second)


# --- gradients through samples --------------------------------------------------------------------

A = [0.6, 2.5]
REPARAMETERIZED = {
    # name: parameters, and the derivative of the sum of E[x] for the first parameter
    "Normal": (([0.5, 1.0], [1.0, 2.0]), [1, 1]),
    "Gamma": ((A, [1.0, 2.0]), [1, 0.5]),
    "Beta": ((A, [1.5, 1.0]), [1.5 / 2.1**2, 1.0 / 3.5**2]),
    "Chi2": ((A,), [1, 1]),
    "Exponential": (([0.5, 2.0],), [-4, -0.25]),
    "Uniform": (([0.0, 1.0], [2.0, 3.0]), [0.5, 0.5]),
    "Laplace": (([0.0, 1.0], [2.0, 3.0]), [1, 1]),
}


@pytest.mark.parametrize("name", REPARAMETERIZED)
def test_gradients_of_samples_are_right_on_average(name):
    values, slope = REPARAMETERIZED[name]
    parameters = [jt.tensor(v, requires_grad=True) for v in values]
    x = getattr(D, name)(*parameters).rsample((COUNT,))
    x.mean(0).sum().backward()
    np.testing.assert_allclose(parameters[0].grad.numpy(), slope, rtol=0.1, atol=0.02)


def test_gradients_of_dirichlet_samples_are_right_on_average():
    a = jt.tensor([0.7, 1.5, 2.0], requires_grad=True)
    D.Dirichlet(a).rsample((COUNT,)).mean(0)[0].backward()
    expected = [3.5 / 4.2**2, -0.7 / 4.2**2, -0.7 / 4.2**2]
    np.testing.assert_allclose(a.grad.numpy(), expected, rtol=0.15)


def test_straight_through_samples_pass_gradients_to_the_probabilities():
    logits = jt.tensor([0.2, -0.3, 0.5], requires_grad=True)
    x = D.OneHotCategoricalStraightThrough(logits=logits).rsample()
    (x * jt.tensor([1.0, 2.0, 3.0])).sum().backward()
    p = jax.nn.softmax(jnp.array([0.2, -0.3, 0.5]))
    w = jnp.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(logits.grad.numpy(), p * (w - p @ w), rtol=1e-5)
    np.testing.assert_allclose(sorted(x.detach().numpy()), [0, 0, 1], atol=1e-6)


def test_relaxed_samples_and_mixtures():
    logits = jt.tensor([0.5, -1.0], requires_grad=True)
    x = D.RelaxedBernoulli(jt.tensor(0.3), logits=logits).rsample((5,))
    x.sum().backward()
    assert ((x > 0) & (x < 1)).all()
    assert (logits.grad > 0).all()
    mixture = D.MixtureSameFamily(
        D.Categorical(jt.tensor([0.25, 0.75])), D.Normal(jt.tensor([-10.0, 10.0]), 1.0)
    )
    assert abs((mixture.sample((COUNT,)) > 0).float().mean().item() - 0.75) < 0.04
    with pytest.raises(NotImplementedError, match="MixtureSameFamily has no rsample"):
        mixture.rsample()


def test_samples_of_arrays_are_arrays_and_constants_for_jax():
    d = D.Normal(jnp.zeros(3), jnp.ones(3))
    assert isinstance(d.sample((2,)), jax.Array)
    slope = jax.grad(lambda m: D.Normal(m, 1.0).sample().sum())(jnp.ones(3))
    np.testing.assert_array_equal(slope, 0)
    slope = jax.grad(lambda m: D.Normal(m, 1.0).rsample().sum())(jnp.ones(3))
    np.testing.assert_array_equal(slope, 1)


def test_sixteen_bit_parameters_give_samples_of_their_type():
    for dtype in (jt.bfloat16, jt.float16):
        one = jt.ones(3, dtype=dtype)
        assert D.Normal(one, one).sample().dtype is dtype
        assert D.Gamma(one, one).sample().dtype is dtype
        assert D.Uniform(one * 0, one).sample().dtype is dtype
    with pytest.raises(NotImplementedError, match=r"float type, got torch\.int64"):
        D.Normal(jt.tensor([1]), jt.tensor([1])).sample()
