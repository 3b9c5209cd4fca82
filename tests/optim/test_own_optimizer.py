"""A user's own optimizer, by a rule for one array or by PyTorch's kind of step."""

from __future__ import annotations

import copy
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import Run, assert_same_values


class Signum(jt.optim.Optimizer):
    """Steps along the sign of the averaged gradient: the rule for one array."""

    def __init__(self, params: Any, lr: float = 1e-3, decay: float = 0.9):
        super().__init__(params, {"lr": lr, "decay": decay})

    def init(self, p: Any) -> Any:
        return {"average": jnp.zeros_like(p)}

    @staticmethod
    def update(p: Any, g: Any, state: Any, h: Any) -> Any:
        average = h.decay * state["average"] + (1 - h.decay) * g
        return p - h.lr * jnp.sign(average), {"average": average}


def by_step(library: Any) -> Any:
    """The same with a step of its own: one text for both libraries."""

    class Signum(library.optim.Optimizer):
        def __init__(self, params: Any, lr: float = 1e-3, decay: float = 0.9):
            super().__init__(params, {"lr": lr, "decay": decay})

        @library.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    state = self.state[p]
                    if not state:
                        state["average"] = library.zeros_like(p)
                    average = state["average"]
                    average.mul_(group["decay"]).add_(p.grad, alpha=1 - group["decay"])
                    p.add_(average.sign(), alpha=-group["lr"])

    return Signum


class Plain(jt.optim.Optimizer):
    """No state, and no settings but lr."""

    def __init__(self, params: Any, lr: float = 0.1):
        super().__init__(params, {"lr": lr})

    @staticmethod
    def update(p: Any, g: Any, state: Any, h: Any) -> Any:
        return p - h.lr * g, state


def run_of(library: Any, kind: Any, **settings: Any) -> Run:
    run = Run(library)
    run.optimizer = kind(run.params, **settings)
    return run


@pytest.mark.parametrize("make", [lambda: Signum, lambda: by_step(jt)], ids=["rule", "step"])
def test_both_ways_agree_with_pytorchs_and_compile_once(make, compilations):
    kind = make()
    ours, theirs = run_of(jt, kind, lr=0.05), run_of(torch, by_step(torch), lr=0.05)
    before = jt.engine.program_count()
    ours.step()
    assert jt.engine.program_count() - before <= 2
    ours.step()
    compilations.count()
    for run in (ours, theirs):
        run.optimizer.param_groups[0]["lr"] = 0.02
        run.step(3 if run is ours else 0)
    assert compilations.count() == 0
    theirs.optimizer.param_groups[0]["lr"] = 0.05
    theirs.step(2).optimizer.param_groups[0]["lr"] = 0.02
    assert_same_values(ours, theirs.step(3))
    assert list(ours.optimizer.state[ours.params[0]]) == ["average"]


def test_a_rule_is_one_program_with_forward_and_backward():
    run = run_of(jt, Signum)
    jt.engine.clear_programs()
    before = jt.engine.program_count()
    run.step()
    assert jt.engine.program_count() - before == 1


@pytest.mark.parametrize("kind", [Signum, by_step(jt), Plain], ids=["rule", "step", "plain"])
def test_its_state_dict_goes_into_another_one(kind):
    run = run_of(jt, kind, lr=0.05).step(3)
    other = run_of(jt, kind)
    other.params = [copy.deepcopy(p) for p in run.params]
    other.optimizer, other.done = kind(other.params), 3
    other.optimizer.load_state_dict(run.optimizer.state_dict())
    assert_same_values(run.step(2), other.step(2))


def test_a_rule_without_state_is_plain_gradient_descent():
    ours, theirs = run_of(jt, Plain).step(3), Run(torch, "SGD", {"lr": 0.1}).step(3)
    assert_same_values(ours, theirs)
    assert ours.optimizer.state_dict()["state"] == {}


def test_numbers_of_numpy_are_settings_too():
    ours, theirs = run_of(jt, Plain, lr=np.float32(0.1)), Run(torch, "SGD", {"lr": 0.1})
    assert_same_values(ours.step(2), theirs.step(2))


def test_a_step_that_calls_the_base_classs_runs_hooks_once():
    class Counted(jt.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> Any:
            self.steps += 1
            return super().step(closure)

    run, calls = run_of(jt, Counted, lr=0.1), []
    run.optimizer.register_step_pre_hook(lambda *_: calls.append("before"))
    run.optimizer.register_step_post_hook(lambda *_: calls.append("after"))
    run.step(2)
    assert (run.optimizer.steps, calls) == (2, ["before", "after"] * 2)
    assert_same_values(run, Run(torch, "SGD", {"lr": 0.1}).step(2))


def test_a_group_without_a_required_setting_is_refused():
    class Picky(Plain):
        def __init__(self, params: Any):
            jt.optim.Optimizer.__init__(self, params, {"lr": jt.optim.optimizer.required})

    p = jt.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=r"didn't specify a value of required optimization .* lr"):
        Picky([p])
    Picky([{"params": [p], "lr": 0.1}])


def test_an_optimizer_without_a_rule_says_what_it_needs():
    p = jt.ones(2, requires_grad=True)
    p.sum().backward()
    with pytest.raises(NotImplementedError, match=r"update\(p, g, state, h\), or overrides step"):
        jt.optim.Optimizer([p], {"lr": 0.1}).step()


def test_an_lr_that_is_a_tensor_reaches_the_rule_and_may_change():
    p = jt.nn.Parameter(jt.ones(3))
    lr = jt.tensor(0.1)
    optimizer = Signum([p], lr=lr)
    for expected in (0.9, 0.89):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        np.testing.assert_allclose(p.detach().numpy(), np.full(3, expected), rtol=1e-6)
        lr.fill_(0.01)
