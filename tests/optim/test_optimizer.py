"""Groups, gradients, closures, hooks and copies of optimizers, beside PyTorch's."""

from __future__ import annotations

import copy
import importlib
import pickle
from typing import Any

import numpy as np
import optax
import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import (
    WEIGHTS,
    Run,
    assert_frozen_trains_as_plain,
    assert_same_tree,
    assert_same_values,
)

LIBRARIES = pytest.mark.parametrize("library", [jt, torch], ids=["jtoolbox", "torch"])
RULES = pytest.mark.parametrize(
    ("name", "settings"),
    [("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}), ("Adam", {"lr": 0.1})],
    ids=["SGD", "Adam"],
)


def both(name: str, settings: dict[str, Any]) -> tuple[Run, Run]:
    return Run(jt, name, settings), Run(torch, name, settings)


def assert_same(ours: Run, theirs: Run) -> None:
    assert_same_values(ours, theirs)
    assert_same_tree(ours.optimizer.state_dict(), theirs.optimizer.state_dict())


# --- groups


@RULES
def test_a_group_added_in_mid_training_has_its_own_settings_and_starts_afresh(name, settings):
    runs = both(name, settings)
    for run in runs:
        weight, bias = run.params
        run.optimizer = getattr(run.library.optim, name)([weight], **settings)
        bias.requires_grad_(False)
        run.step(2)
        bias.requires_grad_(True)
        run.optimizer.add_param_group({"params": bias, "lr": 0.02})
        run.step(3)
        assert [g["lr"] for g in run.optimizer.param_groups] == [0.1, 0.02]
        assert run.optimizer.param_groups[1]["params"][0] is bias
    assert_same(*runs)


@RULES
def test_names_of_parameters_are_kept_in_their_group(name, settings):
    runs = both(name, settings)
    for run in runs:
        named = zip(("weight", "bias"), run.params, strict=True)
        run.optimizer = getattr(run.library.optim, name)(named, **settings)
        run.step(2)
    assert_same(*runs)
    assert runs[0].optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]


def test_any_iterable_of_parameters_will_do():
    for make in (
        list,
        tuple,
        iter,
        lambda ps: (p for p in ps),
        lambda ps: dict(enumerate(ps)).values(),
    ):
        run = Run(jt)
        run.optimizer = jt.optim.SGD(make(run.params), lr=0.1)
        assert run.optimizer.param_groups[0]["params"] == run.params


# --- gradients


@RULES
def test_parameters_without_gradient_stay_and_get_no_state(name, settings):
    runs = both(name, settings)
    for run in runs:
        library = run.library
        run.params.append(library.nn.Parameter(library.tensor(WEIGHTS[1])))
        run.optimizer = getattr(library.optim, name)(run.params, **settings)
        unused = run.params.pop()
        run.step(2)
        assert unused not in run.optimizer.state
        assert np.array_equal(unused.detach().numpy(), WEIGHTS[1])
    assert_same(*runs)


@RULES
def test_a_parameter_that_gets_its_gradient_later_counts_its_own_steps(name, settings):
    runs = both(name, settings)
    for run in runs:
        run.params[1].requires_grad_(False)
        run.step(3)
        run.params[1].requires_grad_(True)
        run.step(3)
    assert_same(*runs)


@RULES
def test_a_step_without_any_gradient_does_nothing(name, settings):
    ours, theirs = both(name, settings)
    for run in (ours, theirs):
        run.optimizer.step()
        run.step(1)
        run.optimizer.zero_grad()
        run.optimizer.step()
    assert_same(ours, theirs)


@RULES
def test_steps_on_one_gradient_and_on_gradients_that_add_up(name, settings):
    runs = both(name, settings)
    for run in runs:
        for _ in range(3):
            run.loss().backward()
            run.done += 1
        for _ in range(3):
            run.optimizer.step()
    assert_same(*runs)


@RULES
def test_a_gradient_may_be_assigned(name, settings):
    runs = both(name, settings)
    for run in runs:
        for p in run.params:
            p.grad = run.library.ones_like(p)
        run.optimizer.step()
        run.params[0].grad = None
        run.optimizer.step()
    assert_same(*runs)


@LIBRARIES
def test_zero_grad_forgets_gradients_or_makes_them_zero(library):
    run = Run(library, "SGD", {"lr": 0.1})
    run.loss().backward()
    run.optimizer.zero_grad(set_to_none=False)
    assert [p.grad.tolist() for p in run.params] == [np.zeros(w.shape).tolist() for w in WEIGHTS]
    run.optimizer.step()
    assert all(np.array_equal(v, w) for v, w in zip(run.values(), WEIGHTS, strict=True))
    run.optimizer.zero_grad()
    assert [p.grad for p in run.params] == [None, None]
    run.optimizer.zero_grad(set_to_none=False)
    assert [p.grad for p in run.params] == [None, None]


@RULES
def test_zero_gradients_still_move_by_momentum(name, settings):
    runs = both(name, settings)
    for run in runs:
        run.step(2)
        run.optimizer.zero_grad(set_to_none=False)
        run.optimizer.step()
    assert_same(*runs)


@RULES
def test_tied_parameters_are_updated_once_by_the_sum_of_their_gradients(name, settings):
    results = []
    for library in (jt, torch):
        first, second = library.nn.Linear(3, 3), library.nn.Linear(3, 3)
        with library.no_grad():
            first.weight.copy_(library.tensor(np.eye(3, dtype=np.float32) * 0.5))
            for layer in (first, second):
                layer.bias.zero_()
        second.weight = first.weight
        model = library.nn.Sequential(first, library.nn.Tanh(), second)
        optimizer = getattr(library.optim, name)(model.parameters(), **settings)
        assert len(optimizer.param_groups[0]["params"]) == 3
        for _ in range(3):
            optimizer.zero_grad()
            model(library.ones(2, 3)).square().sum().backward()
            optimizer.step()
        assert second.weight is first.weight
        results.append([p.detach().numpy() for p in model.parameters()])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", "float16"])
@RULES
def test_other_float_types_keep_their_type_in_value_and_state(name, settings, dtype):
    states = []
    for library in (jt, torch):
        p = library.tensor(WEIGHTS[1], dtype=getattr(library, dtype), requires_grad=True)
        optimizer = getattr(library.optim, name)([p], **settings)
        for _ in range(3):
            optimizer.zero_grad()
            (p * p).sum().backward()
            optimizer.step()
        copied = getattr(library.optim, name)([p], **settings)
        copied.load_state_dict(optimizer.state_dict())
        state = {k: v.float() for k, v in copied.state[p].items()}
        kinds = {k: str(v.dtype).rpartition(".")[2] for k, v in copied.state[p].items()}
        assert all(kind == dtype for k, kind in kinds.items() if k != "step")
        states.append((p.detach().float().numpy(), state))
    rtol = {"float64": 1e-6, "bfloat16": 3e-2, "float16": 5e-3}[dtype]
    np.testing.assert_allclose(states[0][0], states[1][0], rtol=rtol)
    for key in states[1][1]:
        np.testing.assert_allclose(states[0][1][key].numpy(), states[1][1][key].numpy(), rtol=rtol)


# --- closures and hooks


@LIBRARIES
def test_a_closure_computes_the_loss_with_grad_mode_on_and_step_returns_it(library):
    run = Run(library, "SGD", {"lr": 0.1})

    def closure() -> Any:
        assert library.is_grad_enabled()
        run.optimizer.zero_grad()
        loss = run.loss()
        loss.backward()
        return loss

    with library.no_grad():
        first = run.optimizer.step(closure)
        second = run.optimizer.step(closure=closure)
    assert second.item() < first.item()
    assert run.optimizer.step() is None


@LIBRARIES
def test_hooks_run_around_the_step_and_its_closure_in_order(library):
    run, order = Run(library, "SGD", {"lr": 0.1}), []

    def before(optimizer: Any, args: Any, kwargs: Any) -> Any:
        assert optimizer is args[0] is run.optimizer
        order.append("before")
        return (optimizer,), {"closure": lambda: order.append("another closure")}

    first = run.optimizer.register_step_pre_hook(before)
    last = run.optimizer.register_step_post_hook(lambda *_: order.append("after"))
    run.optimizer.step(lambda: order.append("closure"))
    assert order == ["before", "another closure", "after"]
    first.remove()
    run.optimizer.step(lambda: order.append("closure"))
    assert order[3:] == ["closure", "after"]
    last.remove()
    run.optimizer.step()
    assert len(order) == 5
    run.optimizer.register_step_pre_hook(lambda *_: 1)
    with pytest.raises(
        RuntimeError, match=r"must return None or a tuple of \(new_args, new_kwargs\)"
    ):
        run.optimizer.step()


@LIBRARIES
def test_hooks_of_all_optimizers_run_around_ones_own(library):
    hooks, order = importlib.import_module(f"{library.__name__}.optim.optimizer"), []
    handles = [
        hooks.register_optimizer_step_pre_hook(lambda *_: order.append("all before")),
        hooks.register_optimizer_step_post_hook(lambda *_: order.append("all after")),
    ]
    run = Run(library, "SGD", {"lr": 0.1})
    run.optimizer.register_step_pre_hook(lambda *_: order.append("before"))
    run.optimizer.register_step_post_hook(lambda *_: order.append("after"))
    run.optimizer.step()
    assert order == ["all before", "before", "after", "all after"]
    for handle in handles:
        handle.remove()
    run.optimizer.step()
    assert order[4:] == ["before", "after"]


def test_values_are_there_in_a_post_hook():
    run, seen = Run(jt, "SGD", {"lr": 0.1}), []
    run.optimizer.register_step_post_hook(lambda o, *_: seen.extend(run.values()))
    before = run.values()
    run.step()
    for seen_value, after, old in zip(seen, run.values(), before, strict=True):
        np.testing.assert_array_equal(seen_value, after)
        assert not np.array_equal(after, old)


@LIBRARIES
def test_hooks_of_state_dict_see_and_change_it(library):
    run, order = Run(library, "SGD", {"lr": 0.1}), []
    optimizer = run.optimizer
    optimizer.register_state_dict_pre_hook(lambda o: order.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: order.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "version": 3})
    state = optimizer.state_dict()
    assert (order, state["version"]) == (["first", "second"], 3)

    def faster(o: Any, state: Any) -> Any:
        group = {**state["param_groups"][0], "lr": 5.0}
        return {**state, "param_groups": [group]}

    optimizer.register_load_state_dict_pre_hook(faster)
    optimizer.register_load_state_dict_post_hook(lambda o: order.append(o.param_groups[0]["lr"]))
    optimizer.load_state_dict(state)
    assert order[2:] == [5.0]
    assert state["param_groups"][0]["lr"] == 0.1


# --- state and copies


@RULES
def test_a_state_dict_follows_the_training_and_its_deepcopy_does_not(name, settings):
    run = Run(jt, name, settings).step()
    live = run.optimizer.state_dict()
    kept = copy.deepcopy(live)
    run.step()
    assert_same_tree(run.optimizer.state_dict(), live)
    with pytest.raises(AssertionError):
        assert_same_tree(run.optimizer.state_dict(), kept)


@RULES
def test_loading_copies_so_that_two_optimizers_share_no_state(name, settings):
    run, other = Run(jt, name, settings).step(2), Run(jt, name, settings)
    other.optimizer.load_state_dict(run.optimizer.state_dict())
    before = copy.deepcopy(run.optimizer.state_dict())
    other.step(2)
    assert_same_tree(run.optimizer.state_dict(), before)
    run.optimizer.param_groups[0]["lr"] = 7.0
    assert other.optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@RULES
def test_pytorchs_state_dict_loads_as_it_is(name, settings, dtype):
    ours, theirs = both(name, settings)
    for run in (ours, theirs):
        run.params = [p.detach().to(getattr(run.library, dtype)) for p in run.params]
        run.params = [p.requires_grad_() for p in run.params]
        run.renew(name, settings, [])
    for p in theirs.params:
        p.grad = torch.ones_like(p)
    theirs.optimizer.step()
    ours.optimizer.load_state_dict(theirs.optimizer.state_dict())
    for p, q in zip(ours.params, theirs.params, strict=True):
        state = ours.optimizer.state[p]
        assert {str(v.dtype) for k, v in state.items() if k != "step"} == {f"torch.{dtype}"}
        for key, value in theirs.optimizer.state[q].items():
            assert state[key].tolist() == value.tolist()


@RULES
def test_deepcopy_and_pickle_with_the_parameters_go_on_equally(name, settings):
    run = Run(jt, name, settings).step(2)
    kept = run.params, run.optimizer
    copies = [copy.deepcopy(kept), pickle.loads(pickle.dumps(kept))]
    run.step(2)
    for params, optimizer in copies:
        assert optimizer.param_groups[0]["params"][0] is params[0]
        other = Run(jt)
        other.params, other.optimizer, other.done = params, optimizer, 2
        assert_same(other.step(2), run)
        optimizer.register_step_pre_hook(lambda *_: None)


def test_state_may_be_cleared_or_written_by_hand():
    runs = both("SGD", {"lr": 0.1, "momentum": 0.9})
    for run in runs:
        run.step(3)
        for p in run.params:
            run.optimizer.state[p]["momentum_buffer"].mul_(0.5)
        run.step(1)
        run.optimizer.state.clear()
        run.step(2)
    assert_same(*runs)


def test_momentum_switched_on_and_off_in_mid_training():
    runs = both("SGD", {"lr": 0.1})
    for run in runs:
        for momentum in (0, 0.9, 0, 0.5):
            run.optimizer.param_groups[0]["momentum"] = momentum
            run.step(2)
    assert_same(*runs)


def test_sgds_state_as_older_pytorch_saved_it_loads():
    run = Run(jt, "SGD", {"lr": 0.1, "momentum": 0.9})
    state = run.optimizer.state_dict()
    state["state"] = {i: {"momentum_buffer": None} for i in range(2)}
    del state["param_groups"][0]["maximize"]
    run.optimizer.load_state_dict(state)
    assert_same_values(run.step(3), Run(jt, "SGD", {"lr": 0.1, "momentum": 0.9}).step(3))


# --- inside the step


@pytest.mark.parametrize("clip", ["norm", "value"])
def test_clipping_stays_in_the_steps_program(clip, compilations):
    runs = both("SGD", {"lr": 0.1, "momentum": 0.9})

    def step(run: Run, most: float) -> None:
        run.optimizer.zero_grad()
        run.loss().backward()
        utils = run.library.nn.utils
        limit = utils.clip_grad_norm_ if clip == "norm" else utils.clip_grad_value_
        limit(run.params, most)
        run.optimizer.step()
        run.done += 1
        jt.engine.flush()

    jt.engine.clear_programs()
    before = jt.engine.program_count()
    step(runs[0], 0.1)
    assert jt.engine.program_count() - before == 1
    compilations.count()
    step(runs[0], 0.1)
    step(runs[0], 0.2)
    assert compilations.count() == 0
    for most in (0.1, 0.1, 0.2):
        step(runs[1], most)
    assert_same(*runs)


def test_a_frozen_step_of_optax_trains_as_the_plain_loop_does(compilations):
    settings = {"factory": optax.adam, "learning_rate": 0.1}
    runs = [Run(jt, "Optax", settings) for _ in range(2)]
    assert_frozen_trains_as_plain(*runs, 6, 4, compilations)
