"""Every schedule beside PyTorch's: rates, momentum, state, resuming."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.lr_scheduler.cases import (
    STEPS,
    Schedule,
    assert_same_state,
    made,
    optimizer_of,
    pair,
    table,
)

LIBRARIES = pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])


def assert_close(ours: Any, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@table
def test_it_sets_pytorchs_rates_and_momentum_and_has_its_state(name, settings):
    theirs, ours = pair(name, settings)
    assert_same_state(ours, theirs)
    assert_close(ours.run(), theirs.run())
    assert_close(ours.scheduler.get_last_lr(), theirs.scheduler.get_last_lr())
    assert_same_state(ours, theirs)
    for mine, other in zip(ours.optimizer.param_groups, theirs.optimizer.param_groups, strict=True):
        assert list(mine) == list(other)


@table
@pytest.mark.parametrize("direction", ["in", "out"])
def test_its_state_goes_over_in_mid_training(name, settings, direction):
    theirs, ours = pair(name, settings)
    source, target = (theirs, ours) if direction == "in" else (ours, theirs)
    before = source.run(7)
    target.optimizer.load_state_dict(source.optimizer.state_dict())
    target.scheduler.load_state_dict(copy.deepcopy(source.scheduler.state_dict()))
    assert_close(target.settings(), before[-1])
    assert_close(target.run(20), source.run(20))
    assert_same_state(ours, theirs)


@table
def test_its_closed_form_is_pytorchs_where_there_is_one(name, settings):
    found = []
    for each in pair(name, settings):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rates = []
            for epoch in (3, 1, 12, 20, 4):
                each.scheduler.step(epoch)
                rates.append(each.settings())
        messages = {str(w.message).partition(".")[0] for w in caught}
        found.append((rates, each.scheduler.last_epoch, messages))
    assert_close(found[1][0], found[0][0])
    assert found[1][1:] == found[0][1:]


@table
def test_it_resumes_at_an_epoch_as_pytorchs_does(name, settings):
    if isinstance(settings.get("swa_lr"), list):
        settings = {**settings, "swa_lr": 0.03}
    rates = []
    for library in (torch, jt):
        source = Schedule(library, name, settings)
        source.run(6)
        other = optimizer_of(library, lr=0.1)
        other.load_state_dict(source.optimizer.state_dict())
        source.optimizer = other
        source.scheduler = made(other, library, name, {**settings, "last_epoch": 5})
        other.step()
        rates.append(source.run(10))
        assert source.scheduler.last_epoch == 16
    assert_close(rates[1], rates[0])


@table
def test_it_follows_adam_by_the_first_beta(name, settings):
    theirs, ours = pair(name, settings, "Adam")
    assert_close(ours.run(9), theirs.run(9))
    assert_same_state(ours, theirs)


@table
def test_it_fills_an_lr_that_is_a_tensor(name, settings):
    rates = []
    for library in (torch, jt):
        optimizer = library.optim.SGD(
            [library.ones(2, requires_grad=True)], lr=library.tensor(0.1), momentum=0.6
        )
        kept = optimizer.param_groups[0]["lr"]
        if any(isinstance(v, list) and k != "milestones" for k, v in settings.items()):
            settings = {k: v[0] if isinstance(v, list) else v for k, v in settings.items()}
        scheduler = made(optimizer, library, name, settings)
        optimizer.step()
        found = []
        for _ in range(8):
            scheduler.step()
            found.append(float(optimizer.param_groups[0]["lr"]))
        assert optimizer.param_groups[0]["lr"] is kept
        assert float(scheduler.get_last_lr()[0]) == found[-1]
        rates.append(found)
    np.testing.assert_allclose(rates[1], rates[0], rtol=1e-5)


@table
def test_copies_go_on_equally(name, settings):
    if any(callable(v) or (isinstance(v, list) and callable(v[0])) for v in settings.values()):
        settings = {**settings, **{k: halved for k in settings if k in ("lr_lambda", "scale_fn")}}
    run = Schedule(jt, name, settings)
    run.run(3)
    kept = run.optimizer, run.scheduler
    copies = [copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))]
    want = run.run(5)
    for optimizer, scheduler in copies:
        assert scheduler.optimizer is optimizer
        run.optimizer, run.scheduler = optimizer, scheduler
        assert_close(run.run(5), want)


def halved(epoch: float) -> float:
    return 0.5**epoch


# --- several schedules


def combined(library: Any, kind: str) -> tuple[Any, Any]:
    s = library.optim.lr_scheduler
    optimizer = optimizer_of(library, lr=0.1)
    if kind == "chained":
        made = s.ChainedScheduler(
            [s.ConstantLR(optimizer, 0.1, 4), s.ExponentialLR(optimizer, 0.9)], optimizer
        )
    elif kind == "chained without optimizer":
        made = s.ChainedScheduler([s.LinearLR(optimizer), s.StepLR(optimizer, 6)])
    elif kind == "sequential":
        parts = [
            s.LinearLR(optimizer, 0.1, total_iters=4),
            s.CosineAnnealingLR(optimizer, 8),
            s.MultiplicativeLR(optimizer, lambda epoch: 0.9),
        ]
        made = s.SequentialLR(optimizer, parts, [4, 12])
    elif kind == "restarts last":
        parts = [s.ConstantLR(optimizer, 0.2, 3), s.CosineAnnealingWarmRestarts(optimizer, 4, 2)]
        made = s.SequentialLR(optimizer, parts, [3])
    elif kind == "sequential of sequential":
        inner = s.SequentialLR(
            optimizer, [s.ExponentialLR(optimizer, 0.5), s.StepLR(optimizer, 2, 0.7)], [3]
        )
        made = s.SequentialLR(optimizer, [inner, s.PolynomialLR(optimizer, 9)], [8])
    else:
        for _ in range(2):
            s.ExponentialLR(optimizer, 0.9)
        made = s.StepLR(optimizer, 3)
    return optimizer, made


KINDS = [
    *("chained", "chained without optimizer", "sequential", "restarts last"),
    *("sequential of sequential", "one more"),
]


# Making a sequence of a sequence warns in both, as the inner one takes its first step twice.
TWICE = pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")


@TWICE
@pytest.mark.parametrize("kind", KINDS)
def test_schedules_of_schedules_are_pytorchs(kind):
    runs = []
    for library in (torch, jt):
        run = Schedule.__new__(Schedule)
        run.optimizer, run.scheduler = combined(library, kind)
        run.optimizer.step()
        runs.append(run)
    theirs, ours = runs
    assert_same_state(ours, theirs)
    assert_close(ours.run(), theirs.run())
    assert_same_state(ours, theirs)
    assert_close(ours.scheduler.get_last_lr(), theirs.scheduler.get_last_lr())


@TWICE
@pytest.mark.parametrize("kind", [k for k in KINDS if k != "one more"])
def test_the_state_of_schedules_of_schedules_goes_over(kind):
    (theirs, their_schedule), (ours, our_schedule) = (combined(t, kind) for t in (torch, jt))
    theirs.step(), ours.step()
    for _ in range(6):
        their_schedule.step()
    ours.load_state_dict(theirs.state_dict())
    our_schedule.load_state_dict(copy.deepcopy(their_schedule.state_dict()))
    for _ in range(10):
        their_schedule.step(), our_schedule.step()
        for mine, other in zip(ours.param_groups, theirs.param_groups, strict=True):
            assert_close(mine["lr"], other["lr"])


def test_several_schedules_multiply():
    optimizer = optimizer_of(jt, lr=1.0)
    s = jt.optim.lr_scheduler
    both = [s.ExponentialLR(optimizer, 0.5), s.StepLR(optimizer, 2, 0.1)]
    optimizer.step()
    for _ in range(4):
        for each in both:
            each.step()
    assert_close(optimizer.param_groups[0]["lr"], 0.5**4 * 0.1**2)


# --- a metric


PLATEAUS: list[dict[str, Any]] = [
    {},
    {"patience": 2},
    {"mode": "max", "patience": 1, "factor": 0.5, "cooldown": 2},
    {"threshold_mode": "abs", "threshold": 0.3, "patience": 1, "min_lr": 0.01},
    {"mode": "max", "threshold_mode": "abs", "threshold": 0.5, "patience": 0},
    {"patience": 0, "factor": 0.3, "min_lr": [1e-3, 1e-2], "eps": 1e-3},
]


@pytest.mark.parametrize("settings", PLATEAUS, ids=range(len(PLATEAUS)))
def test_reduce_on_plateau_follows_the_metric_as_pytorchs(settings):
    metrics = [*np.random.default_rng(3).standard_normal(STEPS), np.nan, np.inf, -np.inf, 0.0]
    theirs, ours = pair("ReduceLROnPlateau", settings)
    assert_same_state(ours, theirs)
    for i, metric in enumerate(metrics):
        theirs.scheduler.step(torch.tensor(metric))
        ours.scheduler.step(jt.tensor(metric) if i % 2 else float(metric))
        assert_close(ours.settings(), theirs.settings())
        assert ours.scheduler.num_bad_epochs == theirs.scheduler.num_bad_epochs
    assert_close(ours.scheduler.get_last_lr(), theirs.scheduler.get_last_lr())
    other = Schedule(jt, "ReduceLROnPlateau", {})
    other.scheduler.load_state_dict(theirs.scheduler.state_dict())
    assert_same_state(other, theirs)


def test_a_new_group_gets_the_common_limit_of_the_plateau():
    for library in (torch, jt):
        run = Schedule(library, "ReduceLROnPlateau", {"patience": 0, "min_lr": 0.05})
        run.optimizer.add_param_group({"params": [library.ones(1, requires_grad=True)]})
        run.scheduler.step(1.0), run.scheduler.step(1.0)
        assert [g["lr"] for g in run.optimizer.param_groups] == [0.05, 0.02, 0.05]
        run = Schedule(library, "ReduceLROnPlateau", {"patience": 0, "min_lr": [0.0, 0.0]})
        run.optimizer.add_param_group({"params": [library.ones(1, requires_grad=True)]})
        run.scheduler.step(1.0)
        with pytest.raises(RuntimeError, match="number of param groups in the `optimizer`"):
            run.scheduler.step(1.0)


# --- one's own, and the loop


@LIBRARIES
@pytest.mark.parametrize("base", ["LRScheduler", "_LRScheduler"])
def test_a_schedule_of_ones_own_overrides_get_lr(library, base):
    class Sawtooth(getattr(library.optim.lr_scheduler, base)):
        def __init__(self, optimizer: Any, period: int, last_epoch: int = -1):
            self.period = period
            super().__init__(optimizer, last_epoch)

        def get_lr(self) -> list[float]:
            return [lr * (1 + self.last_epoch % self.period) for lr in self.base_lrs]

    optimizer = optimizer_of(library, lr=0.1)
    scheduler = Sawtooth(optimizer, 3)
    rates = []
    for _ in range(4):
        optimizer.step()
        scheduler.step()
        rates.append(scheduler.get_last_lr()[0])
    assert_close(rates, [0.2, 0.3, 0.1, 0.2])
    assert scheduler.state_dict()["period"] == 3


def test_callable_objects_are_saved_by_their_attributes():
    class Power:
        def __init__(self, base: float):
            self.base = base

        def __call__(self, epoch: float) -> float:
            return self.base**epoch

    for name, settings in (
        ("LambdaLR", lambda b: {"lr_lambda": [Power(b), Power(0.5)]}),
        ("MultiplicativeLR", lambda b: {"lr_lambda": Power(b)}),
        ("CyclicLR", lambda b: {"base_lr": 0.1, "max_lr": 0.5, "scale_fn": Power(b)}),
    ):
        theirs = Schedule(torch, name, settings(0.9))
        ours = Schedule(jt, name, settings(0.1))
        theirs.scheduler.step()
        ours.optimizer.load_state_dict(theirs.optimizer.state_dict())
        ours.scheduler.load_state_dict(copy.deepcopy(theirs.scheduler.state_dict()))
        assert_same_state(ours, theirs)
        assert_close(ours.run(5), theirs.run(5))


def test_a_schedule_around_the_loop_and_a_frozen_step_compiles_nothing(compilations):
    weight = jt.ones(3, requires_grad=True)
    optimizer = jt.optim.SGD([weight], lr=1.0)
    scheduler = jt.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    @jt.jit
    def step(x: Any) -> None:
        optimizer.zero_grad()
        (weight * x).sum().backward()
        optimizer.step()

    for i in range(5):
        step(jt.ones(3))
        scheduler.step()
        if i == 1:
            compilations.count()
    assert compilations.count() == 0
    assert_close(weight.detach().numpy(), np.ones(3) - (2 - 0.5**4))
