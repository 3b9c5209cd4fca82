"""Small programs as one kernel: which they are, and that they compute the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.engine import one_kernel as module
from jtoolbox.engine.one_kernel import one_kernel

pytestmark = pytest.mark.skipif(jax.default_backend() != "cpu", reason="a remedy for CPUs")

RNG = np.random.default_rng(0)
WEIGHT = jnp.asarray(RNG.normal(size=(100, 200)) / 14, jnp.float32)


def rows(n):
    return jnp.asarray(RNG.normal(size=(n, 200)), jnp.float32)


def network(x, w):
    return jnp.tanh(x @ w.T)


def assert_same(function, *args, donated=()):
    kernel = one_kernel(jax.jit(function), donated, *args)
    assert kernel is not None
    expected = function(*args)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, 1e-5, 1e-5), kernel(*args), expected)


def test_a_layer_of_one_sample_is_one_kernel_and_gives_the_same():
    assert_same(network, rows(1), WEIGHT)


def test_gradients_and_an_update_in_place_give_the_same():
    def step(w, x):
        loss, gradient = jax.value_and_grad(lambda w: (network(x, w) ** 2).mean())(w)
        return w - 0.1 * gradient, loss

    assert_same(step, jnp.array(WEIGHT), rows(1), donated=(0,))


def test_a_loop_of_steps_gives_the_same():
    def steps(w, xs):
        def step(w, x):
            loss, gradient = jax.value_and_grad(lambda w: (network(x, w) ** 2).mean())(w)
            return w - 0.1 * gradient, loss

        return jax.lax.scan(step, w, xs)

    assert_same(steps, jnp.array(WEIGHT), jnp.stack([rows(1) for _ in range(5)]), donated=(0,))


@pytest.mark.parametrize(
    "function",
    [
        lambda x, w, unused: network(x, w),
        lambda x, w, i: jax.lax.dynamic_slice(network(x, w), (i, 0), (1, 100)),  # i can only be 0
        lambda x, w, y: (network(x, w), y),
    ],
    ids=["unused", "simplified", "passed on"],
)
def test_an_argument_that_the_result_does_not_need_does_no_harm(function):
    assert_same(function, rows(1), WEIGHT, jnp.zeros((), jnp.int32))


def test_a_large_array_that_is_overwritten_and_perhaps_not_read_stays_as_it_is():
    def whole(w, x, other):
        return jax.lax.dynamic_update_slice(w, other, (0, 0)), network(x, other)

    assert one_kernel(jax.jit(whole), (0,), jnp.array(WEIGHT), rows(1), WEIGHT) is None


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (network, (rows(64), WEIGHT)),
        (lambda x: jnp.tanh(x) + 1, (rows(100),)),
        (lambda x, w: network(x, w) * jnp.sum(w), (rows(1), WEIGHT)),
        (lambda x, w: jnp.sort(network(x, w)), (rows(1), WEIGHT)),
        (network, (rows(1)[:, :4], WEIGHT[:4, :4])),
        (network, (jnp.zeros((1, 2000)), jnp.zeros((1000, 2000)))),
    ],
    ids=["many samples", "no product", "a long sum", "a sort", "tiny", "large"],
)
def test_other_programs_stay_as_they_are(function, args):
    assert one_kernel(jax.jit(function), (), *args) is None


def test_constants_that_are_arrays_stay_as_they_are():
    assert one_kernel(jax.jit(lambda x: network(x, WEIGHT)), (), rows(1)) is None


def test_the_environment_turns_it_off(monkeypatch):
    monkeypatch.setenv("JTOOLBOX_ONE_KERNEL", "0")
    assert one_kernel(jax.jit(network), (), rows(1), WEIGHT) is None


def losses(run, optimizer):
    jt.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 60), nn.ReLU(), nn.Linear(60, 10))
    update = optimizer(model.parameters())

    def step(x, y):
        loss = nn.functional.cross_entropy(model(x), y)
        update.zero_grad()
        loss.backward()
        update.step()
        return loss

    x = jt.tensor(np.random.default_rng(1).normal(size=(12, 1, 784)).astype("f"))
    y = jt.arange(12).reshape(12, 1) % 10
    if run == "scan":
        return jt.scan(step, (x, y)).numpy()
    step = jt.jit(step) if run == "jit" else step
    return np.array([step(x[i], y[i]).item() for i in range(12)])


@pytest.mark.parametrize("run", ["loop", "jit", "scan"])
@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: jt.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=0.01),
        lambda p: jt.optim.AdamW(p, lr=0.001),
    ],
    ids=["SGD", "AdamW"],
)
def test_training_by_single_samples_is_one_kernel_a_step(run, optimizer, monkeypatch):
    taken = []

    def spy(*args):
        taken.append(one_kernel(*args))
        return taken[-1]

    monkeypatch.setattr(module, "one_kernel", spy)
    jt.engine.clear_programs()
    found = losses(run, optimizer)
    assert [k for k in taken if k is not None]
    monkeypatch.setattr(module, "one_kernel", lambda *args: None)
    jt.engine.clear_programs()
    np.testing.assert_allclose(found, losses(run, optimizer), 1e-4)


def test_what_the_compiler_refuses_runs_as_it_is(monkeypatch):
    """Of many samples XLA makes a fusion that one kernel cannot hold."""
    monkeypatch.setattr(module, "_suits", lambda equation: True)
    x, function = rows(64), jax.jit(network)
    assert one_kernel(function, (), x, WEIGHT) is not None
    kept, result = module.first_run(function, (), x, WEIGHT)
    assert kept is function
    np.testing.assert_allclose(result, network(x, WEIGHT), 1e-5, 1e-5)
