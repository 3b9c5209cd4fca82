"""Any optax optimizer, against optax itself on plain arrays."""

from __future__ import annotations

import copy
import functools
import io
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jtoolbox as jt
from jtoolbox.engine.explain import RecompileWarning
from tests.optim.cases import WEIGHTS, Run, X, Y, assert_same_tree, assert_same_values

# One line of `cases.py` takes every step of the table.
pytestmark = pytest.mark.filterwarnings(f"ignore::{RecompileWarning.__module__}.RecompileWarning")


def chained(learning_rate: float, most: float = 0.1, momentum: float = 0.9) -> Any:
    return optax.chain(
        optax.clip_by_global_norm(most),
        optax.trace(decay=momentum),
        optax.scale_by_learning_rate(learning_rate),
    )


FACTORIES = {
    "sgd": (optax.sgd, {"learning_rate": 0.1}),
    "sgd with momentum": (optax.sgd, {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": (optax.adam, {"learning_rate": 0.1, "b1": 0.8}),
    "adamw": (optax.adamw, {"learning_rate": 0.1, "weight_decay": 0.1}),
    "lion": (optax.lion, {"learning_rate": 0.01}),
    "rmsprop": (optax.rmsprop, {"learning_rate": 0.01}),
    "a chain": (chained, {"learning_rate": 0.1, "most": 0.2}),
    "averaged updates": (
        lambda learning_rate: optax.chain(optax.adam(learning_rate), optax.ema(0.5)),
        {"learning_rate": 0.1},
    ),
}
factories = pytest.mark.parametrize(("factory", "settings"), FACTORIES.values(), ids=FACTORIES)


def run_of(factory: Any, **settings: Any) -> Run:
    run = Run(jt)
    run.optimizer = jt.optim.Optax(run.params, factory, **settings)
    return run


def plainly(factory: Any, settings: dict[str, Any], rates: list[float]) -> list[np.ndarray]:
    """The same training by optax alone, one step at each learning rate."""

    def loss(params: Any, x: Any, y: Any) -> Any:
        return jnp.mean((jnp.tanh(x @ params[0] + params[1]) - y) ** 2)

    params = [jnp.asarray(w) for w in WEIGHTS]
    state = factory(**settings).init(params)
    for i, rate in enumerate(rates):
        transformation = factory(**{**settings, "learning_rate": rate})
        gradients = jax.grad(loss)(params, X[i], Y[i])
        updates, state = transformation.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
    return [np.asarray(p) for p in params]


@factories
def test_it_trains_as_optax_does_and_a_changed_lr_compiles_nothing(factory, settings, compilations):
    run = run_of(factory, **settings)
    before = jt.engine.program_count()
    run.step()
    assert jt.engine.program_count() - before == 1
    compilations.count()
    run.step(2)
    rate = settings["learning_rate"]
    run.optimizer.param_groups[0]["lr"] = rate * 0.3
    run.step(3)
    assert compilations.count() == 0
    want = plainly(factory, settings, [rate] * 3 + [rate * 0.3] * 3)
    for a, b in zip(run.values(), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@factories
def test_its_state_goes_through_a_file_into_another_one(factory, settings):
    run, other = run_of(factory, **settings).step(3), Run(jt)
    other.params = [copy.deepcopy(p) for p in run.params]
    other.optimizer = jt.optim.Optax(other.params, factory, **{**settings, "learning_rate": 9.0})
    other.done = run.done
    file = io.BytesIO()
    jt.save(run.optimizer.state_dict(), file)
    file.seek(0)
    other.optimizer.load_state_dict(jt.load(file))
    assert_same_tree(other.optimizer.state_dict(), run.optimizer.state_dict())
    assert_same_values(run.step(2), other.step(2))


def test_every_group_has_its_own_settings_and_state():
    run = Run(jt)
    groups = [{"params": run.params[0]}, {"params": run.params[1], "lr": 0.0}]
    run.optimizer = jt.optim.Optax(groups, optax.adam, learning_rate=0.1)
    run.step(2)
    assert np.array_equal(run.values()[1], WEIGHTS[1])
    assert not np.array_equal(run.values()[0], WEIGHTS[0])
    assert [len(s["optax"]) for s in run.optimizer.state_dict()["state"].values()] == [3, 3]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_equally(duplicate):
    run, other = run_of(optax.adam, learning_rate=0.1).step(2), Run(jt)
    other.params, other.optimizer = duplicate((run.params, run.optimizer))
    other.done = run.done
    assert_same_values(run.step(2), other.step(2))


def test_a_second_optimizer_of_the_same_factory_compiles_nothing(compilations):
    run_of(optax.lion, learning_rate=0.1).step(2)
    compilations.count()
    run_of(optax.lion, learning_rate=0.2).step(2)
    assert compilations.count() == 0


def test_values_that_are_no_numbers_go_to_the_factory_as_they_are():
    schedule = optax.linear_schedule(0.1, 0.0, 4)
    run = run_of(optax.sgd, learning_rate=schedule).step(3)
    want = plainly(lambda learning_rate: optax.sgd(schedule), {"learning_rate": 0}, [0.0] * 3)
    for a, b in zip(run.values(), want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
    masked = run_of(optax.adamw, learning_rate=0.1, mask=[True, False]).step(2)
    assert list(masked.optimizer.param_groups[0]) == ["params", "lr"]
    assert run_of(functools.partial(optax.sgd, momentum=0.9), learning_rate=0.1).step(2)


def test_wrong_settings_and_missing_gradients_are_errors():
    p, q = (jt.ones(2, requires_grad=True) for _ in range(2))
    with pytest.raises(TypeError, match=r"sgd\(\) has no settings \['rate'\]; it takes"):
        jt.optim.Optax([p], optax.sgd, rate=1.0)
    with pytest.raises(ValueError, match="Invalid lr: nan"):
        jt.optim.Optax([p], optax.sgd, learning_rate=float("nan"))
    optimizer = jt.optim.Optax([p, q], optax.sgd, learning_rate=0.1)
    optimizer.step()
    p.sum().backward()
    with pytest.raises(RuntimeError, match="1 of 2 parameters of this group have no gradient"):
        optimizer.step()
