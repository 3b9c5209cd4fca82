"""Batches like one before are recognised, and only those: what is found is what gathering finds."""

import itertools

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox.engine import plan
from jtoolbox.engine.pattern import Pattern

RNG = np.random.default_rng(0)


@pytest.fixture
def fitted(monkeypatch):
    """How many batches fitted a pattern; each is gathered as if new too, with the same outcome."""
    found = []
    fits = Pattern.fits

    def checked(self, batch):
        values = fits(self, batch)
        if values is not None:
            found.append(self)
            unread = []
            kind = plan.kind_of(batch, unread)
            given = unread if plan._patterns.get(kind) is self else None
            new = plan._gather(batch, [], given)
            assert new.key == self.key
            assert new.roots == new.wrt == []
            for a, b in (
                (new.leaves, self.leaves(values)),
                (new.outputs, self.outputs(values)),
                (unread, self.unread(values)),
            ):
                assert len(a) == len(b)
                assert all(x is y for x, y in zip(a, b, strict=True))
        return values

    monkeypatch.setattr(Pattern, "fits", checked)
    return found


def data():
    return jt.tensor(RNG.normal(size=(4, 3)).astype("f"))


def training(optimizer, **settings):
    jt.manual_seed(0)
    model = jt.nn.Sequential(jt.nn.Linear(3, 5), jt.nn.ReLU(), jt.nn.Linear(5, 2))
    return model, getattr(jt.optim, optimizer)(model.parameters(), **settings)


@pytest.mark.parametrize(
    ("optimizer", "settings"), [("SGD", {"lr": 0.1, "momentum": 0.1}), ("Adam", {"lr": 0.1})]
)
def test_the_steps_of_a_loop_fit(optimizer, settings, fitted):
    model, optimizer = training(optimizer, **settings)
    for _ in range(6):
        loss = model(data()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert np.isfinite(loss.item())
    assert len(fitted) >= 3


def test_equal_numbers_stay_numbers_of_their_own(fitted):
    p = jt.tensor(RNG.normal(size=(4, 3)).astype("f"), requires_grad=True)
    for x, y in [(0.5, 0.5), (0.5, 0.5), (0.25, 0.75), (1.0, 1.0), (2.0, 3.0)]:
        (gradient,) = jt.autograd.grad(((p * x + y) * p).sum(), p)
        np.testing.assert_allclose(gradient.numpy(), 2 * x * p.detach().numpy() + y, 1e-5)
    assert fitted


VARIANTS = {
    "plain": lambda p, a, b, keep: (p * a + b).sum(),
    "other operand": lambda p, a, b, keep: (p * b + a).sum(),
    "one leaf": lambda p, a, b, keep: (p * a + a).sum(),
    "itself": lambda p, a, b, keep: (p * p + b).sum(),
    "kept": lambda p, a, b, keep: keep(p * a + b).sum(),
    "two kept": lambda p, a, b, keep: keep(keep(p * a) + b).sum(),
    "constant": lambda p, a, b, keep: (p.detach() * a + b * p).sum(),
    "results swapped": lambda p, a, b, keep: (b + p * a).sum(),
}


@pytest.mark.parametrize("pair", list(itertools.combinations(VARIANTS, 2)), ids=" and ".join)
def test_graphs_of_one_kind_are_told_apart(pair, fitted):
    p = jt.tensor(RNG.normal(size=(4, 3)).astype("f"), requires_grad=True)
    optimizer = jt.optim.SGD([p], 0.5)
    value = p.detach().numpy().copy()
    for name in (*pair, *pair, *reversed(pair)):
        a, b = data(), data()
        kept = []

        def keep(x, kept=kept):
            kept.append(x)
            return x

        loss = VARIANTS[name](p, a, b, keep)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        slope = {"other operand": b, "itself": 2 * value, "constant": b}.get(name, a)
        value = value - 0.5 * np.asarray(slope)
        for x in kept:
            assert np.isfinite(x.detach().numpy()).all()
        np.testing.assert_allclose(p.detach().numpy(), value, 1e-5, 1e-5)


def test_a_value_that_somebody_keeps_for_once_is_computed(fitted):
    model, optimizer = training("SGD", lr=0.1)
    kept = []
    for step in range(8):
        hidden = model[0](data())
        loss = model[2](model[1](hidden)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (3, 6):
            kept += [hidden, model[0].weight.grad, loss]
        del hidden, loss
    for x in kept:
        assert np.isfinite(x.detach().numpy()).all()
    assert fitted


def test_frozen_parameters_do_not_fit_the_step_before(fitted):
    model, optimizer = training("SGD", lr=0.1)
    before = model[0].weight.detach().numpy().copy()
    for step in range(6):
        model[0].requires_grad_(step < 3)
        loss = model(data()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step == 2:
            frozen = model[0].weight.detach().numpy().copy()
    assert not np.array_equal(before, frozen)
    np.testing.assert_array_equal(model[0].weight.detach().numpy(), frozen)


def test_a_leaf_made_of_others_does_not_fit_what_passes_gradients(fitted):
    w = jt.tensor(RNG.normal(size=(4, 3)).astype("f"), requires_grad=True)
    for leaf in (False, True, False, True):
        w.grad = None
        scaled = w * 3
        x = scaled.detach() if leaf else scaled.reshape(4, 3)
        if leaf:
            x.requires_grad_()
        x.square().sum().backward()
        assert (w.grad is None) == leaf
        found = x.grad if leaf else w.grad / 3
        np.testing.assert_allclose(found.numpy(), 6 * w.detach().numpy(), 1e-5)


def test_a_shared_weight_does_not_fit_two(fitted):
    for shared in (False, True, False, True):
        jt.manual_seed(0)
        a, b = jt.nn.Linear(3, 3, bias=False), jt.nn.Linear(3, 3, bias=False)
        if shared:
            b.weight = a.weight
        for _ in range(3):
            x = data()
            loss = b(a(x)).sum()
            a.weight.grad = b.weight.grad = None
            loss.backward()
            w, v = a.weight.detach().numpy(), b.weight.detach().numpy()
            ones = np.ones((4, 3), "f")
            first = (ones @ v).T @ x.numpy()
            second = ones.T @ (x.numpy() @ w.T)
            expected = first + second if shared else second
            np.testing.assert_allclose(b.weight.grad.numpy(), expected, 1e-4, 1e-4)
