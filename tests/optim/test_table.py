"""What every optimizer promises, over the table of settings, beside PyTorch's."""

from __future__ import annotations

import io
from typing import Any

import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine.explain import RecompileWarning
from tests.optim.cases import Run, assert_same_tree, assert_same_values, table

# One line of `cases.py` takes every step of the table.
pytestmark = pytest.mark.filterwarnings(f"ignore::{RecompileWarning.__module__}.RecompileWarning")


@table
def test_the_first_step_is_one_program_and_later_ones_compile_nothing(
    name, settings, groups, compilations
):
    jt.engine.clear_programs()
    run = Run(jt, name, settings, groups)
    before = jt.engine.program_count()
    run.step()
    assert jt.engine.program_count() - before == 1
    compilations.count()
    run.step(3)
    assert compilations.count() == 0


@table
def test_ten_steps_give_pytorchs_parameters_and_state(name, settings, groups):
    ours, theirs = (Run(library, name, settings, groups) for library in (jt, torch))
    assert_same_tree(ours.optimizer.state_dict(), theirs.optimizer.state_dict())
    for _ in range(10):
        ours.step(), theirs.step()
        assert_same_values(ours, theirs)
    assert_same_tree(ours.optimizer.state_dict(), theirs.optimizer.state_dict())


@table
def test_repr_defaults_and_groups_are_pytorchs(name, settings, groups):
    ours, theirs = (Run(library, name, settings, groups).optimizer for library in (jt, torch))
    assert repr(ours) == repr(theirs)
    assert ours.defaults == theirs.defaults
    assert [set(g) for g in ours.param_groups] == [set(g) for g in theirs.param_groups]


def exchanged(state: Any, source: Any, target: Any) -> Any:
    """The state after a trip through a file, written by one library and read by the other."""
    file = io.BytesIO()
    source.save(state, file)
    file.seek(0)
    return target.load(file, weights_only=True)


def handed_on(source: Run, name: str, settings: Any, groups: Any, target: Any) -> Run:
    """A run of the other library that goes on where `source` is."""
    run = Run(target, name, {**settings, "lr": 123.0}, groups)
    state = {
        "optimizer": source.optimizer.state_dict(),
        "params": [p.detach() for p in source.params],
    }
    state = exchanged(state, source.library, target)
    run.optimizer.load_state_dict(state["optimizer"])
    with target.no_grad():
        for p, value in zip(run.params, state["params"], strict=True):
            p.copy_(value)
    run.done = source.done
    return run


@table
def test_state_goes_to_pytorch_in_mid_training(name, settings, groups):
    ours = Run(jt, name, settings, groups).step(4)
    theirs = handed_on(ours, name, settings, groups, torch)
    assert_same_values(ours.step(4), theirs.step(4))
    assert_same_tree(ours.optimizer.state_dict(), theirs.optimizer.state_dict())


@table
def test_state_comes_from_pytorch_in_mid_training(name, settings, groups):
    theirs = Run(torch, name, settings, groups).step(4)
    ours = handed_on(theirs, name, settings, groups, jt)
    assert_same_tree(ours.optimizer.state_dict(), theirs.optimizer.state_dict())
    assert_same_values(ours.step(4), theirs.step(4))


@table
def test_a_changed_lr_takes_effect_and_compiles_nothing(name, settings, groups, compilations):
    ours, theirs = (Run(library, name, settings, groups).step(2) for library in (jt, torch))
    compilations.count()
    for run in (ours, theirs):
        for group in run.optimizer.param_groups:
            group["lr"] *= 0.5
        run.step(2)
    assert compilations.count() == 0
    assert_same_values(ours, theirs)


@table
def test_loading_its_own_state_goes_on_equally_and_compiles_nothing(
    name, settings, groups, compilations
):
    run = Run(jt, name, settings, groups).step(2)
    other = handed_on(run, name, settings, groups, jt)
    compilations.count()
    assert_same_values(run.step(2), other.step(2))
    assert compilations.count() == 0
