"""Steps that wait: their gradients are dropped unread, or computed again for whoever looks."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
import torch

import jtoolbox as jt

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((3, 4)).astype(np.float32)


class Run:
    """A parameter and its optimizer, in one of the libraries."""

    def __init__(self, library, momentum: float = 0.9):
        self.library = library
        self.weight = library.nn.Parameter(library.tensor(W))
        self.optimizer = library.optim.SGD([self.weight], lr=0.1, momentum=momentum)

    def backward(self, zero: bool = True):
        if zero:
            self.optimizer.zero_grad()
        loss = (self.library.tensor(X) @ self.weight.T).tanh().square().mean()
        loss.backward()
        return loss

    def step(self, zero: bool = True):
        loss = self.backward(zero)
        self.optimizer.step()
        return loss


def same(ours, theirs) -> None:
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-5, atol=1e-7)


@pytest.fixture
def runs():
    return Run(jt), Run(torch)


def test_a_step_waits_until_its_gradients_are_dropped():
    run = Run(jt)
    run.step()
    assert run.weight._node.value is None
    run.optimizer.zero_grad()
    assert run.weight._node.value is not None


def test_a_dropped_gradient_is_not_among_the_programs_results(compilations):
    run = Run(jt)
    run.step()
    finished = jt.engine.mode.finished
    run.optimizer.zero_grad()
    assert len(finished.gathered.outputs) == 3  # the loss, the weight, its momentum


def test_a_gradient_read_after_the_value_of_the_loss_is_pytorchs(runs):
    for run in runs:
        run.step().item()
        run.step().item()
    same(runs[0].weight.grad, runs[1].weight.grad)
    same(runs[0].weight, runs[1].weight)


def test_a_loop_that_reads_its_gradients_gets_them_from_the_step_itself(compilations):
    run = Run(jt)
    for _ in range(3):
        run.step().item()
        assert np.isfinite(run.weight.grad.norm().item())
    compilations.count()
    before = jt.engine.program_count()
    for _ in range(3):
        run.step().item()
        assert np.isfinite(run.weight.grad.norm().item())
    assert compilations.count() == 0
    assert jt.engine.program_count() == before


def test_a_loop_that_looks_at_some_losses_compiles_one_program_for_its_steps(compilations):
    run = Run(jt)
    run.step().item()
    compilations.count()
    for i in range(6):
        loss = run.step()
        if i % 3 == 0:
            assert np.isfinite(loss.item())
    jt.engine.flush()
    assert compilations.count() == 0


def test_gradients_add_up_over_steps_that_drop_none(runs):
    for run in runs:
        run.step().item()
        run.step(zero=False).item()
        run.step(zero=False)
    same(runs[0].weight.grad, runs[1].weight.grad)
    same(runs[0].weight, runs[1].weight)


def test_a_gradient_looked_at_while_the_step_waits_survives_zero_grad(runs):
    held = []
    for run in runs:
        run.step()
        held.append(run.weight.grad)
        run.optimizer.zero_grad()
    same(*held)


def test_a_gradient_used_while_the_step_waits_is_computed_with_it(runs):
    results = []
    for run in runs:
        run.step()
        results.append(run.weight.grad * run.weight)
        run.weight.grad = None
    same(*results)


def test_two_optimizers_over_one_graph_are_one_program_that_both_must_drop():
    a, b = Run(jt), Run(jt)
    a.optimizer.zero_grad()
    b.optimizer.zero_grad()
    ((jt.tensor(X) @ a.weight.T) * (jt.tensor(X) @ b.weight.T)).mean().backward()
    before = jt.engine.program_count()
    a.optimizer.step()
    b.optimizer.step()
    a.optimizer.zero_grad()
    assert a.weight._node.value is None
    b.optimizer.zero_grad()
    assert b.weight._node.value is not None
    assert jt.engine.program_count() - before == 1


def test_adversaries_train_as_in_pytorch(runs):
    def adversaries(library):
        players = [Run(library, momentum) for momentum in (0.0, 0.5)]
        for turn in (0, 1, 0, 1, 0):
            me = players[turn]
            me.optimizer.zero_grad()
            x = library.tensor(X)
            loss = ((x @ players[0].weight.T).tanh() * (x @ players[1].weight.T).sigmoid()).mean()
            (loss if turn else -loss).backward()
            me.optimizer.step()
        return players

    for ours, theirs in zip(adversaries(jt), adversaries(torch), strict=True):
        same(ours.weight, theirs.weight)
        same(ours.weight.grad, theirs.weight.grad)


def test_another_thread_finds_the_values_of_a_waiting_step(runs):
    found = []
    for run in runs:
        run.step()
        thread = threading.Thread(target=lambda r=run: found.append(r.weight.detach().numpy()))
        thread.start()
        thread.join()
    np.testing.assert_allclose(*found, rtol=1e-5)


def test_a_step_recorded_in_a_thread_that_has_ended_is_not_lost(runs):
    for run in runs:
        thread = threading.Thread(target=run.step)
        thread.start()
        thread.join()
    same(runs[0].weight, runs[1].weight)
    same(runs[0].weight.grad, runs[1].weight.grad)


def test_gradients_that_no_optimizer_takes_are_there_after_the_step(runs):
    others = []
    for run in runs:
        other = run.library.tensor(W, requires_grad=True)
        run.backward()
        (other * other).sum().backward()
        run.optimizer.step()
        assert np.isfinite(run.weight.sum().item())
        others.append(other)
    same(others[0].grad, others[1].grad)


def test_clipped_gradients_are_dropped_unread_too():
    run = Run(jt)
    run.backward()
    jt.nn.utils.clip_grad_norm_([run.weight], 0.01)
    run.optimizer.step()
    finished = jt.engine.mode.finished
    run.optimizer.zero_grad()
    assert len(finished.gathered.outputs) == 2  # the weight and its momentum: nobody holds the loss


def test_copies_of_a_model_have_the_gradients_of_its_last_step(runs):
    tensors = [run.library.tensor(W, requires_grad=True) for run in runs]
    for run, weight in zip(runs, tensors, strict=True):
        weight.square().sum().backward()
        run.library.optim.SGD([weight], lr=0.1).step()
        assert np.isfinite(weight.sum().item())
    ours, theirs = (copy.deepcopy(weight) for weight in tensors)
    same(ours.grad, theirs.grad)
    same(ours, theirs)
