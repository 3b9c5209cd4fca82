"""Wrong settings, parameters and state: PyTorch's types of errors and words."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import KINDS, Run, assert_same_tree

SETTINGS = [
    ("SGD", {"lr": -0.1}, "Invalid learning rate: -0.1"),
    ("SGD", {"momentum": -0.5}, "Invalid momentum value: -0.5"),
    ("SGD", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "Nesterov momentum requires"),
    ("Adam", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.9, -0.1)}, "Invalid beta parameter at index 1: -0.1"),
    ("Adam", {"eps": -1e-8}, "Invalid epsilon value: -1e-08"),
    ("Adam", {"weight_decay": -0.1}, "Invalid weight_decay value: -0.1"),
    ("AdamW", {"lr": math.nan}, "Invalid learning rate: nan"),
    ("AdamW", {"betas": (0.9, 1.5)}, "Invalid beta parameter at index 1: 1.5"),
    ("Adam", {"foreach": True, "lr": "tensor"}, "lr as a Tensor is not supported for capturable"),
    ("Adadelta", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("Adadelta", {"rho": 1.5}, "Invalid rho value: 1.5"),
    ("Adadelta", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
    ("Adadelta", {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ("Adafactor", {"lr": -1.0}, "Learning rate should be >= 0 but is: -1.0"),
    ("Adafactor", {"beta2_decay": 0.1}, "beta2_decay should be <= 0 but is: 0.1"),
    ("Adafactor", {"eps": (-1.0, 0.1)}, "epsilon1 should be >= 0 but is: -1.0"),
    ("Adafactor", {"eps": (None, -1.0)}, "epsilon2 should be >= 0 but is: -1.0"),
    ("Adafactor", {"d": 0.5}, "Clipping threshold d should be >= 1 but is: 0.5"),
    ("Adafactor", {"weight_decay": -1.0}, "weight_decay should be >= 0 but is: -1.0"),
    ("Adagrad", {"lr_decay": -1.0}, "Invalid lr_decay value: -1.0"),
    ("Adagrad", {"initial_accumulator_value": -1.0}, "Invalid initial_accumulator_value value: -"),
    ("Adagrad", {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ("Adagrad", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
    ("Adamax", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("ASGD", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("ASGD", {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ("Muon", {"lr": -1.0}, "Learning rate should be >= 0 but is: -1.0"),
    ("Muon", {"momentum": -1.0}, "momentum should be >= 0 but is: -1.0"),
    ("Muon", {"weight_decay": -1.0}, "weight decay should be >= 0 but is: -1.0"),
    ("Muon", {"adjust_lr_fn": "x"}, "Adjust learning rate function x is not supported"),
    ("NAdam", {"momentum_decay": -1.0}, "Invalid momentum_decay value: -1.0"),
    ("NAdam", {"betas": (0.9, 1.0)}, "Invalid beta parameter at index 1: 1.0"),
    ("RAdam", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
    ("RMSprop", {"momentum": -1.0}, "Invalid momentum value: -1.0"),
    ("RMSprop", {"alpha": -1.0}, "Invalid alpha value: -1.0"),
    ("RMSprop", {"weight_decay": -1.0}, "Invalid weight_decay value: -1.0"),
    ("Rprop", {"etas": (1.0, 2.0)}, "Invalid eta values: 1.0, 2.0"),
    ("Rprop", {"etas": (0.5, 0.9)}, "Invalid eta values: 0.5, 0.9"),
]


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
@pytest.mark.parametrize(("name", "settings", "message"), SETTINGS)
def test_settings_out_of_range_are_value_errors(name, settings, message, library):
    params = [library.ones(2, 2, requires_grad=True)]
    if settings.get("lr") == "tensor":
        settings = {**settings, "lr": library.tensor(0.1)}
    with pytest.raises(ValueError, match=message):
        getattr(library.optim, name)(params, **settings)


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
@pytest.mark.parametrize("name", [*KINDS, "LBFGS"])
def test_an_lr_of_several_numbers_is_refused(name, library):
    params = [library.ones(2, 2, requires_grad=True)]
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        getattr(library.optim, name)(params, lr=library.tensor([0.1, 0.2]))


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_switches_that_exclude_each_other_are_refused(name, library):
    for other, message in (
        ("foreach", "cannot be `True` together"),
        ("differentiable", "does not"),
    ):
        with pytest.raises(RuntimeError, match=f"`fused`.*{message}"):
            getattr(library.optim, name)([leaf(library)], fused=True, **{other: True})


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
def test_muon_takes_matrices_and_few_steps(library):
    with pytest.raises(ValueError, match="Muon only supports 2D parameters whereas we found"):
        library.optim.Muon([leaf(library)])
    for settings, message in (
        ({"ns_steps": 100}, "Number of steps must be less than 100"),
        ({"ns_coefficients": (1.0, 2.0)}, "Coefficients must be a tuple of exactly 3 values"),
    ):
        p = library.ones(2, 2, requires_grad=True)
        optimizer = library.optim.Muon([p], **settings)
        p.sum().backward()
        with pytest.raises(ValueError, match=message):
            optimizer.step()


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
def test_adafactor_refuses_complex_parameters(library):
    p = library.tensor([1j, 2.0], requires_grad=True)
    p.abs().sum().backward()
    with pytest.raises(RuntimeError, match="Adafactor does not support complex parameters"):
        library.optim.Adafactor([p]).step()


def test_sparse_adam_names_what_to_use():
    with pytest.raises(NotImplementedError, match=r"Use optim\.Adam"):
        jt.optim.SparseAdam([leaf(jt)])


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_an_lr_that_is_not_finite_is_an_error_here_also_in_a_group(name):
    p = jt.ones(2, requires_grad=True)
    for lr in (math.nan, math.inf):
        with pytest.raises(ValueError, match=f"Invalid learning rate: {lr}. It must be a finite"):
            getattr(jt.optim, name)([p], lr=lr)
    with pytest.raises(ValueError, match="Invalid learning rate: -2"):
        getattr(jt.optim, name)([{"params": p, "lr": -2}])


def leaf(library: Any) -> Any:
    return library.ones(2, requires_grad=True)


PARAMETERS = {
    "a tensor": (TypeError, "should be an iterable of Tensors or dicts, but got", leaf),
    "nothing": (ValueError, "optimizer got an empty parameter list", lambda _: []),
    "a number": (TypeError, "optimizer can only optimize Tensors, but one of the", lambda _: [3.0]),
    "a name": (TypeError, "optimizer can only optimize Tensors", lambda _: {"weight": 1}),
    "no leaf": (ValueError, "can't optimize a non-leaf Tensor", lambda t: [leaf(t) * 2]),
    "a set": (TypeError, "sets will change between runs", lambda t: [{"params": {leaf(t)}}]),
    "some names": (
        ValueError,
        "all optimizer params should be with/without names. Some param names are missing",
        lambda t: [("a", leaf(t)), leaf(t)],
    ),
}


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
@pytest.mark.parametrize("case", PARAMETERS)
def test_what_cannot_be_optimized_is_refused(case, library):
    kind, message, make = PARAMETERS[case]
    with pytest.raises(kind, match=message):
        library.optim.SGD(make(library), lr=0.1)


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
def test_groups_that_do_not_fit_are_refused_and_change_nothing(library):
    p, q = leaf(library), leaf(library)
    optimizer = library.optim.SGD([p], lr=0.1)
    with pytest.raises(ValueError, match="some parameters appear in more than one parameter group"):
        optimizer.add_param_group({"params": [q, p]})
    with pytest.raises(TypeError, match="param_group must be a dict, but got <class 'list'>"):
        optimizer.add_param_group([q])
    with pytest.raises(ValueError, match="cannot add param group with names to the optimizer"):
        optimizer.add_param_group({"params": [("q", q)]})
    assert len(optimizer.param_groups) == 1
    with pytest.warns(UserWarning, match="a parameter group with duplicate parameters"):
        library.optim.SGD([p, p], lr=0.1)


def without(state: Any, key: str) -> Any:
    return {k: v for k, v in state.items() if k != key}


def group_of_three(state: Any) -> Any:
    return {**state, "param_groups": [{**state["param_groups"][0], "params": [0, 1, 2]}]}


STATES = {
    "no state": (KeyError, "state", lambda s: without(s, "state")),
    "no groups": (KeyError, "param_groups", lambda s: without(s, "param_groups")),
    "two groups": (
        ValueError,
        "loaded state dict has a different number of parameter groups",
        lambda s: {**s, "param_groups": s["param_groups"] * 2},
    ),
    "a larger group": (
        ValueError,
        "contains a parameter group that doesn't match the size of optimizer's group",
        group_of_three,
    ),
}


@pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
@pytest.mark.parametrize("case", STATES)
def test_state_that_does_not_fit_is_refused_and_changes_nothing(case, library):
    kind, message, change = STATES[case]
    run = Run(library, "SGD", {"lr": 0.1, "momentum": 0.9}).step()
    before = copy.deepcopy(run.optimizer.state_dict())
    with pytest.raises(kind, match=message):
        run.optimizer.load_state_dict(change(before))
    if library is jt:
        assert_same_tree(run.optimizer.state_dict(), before)


def test_unknown_keys_are_kept_as_pytorch_keeps_them():
    states = []
    for library in (jt, torch):
        run = Run(library, "Adam", {"lr": 0.1}).step()
        state = copy.deepcopy(run.optimizer.state_dict())
        state["param_groups"][0]["note"] = "mine"
        state["state"]["note"] = {"value": 3}
        state["state"][0]["count"] = 5
        state["version"] = 2
        run.optimizer.load_state_dict(state)
        states.append(run.optimizer.state_dict())
    assert_same_tree(*states)
    assert states[0]["state"]["note"] == {"value": 3}


@pytest.mark.parametrize("name", [n for n in KINDS if n not in ("Adafactor", "Muon")])
def test_a_differentiable_update_says_what_to_do_instead(name):
    with pytest.raises(NotImplementedError, match="functional_call"):
        getattr(jt.optim, name)([leaf(jt)], lr=0.1, differentiable=True)


def test_a_frozen_step_whose_settings_change_in_kind_says_so():
    run = Run(jt, "SGD", {"lr": 0.1})

    @jt.jit
    def step(x: Any, y: Any) -> Any:
        run.optimizer.zero_grad()
        loss = ((x @ run.params[0] + run.params[1]) - y).square().mean()
        loss.backward()
        run.optimizer.step()
        return loss.detach()

    x, y = jt.ones(2, 4), jt.ones(2, 3)
    for _ in range(3):
        step(x, y)
    run.optimizer.param_groups[0]["weight_decay"] = 0.1
    with pytest.raises(RuntimeError, match="settings of a parameter group changed in kind"):
        step(x, y)


@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_betas_are_floats_or_tensors_together(name):
    for lib in (jt, torch):
        p = lib.nn.Parameter(lib.ones(2))
        make = getattr(lib.optim, name)
        with pytest.raises(ValueError, match="betas must be either both floats or both Tensors"):
            make([p], betas=(0.9, lib.tensor(0.99)))
        with pytest.raises(ValueError, match=r"betas\[0\] as a Tensor is not supported"):
            make([p], betas=(lib.tensor(0.9), lib.tensor(0.99)), foreach=True)


def test_muon_refuses_complex_parameters():
    for lib in (jt, torch):
        p = lib.nn.Parameter(lib.ones(2, 2, dtype=lib.complex64))
        optimizer = lib.optim.Muon([p])
        p.grad = lib.ones_like(p).detach()
        with pytest.raises(RuntimeError, match="Muon does not support complex parameters"):
            optimizer.step()
