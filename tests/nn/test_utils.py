"""`nn.utils`: clipping gradients, and parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import nn
from tests.nn.both import both, same_error

GRADS = [
    np.array([[3.0, -4.0], [0.5, 0.0]], np.float32),
    None,
    np.array([12.0, -0.25, 1.0], np.float32),
]


def parameters(lib, grads=GRADS):
    """Parameters with the given gradients; None leaves one without."""
    made = []
    for grad in grads:
        parameter = lib.nn.Parameter(lib.zeros(2 if grad is None else grad.shape))
        parameter.grad = None if grad is None else lib.tensor(grad)
        made.append(parameter)
    return made


def close(ours, theirs):
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6)


def grads_close(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        if b.grad is None:
            assert a.grad is None
        else:
            close(a.grad, b.grad)


@pytest.mark.parametrize("order", [2.0, 1, 3.5, 0.0, math.inf, -math.inf])
@pytest.mark.parametrize("limit", [1.0, 100.0])
def test_clipping_by_norm_is_pytorchs(order, limit):
    ours, theirs = parameters(jt), parameters(torch)
    before = [p.grad for p in ours]
    close(
        jt.nn.utils.clip_grad_norm_(ours, limit, order),
        torch.nn.utils.clip_grad_norm_(theirs, limit, order),
    )
    grads_close(ours, theirs)
    assert all(p.grad is g for p, g in zip(ours, before, strict=True))


@pytest.mark.parametrize("limit", [0.4, 5, 100.0])
def test_clipping_by_value_is_pytorchs(limit):
    ours, theirs = parameters(jt), parameters(torch)
    jt.nn.utils.clip_grad_value_(ours, limit)
    torch.nn.utils.clip_grad_value_(theirs, limit)
    grads_close(ours, theirs)


def test_the_norm_can_be_taken_and_applied_apart():
    ours, theirs = parameters(jt), parameters(torch)
    our_norm = jt.nn.utils.get_total_norm([p.grad for p in ours if p.grad is not None])
    their_norm = torch.nn.utils.get_total_norm([p.grad for p in theirs if p.grad is not None])
    close(our_norm, their_norm)
    jt.nn.utils.clip_grads_with_norm_(ours, 0.5, our_norm)
    torch.nn.utils.clip_grads_with_norm_(theirs, 0.5, their_norm)
    grads_close(ours, theirs)


@both
def test_one_tensor_stands_for_a_list_of_one(lib):
    (parameter,) = parameters(lib, GRADS[:1])
    norm = lib.nn.utils.clip_grad_norm_(parameter, 1.0)
    assert norm.item() == pytest.approx(math.sqrt(25.25))
    lib.nn.utils.clip_grad_value_(parameter, 0.1)
    assert parameter.grad.abs().max().item() == pytest.approx(0.1)
    assert lib.nn.utils.get_total_norm(parameter.grad).item() < 1.0


@both
def test_parameters_may_come_from_a_generator(lib):
    made = parameters(lib)
    norm = lib.nn.utils.clip_grad_norm_((p for p in made), 1.0)
    assert norm.item() > 1.0
    total = lib.nn.utils.get_total_norm(p.grad for p in made if p.grad is not None)
    assert total.item() == pytest.approx(1.0, rel=1e-4)


@both
def test_no_gradients_have_norm_zero(lib):
    assert lib.nn.utils.clip_grad_norm_([], 1.0).item() == 0.0
    assert lib.nn.utils.clip_grad_norm_(parameters(lib, [None]), 1.0).item() == 0.0
    with pytest.warns(UserWarning, match="empty generator"):
        lib.nn.utils.clip_grad_norm_((p for p in []), 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_non_finite_norm_raises_when_asked_to(bad):
    grads = [np.array([1.0, bad], np.float32)]
    same_error(
        lambda lib: lib.nn.utils.clip_grad_norm_(
            parameters(lib, grads), 1.0, error_if_nonfinite=True
        )
    )
    ours, theirs = parameters(jt, grads), parameters(torch, grads)
    jt.nn.utils.clip_grad_norm_(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    grads_close(ours, theirs)


@both
def test_the_old_name_of_clipping_warns(lib):
    with pytest.warns(FutureWarning, match="clip_grad_norm_"):
        lib.nn.utils.clip_grad_norm(parameters(lib), 1.0)


def test_clipping_runs_nothing():
    model = nn.Module()
    model.weight = nn.Parameter(jt.ones((3, 4)))
    (model.weight * jt.ones((3, 4)) * 7.0).sum().backward()
    pending = jt.engine.mode.pending
    assert pending
    norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    nn.utils.clip_grad_value_(model.parameters(), 0.1)
    assert jt.engine.mode.pending is pending
    assert norm._node.value is None
    assert norm.item() == pytest.approx(7.0 * math.sqrt(12))
    assert model.weight.grad.max().item() == pytest.approx(0.1)


# --- vectors


@both
def test_parameters_become_a_vector_and_come_back(lib):
    made = [lib.nn.Parameter(lib.tensor(v)) for v in ([[1.0, 2.0], [3.0, 4.0]], [5.0], 6.0)]
    vector = lib.nn.utils.parameters_to_vector(made)
    assert vector.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    vector.sum().backward()
    assert made[0].grad.tolist() == [[1.0, 1.0], [1.0, 1.0]]
    lib.nn.utils.vector_to_parameters(vector.detach() * 10, made)
    assert [p.tolist() for p in made] == [[[10.0, 20.0], [30.0, 40.0]], [50.0], 60.0]
    assert all(isinstance(p, lib.nn.Parameter) and p.is_leaf for p in made)


def test_a_vector_is_a_tensor():
    same_error(lambda lib: lib.nn.utils.vector_to_parameters([1.0], []))
