"""What all distributions share: shapes, checks and their words, expansion, reprs, steps."""

from __future__ import annotations

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.distributions

import jtoolbox as jt
from jtoolbox import distributions as D
from jtoolbox import nn, optim
from jtoolbox.engine import mode
from tests.distributions.cases import CASES
from tests.nn.both import both
from tests.reference import to_torch


def in_both(name):
    case = CASES[name]
    floats = [p.astype(np.float32) for p in case.parameters]
    ours = case.make(D, *[jt.tensor(p) for p in floats])
    return ours, case.make(torch.distributions, *[to_torch(p) for p in floats])


@pytest.mark.parametrize("name", CASES)
def test_shapes_flags_support_and_repr(name):
    ours, theirs = in_both(name)
    for attribute in ("batch_shape", "event_shape", "has_rsample", "has_enumerate_support"):
        assert getattr(ours, attribute) == getattr(theirs, attribute), attribute
    if name.startswith("Mixture"):  # PyTorch's check of the number of components computed them
        _ = ours.mixture_distribution.logits
    assert repr(ours) == repr(theirs)
    assert repr(ours.support).split("(")[0] == repr(theirs.support).split("(")[0]
    assert ours.support.event_dim == theirs.support.event_dim
    assert {k: type(v).__name__ for k, v in ours.arg_constraints.items()} == {
        k: type(v).__name__ for k, v in theirs.arg_constraints.items()
    }
    assert type(ours).__module__.replace("jtoolbox", "torch") == type(theirs).__module__


@pytest.mark.parametrize("name", [n for n in CASES if "-" not in n])
def test_expand_repeats_the_distribution(name):
    ours, theirs = in_both(name)
    shape = (2, *ours.batch_shape)
    wide, expected = ours.expand(shape), theirs.expand(shape)
    assert type(wide) is type(ours)
    assert (wide.batch_shape, wide.event_shape) == (expected.batch_shape, expected.event_shape)
    value = jt.tensor(CASES[name].value)
    if value.is_floating_point():
        value = value.float()
    pair = [d.log_prob(value).numpy() for d in (ours, wide)]
    np.testing.assert_allclose(
        np.broadcast_to(pair[0], pair[1].shape), pair[1], rtol=1e-4, atol=1e-5
    )


ENUMERATED = ["Bernoulli", "Binomial", "Categorical", "OneHotCategorical"]


@pytest.mark.parametrize("name", ENUMERATED)
@pytest.mark.parametrize("expand", [True, False])
def test_enumerate_support(name, expand):
    ours, theirs = in_both(name)
    a, b = ours.enumerate_support(expand), theirs.enumerate_support(expand)
    assert str(a.dtype) == str(b.dtype)
    np.testing.assert_array_equal(a.numpy(), b.numpy())


SAME_ERRORS = [
    "D.Normal('a', 1.0)",
    "D.Normal(torch.zeros(3), 1.0).log_prob(3.0)",
    "D.Normal(torch.zeros(3), 1.0).log_prob(torch.zeros(2))",
    "D.MultivariateNormal(torch.zeros(3), torch.eye(3)).log_prob(torch.zeros(2))",
    "D.MultivariateNormal(torch.zeros(3), torch.eye(3)).log_prob(torch.tensor(0.0))",
    "D.Normal(0.0, -1.0)",
    "D.Bernoulli(probs=1.5)",
    "D.Exponential(1.0).log_prob(torch.tensor(-1.0))",
    "D.Binomial(3, torch.tensor(0.5)).log_prob(torch.tensor(4.0))",
    "D.Categorical(torch.tensor([-1.0, 2.0]))",
    "D.Categorical(torch.tensor([1.0, 2.0])).log_prob(torch.tensor(2))",
    "D.Uniform(3.0, torch.ones(2, requires_grad=True))",
    "D.ContinuousBernoulli(torch.tensor([1.5]), validate_args=False)",
    "D.Uniform(1.0, 0.0)",
    "D.Uniform(0.0, 1.0).log_prob(torch.tensor(2.0))",
    "D.Dirichlet(torch.tensor([1.0, -1.0]))",
    "D.MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]]))",
    "D.Multinomial(2, torch.tensor([0.5, 0.5])).log_prob(torch.tensor([1.0, 2.0]))",
    "D.NegativeBinomial(3, torch.tensor(1.0))",
    "D.OneHotCategorical(torch.tensor([0.5, 0.5])).log_prob(torch.tensor([0.5, 0.5]))",
    "D.Poisson(1.0).log_prob(torch.tensor(0.5))",
    "D.Bernoulli()",
    "D.Bernoulli(probs=torch.tensor(0.5), logits=torch.tensor(0.2))",
    "D.Categorical(probs=torch.tensor(0.5))",
    "D.Categorical(logits=torch.tensor(0.5))",
    "D.Dirichlet(torch.tensor(1.0))",
    "D.Independent(D.Normal(0.0, 1.0), 1)",
    "D.MultivariateNormal(torch.tensor(0.0), torch.eye(2))",
    "D.MultivariateNormal(torch.zeros(2))",
    "D.MultivariateNormal(torch.zeros(2), torch.tensor(1.0))",
    "D.MultivariateNormal(torch.zeros(2), scale_tril=torch.tensor(1.0))",
    "D.LowRankMultivariateNormal(torch.zeros(2), torch.zeros(2), torch.ones(2))",
    "D.LowRankMultivariateNormal(torch.zeros(2), torch.zeros(3, 1), torch.ones(2))",
    "D.LowRankMultivariateNormal(torch.zeros(2), torch.zeros(2, 1), torch.ones(3))",
    "D.LKJCholesky(1)",
    "D.MixtureSameFamily(D.Categorical(torch.ones(2)), D.Normal(torch.zeros(3), 1.0))",
    "D.MixtureSameFamily(D.Categorical(torch.ones(3, 2)), D.Normal(torch.zeros(2, 2), 1.0))",
    "D.Multinomial(torch.tensor(2), torch.tensor([0.5, 0.5]))",
    "D.Binomial(torch.tensor([2.0, 3.0]), torch.tensor([0.5, 0.2])).enumerate_support()",
    "D.Independent(D.Bernoulli(torch.ones(2) / 2), 1).enumerate_support()",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), 3)",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), [3])",
    "D.TransformedDistribution(D.Normal(0.0, 1.0), [D.StickBreakingTransform()])",
    "D.Wishart(torch.tensor(3.0), torch.tensor([1.0]))",
    "D.Wishart(torch.tensor(3.0))",
]


@pytest.mark.parametrize("code", SAME_ERRORS)
def test_errors_have_pytorchs_type_and_words(code):
    def words(lib):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            eval(code, {"torch": lib, "D": lib.distributions})
        text = str(caught.value).split(" Got ")[0]
        return caught.type, text

    assert words(jt) == words(torch)


def test_a_number_beside_a_parameter_that_requires_grad_is_checked():
    with pytest.raises(ValueError, match=r"parameter concentration1 .* invalid values"):
        D.Beta(-1.0, jt.ones(2, requires_grad=True))


def test_missing_quantities_are_named():
    for call, words in [
        (lambda: D.StudentT(2.0).cdf(jt.tensor(0.0)), r"StudentT has no cdf\(\)"),
        (lambda: D.VonMises(0.0, 1.0).entropy(), r"VonMises has no entropy\(\)"),
        (lambda: D.Geometric(0.5).rsample(), r"Geometric has no rsample\(\).* Use sample\(\)"),
        (lambda: D.Normal(0.0, 1.0).enumerate_support(), "support is not a finite set"),
        (lambda: D.RelaxedBernoulli(jt.tensor(1.0), 0.5).mean, "RelaxedBernoulli has no mean"),
        (lambda: D.Multinomial(2, jt.ones(2)).mode, "does not implement mode"),
    ]:
        with pytest.raises(NotImplementedError, match=words):
            call()
    with pytest.raises(ValueError, match="to be positive but found"):
        D.Geometric(jt.tensor(0.0))
    with pytest.raises(IndexError, match="components are the last batch dimension"):
        D.MixtureSameFamily(D.Categorical(jt.ones(2)), D.Normal(0.0, 1.0))
    with pytest.warns(FutureWarning, match="sample_n"):
        D.Normal(0.0, 1.0).sample_n(2)
    with pytest.raises(ValueError, match="takes True or False, got 3"):
        D.Distribution.set_default_validate_args(3)


@both
def test_checks_can_be_switched_off(lib):
    d = lib.distributions
    assert d.Normal(0.0, -1.0, validate_args=False).scale == -1
    d.Distribution.set_default_validate_args(False)
    try:
        d.Normal(0.0, -1.0)
    finally:
        d.Distribution.set_default_validate_args(True)


@both
def test_a_subclass_with_its_own_constructor_must_define_expand(lib):
    class Standard(lib.distributions.Normal):
        def __init__(self):
            super().__init__(0.0, 1.0)

    with pytest.raises(NotImplementedError, match="Subclass Standard of Normal that defines"):
        Standard().expand((2,))


def test_modules_have_pytorchs_paths():
    for name in ("normal", "categorical", "studentT", "multivariate_normal", "kl", "utils"):
        module = importlib.import_module(f"jtoolbox.distributions.{name}")
        assert importlib.import_module(f"torch.distributions.{name}").__all__[0] in dir(module)


def test_kumaraswamy_has_the_mode_that_pytorch_lacks():
    d = D.Kumaraswamy(jt.tensor([2.0, 0.5]), jt.tensor([3.0, 2.0]))
    np.testing.assert_allclose(d.mode.numpy(), [(1 / 5) ** 0.5, np.nan], rtol=1e-6)


def test_a_flat_generalized_pareto_is_exponential():
    x = jt.tensor([0.3, 1.5], requires_grad=True)
    flat, exponential = D.GeneralizedPareto(0.0, 2.0, 0.0), D.Exponential(0.5)
    for name in ("log_prob", "cdf"):
        np.testing.assert_allclose(
            getattr(flat, name)(x).detach(), getattr(exponential, name)(x).detach(), rtol=1e-5
        )
    flat.log_prob(x).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), -0.5, rtol=1e-6)
    np.testing.assert_allclose(
        flat.icdf(jt.tensor(0.3)), exponential.icdf(jt.tensor(0.3)), rtol=1e-5
    )


# --- in programs ----------------------------------------------------------------------------------


def test_checks_run_nothing_and_see_only_known_values():
    w = jt.tensor([-1.0], requires_grad=True)
    pending = w * 2
    count = len(mode.pending)
    d = D.Normal(jt.zeros(1), pending)
    assert len(mode.pending) == count
    d.log_prob(pending)
    assert pending._node.value is None
    with pytest.raises(ValueError, match="to satisfy the constraint"):
        D.Normal(jt.zeros(1), w)


def test_an_episode_compiles_as_many_programs_whatever_its_length():
    def episode(length: int) -> int:
        jt.synchronize()  # the last step of an earlier episode is none of this one's programs
        jt.engine.clear_programs()
        policy = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        optimizer = optim.SGD(policy.parameters(), lr=0.01)
        state, logs = jt.ones(1, 4), []
        for _ in range(length):
            d = D.Categorical(logits=policy(state))
            action = d.sample()
            assert action.item() in (0, 1)
            logs.append(d.log_prob(action))
        loss = -jt.cat(logs).mean() - 0.01 * d.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert np.isfinite(loss.item())
        return jt.engine.program_count()

    short, long = episode(10), episode(60)
    assert long == short
    assert long <= 10


def test_a_frozen_step_draws_anew_at_each_call(compilations):
    loc = nn.Parameter(jt.zeros(3))
    fixed = D.Categorical(logits=jt.zeros(4))

    @jt.jit
    def step(x):
        d = D.Normal(loc, nn.functional.softplus(x))
        z = d.rsample()
        kl = D.kl_divergence(d, D.Normal(0.0, 1.0)).sum()
        return z.detach(), kl.detach(), fixed.sample()

    x = jt.ones(3)
    first = step(x)[0].numpy()
    compilations.count()
    draws = [step(x) for _ in range(8)]
    assert compilations.count() == 0
    assert len({d[0].numpy().tobytes() for d in draws}) == 8
    assert not np.array_equal(first, draws[0][0].numpy())
    assert len({d[2].item() for d in draws}) > 1
    assert np.isfinite(draws[0][1].item())
    assert fixed.probs.tolist() == [0.25] * 4  # nothing of the recording stayed in it


def test_a_variational_step_is_one_program():
    encoder = nn.Linear(4, 6)
    optimizer = optim.SGD(encoder.parameters(), lr=0.1)

    def step():
        mean, log_scale = encoder(jt.ones(5, 4)).chunk(2, -1)
        d = D.Normal(mean, log_scale.exp())
        loss = (d.rsample() ** 2).mean() + D.kl_divergence(d, D.Normal(0.0, 1.0)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    before = jt.engine.program_count()
    losses = [step() for _ in range(5)]
    assert jt.engine.program_count() - before <= 2
    assert losses[-1] < losses[0]


def test_jax_transforms_distributions_of_arrays():
    def loss(mean, x):
        return D.Normal(mean, 2.0).log_prob(x)

    slopes = jax.jit(jax.vmap(jax.grad(loss)))(jnp.zeros(3), jnp.arange(3.0))
    np.testing.assert_allclose(slopes, jnp.arange(3.0) / 4)
    entropy = jax.jit(lambda w: D.Categorical(logits=w).entropy())(jnp.zeros(4))
    np.testing.assert_allclose(entropy, np.log(4), rtol=1e-6)
