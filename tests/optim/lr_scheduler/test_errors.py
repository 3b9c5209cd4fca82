"""Wrong settings and wrong order: PyTorch's types of errors, warnings and words."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import jtoolbox as jt
from tests.optim.lr_scheduler.cases import made, optimizer_of

LIBRARIES = pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
ONES = [lambda epoch: 1.0] * 3

SETTINGS: list[tuple[str, dict[str, Any], str]] = [
    ("LambdaLR", {"lr_lambda": ONES}, "Expected 2 lr_lambdas, but got 3"),
    ("MultiplicativeLR", {"lr_lambda": ONES}, "Expected 2 lr_lambdas, but got 3"),
    ("ConstantLR", {"factor": 2.0}, "Constant multiplicative factor expected to be between 0 and"),
    ("LinearLR", {"start_factor": 0.0}, "Starting multiplicative factor expected to be greater"),
    ("LinearLR", {"end_factor": 1.5}, "Ending multiplicative factor expected to be between 0 and"),
    ("CosineAnnealingWarmRestarts", {"T_0": 0}, "Expected positive integer T_0, but got 0"),
    ("CosineAnnealingWarmRestarts", {"T_0": 1.5}, "Expected positive integer T_0, but got 1.5"),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 0}, "Expected integer T_mult >= 1, but"),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "eta_min": "x"}, "Expected float or int eta_min"),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1.0, "mode": "x"}, "mode is invalid and scale_fn is"),
    ("CyclicLR", {"base_lr": [0.1], "max_lr": 1.0}, "base_lr must have the same length as optim"),
    ("OneCycleLR", {"max_lr": 0.1}, r"You must define either total_steps OR \(epochs AND steps"),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 0}, "Expected positive integer total_steps, but"),
    ("OneCycleLR", {"max_lr": 0.1, "epochs": 1, "steps_per_epoch": -3}, "integer steps_per_epoch"),
    ("OneCycleLR", {"max_lr": 0.1, "epochs": 0, "steps_per_epoch": 3}, "positive integer epochs"),
    ("OneCycleLR", {"max_lr": 0.1, "total_steps": 9, "pct_start": 2.0}, "between 0 and 1 pct_star"),
    (
        "OneCycleLR",
        {"max_lr": 0.1, "total_steps": 9, "anneal_strategy": "z"},
        "anneal_strategy must be one of 'cos' or 'linear', instead got z",
    ),
    ("OneCycleLR", {"max_lr": [0.1], "total_steps": 9}, "max_lr must have the same length as"),
    ("ReduceLROnPlateau", {"factor": 1.0}, r"Factor should be < 1.0."),
    ("ReduceLROnPlateau", {"mode": "x"}, "mode x is unknown!"),
    ("ReduceLROnPlateau", {"threshold_mode": "x"}, "threshold mode x is unknown!"),
    ("ReduceLROnPlateau", {"min_lr": [1.0]}, "expected 2 min_lrs, got 1"),
    ("SWALR", {"swa_lr": [0.1]}, "swa_lr must have the same length as optimizer.param_groups"),
    ("SWALR", {"swa_lr": 0.1, "anneal_epochs": -1}, "anneal_epochs must be equal or greater than"),
    ("SWALR", {"swa_lr": 0.1, "anneal_strategy": "x"}, "anneal_strategy must be one of 'cos' or"),
]


@LIBRARIES
@pytest.mark.parametrize(("name", "settings", "message"), SETTINGS)
def test_settings_out_of_range_are_value_errors(name, settings, message, library):
    with pytest.raises(ValueError, match=message):
        made(optimizer_of(library), library, name, settings)


@LIBRARIES
@pytest.mark.parametrize("name", ["CyclicLR", "OneCycleLR"])
def test_momentum_needs_an_optimizer_that_has_it(name, library):
    optimizer = optimizer_of(library, "Adagrad")
    settings = {"max_lr": 0.1, **({"base_lr": 0.1} if name == "CyclicLR" else {"total_steps": 9})}
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
        made(optimizer, library, name, settings)
    made(optimizer, library, name, {**settings, "cycle_momentum": False})


@LIBRARIES
def test_what_is_no_optimizer_is_a_type_error(library):
    s = library.optim.lr_scheduler
    for make in (
        lambda: s.StepLR(3, 2),
        lambda: s.LRScheduler(None),
        lambda: s.ReduceLROnPlateau(3),
        lambda: s.CyclicLR(3, 0.1, 0.2),
        lambda: s.OneCycleLR(3, 0.1, 9),
    ):
        with pytest.raises(TypeError, match="is not an Optimizer"):
            make()


@LIBRARIES
def test_resuming_needs_the_initial_rate(library):
    message = re.escape("param 'initial_lr' is not specified in param_groups[0] when resuming")
    with pytest.raises(KeyError, match=message):
        library.optim.lr_scheduler.StepLR(optimizer_of(library), 2, last_epoch=3)


@LIBRARIES
def test_one_cycle_ends(library):
    optimizer = optimizer_of(library)
    scheduler = library.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=3)
    optimizer.step()
    for _ in range(3):
        scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 4 times\. The specified number of total"):
        scheduler.step()


@LIBRARIES
def test_warm_restarts_refuse_a_negative_epoch(library):
    scheduler = library.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer_of(library), 3)
    with pytest.raises(ValueError, match="Expected non-negative epoch, but got -1"):
        scheduler.step(-1)
    scheduler.step(2.5)
    assert scheduler.last_epoch == 2


@LIBRARIES
def test_a_step_of_the_schedule_before_the_optimizers_warns_once(library):
    optimizer = optimizer_of(library)
    scheduler = library.optim.lr_scheduler.StepLR(optimizer, 2)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before `opt"):
        scheduler.step()
    scheduler.step()
    optimizer = optimizer_of(library)
    scheduler = library.optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match=r"Seems like `optimizer.step\(\)` has been overridden"):
        scheduler.step()


@LIBRARIES
def test_get_lr_outside_of_a_step_and_an_epoch_warn(library):
    optimizer = optimizer_of(library)
    scheduler = library.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    with pytest.warns(UserWarning, match=r"please use `get_last_lr\(\)`"):
        assert scheduler.get_lr()[0] == optimizer.param_groups[0]["lr"] * 0.5
    with pytest.warns(UserWarning, match=r"The epoch parameter in `scheduler.step\(\)` was not"):
        scheduler.step(3)
    plateau = library.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    with pytest.warns(UserWarning, match=r"The epoch parameter in `scheduler.step\(\)` was not"):
        plateau.step(1.0, epoch=4)
    assert plateau.last_epoch == 4


@LIBRARIES
def test_schedules_that_do_not_go_together_are_refused(library):
    s = library.optim.lr_scheduler
    optimizer, other = optimizer_of(library), optimizer_of(library)
    step = s.StepLR(optimizer, 2)
    cases = {
        "SequentialLR expects at least one scheduler": lambda: s.SequentialLR(optimizer, [], []),
        "expects number of schedulers provided to be one more than": lambda: s.SequentialLR(
            optimizer, [step], [1]
        ),
        "SequentialLR expects all schedulers to belong to the same": lambda: s.SequentialLR(
            optimizer, [s.StepLR(other, 2)], []
        ),
        "SequentialLR does not support `ReduceLROnPlateau`": lambda: s.SequentialLR(
            optimizer, [s.ReduceLROnPlateau(optimizer)], []
        ),
        "ChainedScheduler expects at least one scheduler": lambda: s.ChainedScheduler([]),
        "ChainedScheduler expects all schedulers to belong": lambda: s.ChainedScheduler(
            [step, s.StepLR(other, 2)]
        ),
        "ChainedScheduler does not support `ReduceLROnPlateau`": lambda: s.ChainedScheduler(
            [s.ReduceLROnPlateau(optimizer)]
        ),
    }
    for message, make in cases.items():
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match="at index 0 should have `optimizer` as its attribute"):
        s.SequentialLR(optimizer, [3], [])


def test_a_schedule_inside_a_frozen_step_says_where_it_belongs():
    optimizer = optimizer_of(jt)
    scheduler = jt.optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()

    @jt.jit
    def step(x: Any) -> Any:
        scheduler.step()
        return x * 2

    with pytest.raises(RuntimeError, match="would run only while the step is recorded"):
        step(jt.ones(2))
