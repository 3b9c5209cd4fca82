"""Loops of steps that change large matrices by outer products: found, and equal to plain loops."""

import jax
import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.engine import low_rank
from jtoolbox.nn import functional as F

SGD = {"lr": 0.05, "momentum": 0.9}


@pytest.fixture
def found(monkeypatch):
    """Small matrices count as large; the list of what was found in each loop."""
    found, find = [], low_rank.find
    monkeypatch.setattr(low_rank, "LEAST", 24)
    monkeypatch.setattr(low_rank, "BLOCK", 16)

    def spy(*args):
        found.append(find(*args))
        return found[-1]

    monkeypatch.setattr(low_rank, "find", spy)
    return found


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(6, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.second(F.relu(self.first(x)))


class Prepared(Plain):
    def forward(self, x):
        return super().forward((x * 2 - 1).flatten(1))


class TwoHeads(Plain):
    def __init__(self):
        super().__init__()
        self.other = nn.Linear(6, 5, bias=False)

    def forward(self, x):
        return self.second(F.relu(self.first(x)) + F.tanh(self.other(x.cos())))


class Shared(TwoHeads):
    def forward(self, x):
        return self.second(F.relu(self.first(x)) * F.tanh(self.other(x)))


class Penalized(Plain):
    def forward(self, x):
        return super().forward(x) * self.first.weight.norm()


class Twice(Plain):
    def forward(self, x):
        return super().forward(x) + self.second(self.first(x * 2))


def data(count, batch=1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(count, batch, 6)).astype("f")
    return x, rng.integers(0, 3, (count, batch))


def train(scanned, model, optimizer, settings, x, label):
    jt.manual_seed(0)
    model = model()
    optimizer = getattr(jt.optim, optimizer)(model.parameters(), **settings)

    def step(x, label):
        loss = F.cross_entropy(model(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    if scanned:
        losses = jt.scan(step, (x, label)).numpy()
    else:
        losses = np.array(
            [step(jt.tensor(a), jt.tensor(b)).item() for a, b in zip(x, label, strict=True)]
        )
    return losses, [p.detach().numpy() for p in model.parameters()], optimizer.state_dict()


def assert_same(model, optimizer, settings, x, label):
    for a, b in zip(
        jax.tree.leaves(train(True, model, optimizer, settings, x, label)),
        jax.tree.leaves(train(False, model, optimizer, settings, x, label)),
        strict=True,
    ):
        a, b = (v.numpy() if isinstance(v, jt.Tensor) else v for v in (a, b))
        np.testing.assert_allclose(a, b, 2e-4, 2e-5)


@pytest.mark.parametrize(
    ("settings", "members"),
    [
        ({"lr": 0.1}, 1),
        (SGD, 2),
        (SGD | {"nesterov": True, "weight_decay": 0.01}, 2),
        (SGD | {"dampening": 0.3, "maximize": True, "lr": 0.01}, 2),
    ],
    ids=["plain", "momentum", "nesterov and decay", "dampening and maximize"],
)
@pytest.mark.parametrize("count", [16, 37], ids=["one block", "blocks and a rest"])
def test_sgd_by_single_samples_gives_what_the_plain_loop_gives(found, settings, members, count):
    assert_same(Plain, "SGD", settings, *data(count))
    assert [len(group.members) for group in found[0].groups] == [members]


@pytest.mark.parametrize(
    ("model", "groups"), [(Prepared, 1), (TwoHeads, 2), (Shared, 2), (Twice, 0), (Penalized, 0)]
)
def test_other_networks_give_what_the_plain_loop_gives(found, model, groups):
    assert_same(model, "SGD", SGD, *data(20))
    assert (len(found[0].groups) if found[0] else 0) == groups


@pytest.mark.parametrize(
    ("optimizer", "settings", "count", "batch"),
    [("Adam", {"lr": 0.01}, 20, 1), ("SGD", SGD, 20, 2), ("RMSprop", {"lr": 0.01}, 20, 1)],
    ids=["Adam", "two samples", "RMSprop"],
)
def test_steps_of_another_kind_run_as_they_are(found, optimizer, settings, count, batch):
    assert_same(Plain, optimizer, settings, *data(count, batch))
    assert found == [None]


@pytest.mark.usefixtures("found")
def test_a_row_of_matrices_is_no_row():
    def step(w, x):
        return 0.9 * w, jax.lax.dot_general(x, w, (((1,), (1,)), ((), ())))

    jaxpr = jax.make_jaxpr(step)(np.zeros((5, 6), "f"), np.zeros((1, 6, 2), "f")).jaxpr
    assert low_rank.find(jaxpr, 1) is None


def test_few_steps_run_as_they_are(found):
    assert_same(Plain, "SGD", SGD, *data(5))
    assert found == []


def test_gradients_that_the_step_returns_are_whole(found):
    jt.manual_seed(0)
    model = Plain()
    optimizer = jt.optim.SGD(model.parameters(), lr=0.1)
    x, label = data(18)

    def step(x, label):
        loss = F.cross_entropy(model(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return model.first.weight.grad

    found_gradients = jt.scan(step, (x, label)).numpy()
    assert found[0] is not None
    jt.manual_seed(0)
    model = Plain()
    optimizer = jt.optim.SGD(model.parameters(), lr=0.1)
    for i in range(18):
        gradient = step(jt.tensor(x[i]), jt.tensor(label[i]))
        np.testing.assert_allclose(found_gradients[i], gradient.numpy(), 1e-4, 1e-5)


def test_small_matrices_are_left_alone():
    def step(w, x):
        return w - 0.1 * (x.T @ x), w @ x.T

    jaxpr = jax.make_jaxpr(step)(np.zeros((6, 6), "f"), np.zeros((1, 6), "f")).jaxpr
    assert low_rank.find(jaxpr, 1) is None
