"""`jit` and `scan`: frozen steps do what the plain loop does."""

from __future__ import annotations

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn, optim
from jtoolbox.nn import functional as F

RNG = np.random.default_rng(0)
X = RNG.standard_normal((6, 8, 12)).astype(np.float32)
Y = RNG.integers(0, 3, (6, 8))


class Trained:
    """A model with BatchNorm, dropout and an optimizer, built from the same seed every time."""

    def __init__(self, make=lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1)):
        jt.manual_seed(3)
        self.model = nn.Sequential(
            nn.Linear(12, 16, bias=False),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(16, 3),
        )
        self.optimizer = make(self.model.parameters())

    def step(self, x, y):
        loss = F.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> dict[str, np.ndarray]:
        return {k: v.detach().numpy() for k, v in self.model.state_dict().items()}


MAKERS = [
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.1),
    lambda p: optim.Adam(p, lr=0.01),
    lambda p: optim.AdamW(p, lr=0.01, amsgrad=True),
]


def plain(make, batches=range(6)) -> tuple[list[float], dict[str, np.ndarray]]:
    trained = Trained(make)
    losses = [trained.step(jt.tensor(X[i]), jt.tensor(Y[i])).item() for i in batches]
    return losses, trained.state()


def assert_states(a, b) -> None:
    assert a.keys() == b.keys()
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("make", MAKERS)
def test_a_frozen_step_gives_the_losses_of_the_plain_loop(make):
    losses, state = plain(make)
    trained = Trained(make)
    step = jt.jit(trained.step)
    found = [step(X[i], Y[i]).item() for i in range(6)]
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    assert_states(trained.state(), state)


@pytest.mark.parametrize("make", MAKERS)
def test_scan_gives_the_losses_of_the_plain_loop(make):
    losses, state = plain(make)
    trained = Trained(make)
    first = jt.scan(trained.step, (X[:3], Y[:3]))
    second = jt.scan(trained.step, (jt.tensor(X[3:]), jt.tensor(Y[3:])))
    assert first.shape == (3,)
    np.testing.assert_allclose([*first.numpy(), *second.numpy()], losses, rtol=1e-5)
    assert_states(trained.state(), state)


def test_plain_steps_and_frozen_steps_may_alternate():
    losses, state = plain(MAKERS[1])
    trained = Trained(MAKERS[1])
    step = jt.jit(trained.step)
    found = []
    for i in range(6):
        run = step if i % 2 else trained.step
        found.append(run(jt.tensor(X[i]), jt.tensor(Y[i])).item())
    np.testing.assert_allclose(found, losses, rtol=1e-6)
    assert_states(trained.state(), state)


def test_a_frozen_step_compiles_once_and_runs_no_python_again(compilations):
    trained = Trained()
    calls = []

    def step(x, y):
        calls.append(1)
        return trained.step(x, y)

    frozen = jt.jit(step)
    frozen(X[0], Y[0])
    compilations.count()
    for i in range(5):
        frozen(X[i], Y[i])
    assert len(calls) == 1
    assert compilations.count() == 0
    frozen(X[0][:5], Y[0][:5])
    assert len(calls) == 2


def test_a_changed_lr_takes_effect_in_a_frozen_step(compilations):
    trained = Trained()
    step = jt.jit(trained.step)
    step(X[0], Y[0])
    step(X[0], Y[0])
    compilations.count()
    trained.optimizer.param_groups[0]["lr"] = 0.0
    before = trained.model[0].weight.detach().numpy()
    step(X[1], Y[1])
    np.testing.assert_array_equal(trained.model[0].weight.detach().numpy(), before)
    assert compilations.count() == 0


def test_eval_and_loaded_weights_are_seen_by_a_frozen_call():
    trained = Trained()
    model = trained.model

    @jt.jit
    def predict(x):
        with jt.no_grad():
            return model(x)

    model.eval()
    a = predict(X[0]).numpy()
    np.testing.assert_allclose(a, model(jt.tensor(X[0])).detach().numpy(), rtol=1e-5)
    model.train()
    assert not np.array_equal(predict(X[0]).numpy(), predict(X[0]).numpy())
    model.eval()
    model.load_state_dict({k: v * 0 if "weight" in k else v for k, v in model.state_dict().items()})
    np.testing.assert_allclose(predict(X[0]).numpy(), model(jt.tensor(X[0])).detach().numpy())


def test_results_keep_their_structure():
    @jt.jit
    def two(x, scale):
        return {"a": x * scale, "b": (x.sum(), "text", 3)}

    out = two(X[0], 2.0)
    again = two(X[1], 2.0)
    np.testing.assert_allclose(again["a"].numpy(), X[1] * 2)
    assert out["b"][1:] == ("text", 3)
    np.testing.assert_allclose(two(X[1], 3.0)["a"].numpy(), X[1] * 3)


def test_gradients_may_be_returned_but_are_not_kept():
    trained = Trained()

    def step(x, y):
        loss = trained.step(x, y)
        return loss, trained.model[0].weight.grad

    frozen = jt.jit(step)
    frozen(X[0], Y[0])
    _, gradient = frozen(X[1], Y[1])
    assert gradient.shape == (16, 12)
    with pytest.raises(RuntimeError, match="return them from the step"):
        _ = trained.model[4].weight.grad


def test_values_must_not_be_asked_for_inside():
    trained = Trained()

    @jt.jit
    def step(x, y):
        return trained.step(x, y).item()

    with pytest.raises(RuntimeError, match=r"a value was needed.*Return the tensor"):
        step(X[0], Y[0])
    assert np.isfinite(trained.step(jt.tensor(X[0]), jt.tensor(Y[0])).item())


def test_a_result_with_a_graph_is_an_error():
    trained = Trained()
    with pytest.raises(RuntimeError, match=r"call backward\(\) inside the step"):
        jt.jit(trained.model)(X[0])


def test_gradients_from_before_the_step_are_an_error():
    trained = Trained()
    F.cross_entropy(trained.model(jt.tensor(X[0])), jt.tensor(Y[0])).backward()

    @jt.jit
    def step(x, y):
        loss = F.cross_entropy(trained.model(x), y)
        loss.backward()
        trained.optimizer.step()
        return loss

    with pytest.raises(RuntimeError, match="zero_grad"):
        step(X[0], Y[0])


def test_scan_needs_equal_leading_axes():
    trained = Trained()
    with pytest.raises(ValueError, match="leading size"):
        jt.scan(trained.step, (X[:3], Y[:2]))
    with pytest.raises(ValueError, match="leading axis"):
        jt.scan(trained.step, 3.0)


def test_a_step_that_returns_an_argument_returns_that_of_the_call():
    step = jt.jit(lambda x: (x, x * 2))
    for number in (1.0, 3.0, 5.0):
        same, double = step(jt.full((2,), number))
        assert (same.tolist(), double.tolist()) == ([number] * 2, [2 * number] * 2)
    same, double = jt.scan(step.function, jt.arange(6.0).reshape(3, 2))
    assert same.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert double.tolist() == [[0, 2], [4, 6], [8, 10]]


def test_a_step_that_only_returns_its_arguments_may_be_frozen():
    same, nothing = jt.jit(lambda x: (x, 3)), jt.jit(lambda x: None)
    for value in ([1.0, 2.0], [3.0, 4.0]):
        x, number = same(jt.tensor(value))
        assert (x.tolist(), number) == (value, 3)
        assert nothing(jt.tensor(value)) is None


@pytest.mark.parametrize("how", ["detach", "data"])
def test_a_frozen_step_reads_a_detached_parameter_anew(how):
    losses = []
    for freeze in (False, True):
        w = jt.nn.Parameter(jt.tensor([1.0, 2.0]))
        optimizer = jt.optim.SGD([w], lr=0.1)

        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            still = w.detach() if how == "detach" else w.data
            loss = (x * w * still.sum()).square().sum()
            loss.backward()
            optimizer.step()
            return loss

        step = jt.jit(step) if freeze else step
        losses.append([step(jt.tensor([0.1, 0.2])).item() for _ in range(3)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
