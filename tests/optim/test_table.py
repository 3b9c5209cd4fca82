"""What every optimizer promises, over the table of settings, beside PyTorch's."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine.explain import RecompileWarning
from tests.optim.cases import (
    WEIGHTS,
    Run,
    X,
    Y,
    assert_frozen_trains_as_plain,
    assert_same_tree,
    assert_same_values,
    kinds,
    table,
)

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


@table
def test_a_frozen_step_trains_as_the_plain_loop_does(name, settings, groups, compilations):
    runs = [Run(jt, name, settings, groups) for _ in range(2)]
    assert_frozen_trains_as_plain(*runs, 7, 2, compilations)


@kinds
def test_an_lr_may_be_a_tensor_also_in_a_frozen_step(name):
    run, theirs = (Run(lib, name, {"lr": lib.tensor(0.1)}) for lib in (jt, torch))

    @jt.jit
    def step(x: Any, y: Any) -> None:
        run.optimizer.zero_grad()
        weight, bias = run.params
        ((x @ weight + bias).tanh() - y).square().mean().backward()
        run.optimizer.step()

    for i in range(3):
        step(jt.tensor(X[i]), jt.tensor(Y[i]))
        theirs.step()
        for each in (run, theirs):
            each.optimizer.param_groups[0]["lr"] *= 0.5
    assert_same_values(run, theirs)
    assert_same_tree(run.optimizer.state_dict(), theirs.optimizer.state_dict())


# The rules that PyTorch has for complex numbers too.
COMPLEX = ("ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop",
           "Rprop", "SGD")  # fmt: skip


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_parameters_move_as_pairs_of_real_ones(name):
    start = (WEIGHTS[1] + 1j * WEIGHTS[1][::-1]).astype(np.complex64)
    results = []
    for library in (jt, torch):
        p = library.tensor(start, requires_grad=True)
        optimizer = getattr(library.optim, name)([p], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (p * p.conj() * (1 + 2j)).sum().real.backward()
            optimizer.step()
        other = getattr(library.optim, name)([p], lr=0.1)
        other.load_state_dict(optimizer.state_dict())
        results.append((p.detach(), other.state_dict()))
    ours, theirs = results
    np.testing.assert_allclose(ours[0].numpy(), theirs[0].numpy(), rtol=1e-5, atol=1e-6)
    assert_same_tree(ours[1], theirs[1])


@kinds
@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_other_float_types_give_pytorchs_values_and_types(name, dtype):
    results = []
    for library in (jt, torch):
        kind = getattr(library, dtype)
        p = library.tensor(WEIGHTS[0], dtype=kind, requires_grad=True)
        optimizer = getattr(library.optim, name)([p], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
        other = getattr(library.optim, name)([p], lr=0.1)
        other.load_state_dict(optimizer.state_dict())
        kinds = [str(v.dtype) for v in other.state[p].values()]
        results.append((p.detach().double().numpy(), kinds))
    assert results[0][1] == results[1][1]
    rtol = 1e-6 if dtype == "float64" else 3e-2
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=rtol, atol=rtol / 10)
