"""Averaged models beside PyTorch's."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import assert_same_tree
from tests.optim.test_table import exchanged

LIBRARIES = pytest.mark.parametrize("library", [torch, jt], ids=["torch", "jtoolbox"])
RNG = np.random.default_rng(0)
BATCHES = RNG.standard_normal((6, 5, 3)).astype(np.float32)
WEIGHTS = [RNG.standard_normal(s).astype(np.float32) for s in ((2, 3), (2,), (2,), (2,))]


def model_of(library: Any) -> Any:
    """A linear layer with BatchNorm, of the same weights in both libraries."""
    nn = library.nn
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    with library.no_grad():
        for p, w in zip(model.parameters(), WEIGHTS, strict=True):
            p.copy_(library.tensor(w))
    return model


def trained(library: Any, model: Any, average: Any, steps: int = 4) -> Any:
    """Some steps of training, each followed by an update of the averages."""
    optimizer = library.optim.SGD(model.parameters(), lr=0.02)
    for i in range(steps):
        optimizer.zero_grad()
        (model(library.tensor(BATCHES[i])) - 1).square().sum().backward()
        optimizer.step()
        average.update_parameters(model)
    return average


AVERAGES = {
    "the default": lambda u: {},
    "the default, buffers too": lambda u: {"use_buffers": True},
    "mean": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "means": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "running mean": lambda u: {"avg_fn": u.get_ema_avg_fn(0.7)},
    "running means": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7)},
    "running means, buffers too": lambda u: {
        "multi_avg_fn": u.get_ema_multi_avg_fn(0.7), "use_buffers": True
    },
    "one's own": lambda u: {
        "avg_fn": lambda average, current, count: (average + current) / (count + 2),
        "use_buffers": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("case", AVERAGES)
def test_averages_buffers_and_the_count_are_pytorchs(case):
    results = []
    for library in (jt, torch):
        model = model_of(library)
        settings = AVERAGES[case](library.optim.swa_utils)
        average = library.optim.swa_utils.AveragedModel(model, **settings)
        assert_same_tree(average.n_averaged.item(), 0)
        trained(library, model, average)
        results.append((average, average.eval()(library.tensor(BATCHES[5]))))
    (ours, our_output), (theirs, their_output) = results
    assert_same_tree(dict(ours.state_dict()), dict(theirs.state_dict()))
    np.testing.assert_allclose(our_output.detach(), their_output.detach(), rtol=1e-5, atol=1e-6)
    assert repr(ours) == repr(theirs)
    assert [name for name, _ in ours.named_parameters()] == [
        name for name, _ in theirs.named_parameters()
    ]


@pytest.mark.parametrize(("source", "target"), [(jt, torch), (torch, jt)], ids=["out", "in"])
def test_an_averages_state_goes_over_in_mid_training(source, target):
    runs = {}
    for library in (source, target):
        model = model_of(library)
        average = library.optim.swa_utils.AveragedModel(model)
        runs[library] = trained(library, model, average), model
    average, model = runs[target]
    state = {"average": runs[source][0].state_dict(), "model": runs[source][1].state_dict()}
    state = exchanged(state, source, target)
    average.load_state_dict(state["average"])
    model.load_state_dict(state["model"])
    for library in (source, target):
        trained(library, runs[library][1], runs[library][0])
    assert_same_tree(*(dict(runs[library][0].state_dict()) for library in (jt, torch)))


@LIBRARIES
def test_the_average_is_a_copy_that_training_leaves_alone(library):
    model = model_of(library)
    average = library.optim.swa_utils.AveragedModel(model)
    with library.no_grad():
        for p in model.parameters():
            p.zero_()
    for p, w in zip(average.parameters(), WEIGHTS, strict=True):
        assert np.array_equal(p.detach().numpy(), w)
    average.update_parameters(model)
    assert all(not p.detach().numpy().any() for p in average.parameters())
    other = copy.deepcopy(average)
    assert other.n_averaged.item() == 1


def test_an_update_of_all_averages_compiles_once(compilations):
    model = model_of(jt)
    average = jt.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=jt.optim.swa_utils.get_ema_multi_avg_fn(0.9)
    )
    average.update_parameters(model)
    average.update_parameters(model)
    compilations.count()
    for _ in range(3):
        average.update_parameters(model)
    assert compilations.count() == 0


def test_statistics_of_batches_are_pytorchs():
    results = []
    for library in (jt, torch):
        model = model_of(library).eval()
        momentum = model[1].momentum
        batches = [library.tensor(b) for b in BATCHES]
        library.optim.swa_utils.update_bn(batches, model)
        assert not model.training
        assert model[1].momentum == momentum
        found = copy.deepcopy(dict(model.state_dict()))
        library.optim.swa_utils.update_bn([(b, None) for b in batches[:2]], model, device="cpu")
        plain = library.nn.Linear(3, 2)
        library.optim.swa_utils.update_bn(iter(()), plain)
        results.append({"all": found, "two": dict(model.state_dict())})
    assert_same_tree(*results)


@LIBRARIES
def test_settings_out_of_range_are_refused(library):
    u = library.optim.swa_utils
    for make in (u.get_ema_avg_fn, u.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 1.5 provided. Please provide a"):
            make(1.5)
        make(0.0), make(1.0)
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn should be prov"):
        u.AveragedModel(
            model_of(library), avg_fn=u.get_swa_avg_fn(), multi_avg_fn=u.get_swa_multi_avg_fn()
        )


def test_swa_training_as_in_pytorchs_manual():
    results = []
    for library in (jt, torch):
        model = model_of(library)
        u, s = library.optim.swa_utils, library.optim.lr_scheduler
        optimizer = library.optim.SGD(model.parameters(), lr=0.1)
        scheduler = s.CosineAnnealingLR(optimizer, T_max=5)
        average, swa_scheduler = u.AveragedModel(model), u.SWALR(optimizer, swa_lr=0.05)
        for epoch in range(6):
            optimizer.zero_grad()
            (model(library.tensor(BATCHES[epoch])) - 1).square().mean().backward()
            optimizer.step()
            if epoch > 2:
                average.update_parameters(model)
                swa_scheduler.step()
            else:
                scheduler.step()
        u.update_bn([library.tensor(b) for b in BATCHES], average)
        results.append(dict(average.state_dict()))
    assert_same_tree(*results)
