"""Changing the learning rate keeps the momentum; a new optimizer starts without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import Run, assert_same_values

SETTINGS = {"lr": 0.1, "momentum": 0.9}
LIBRARIES = pytest.mark.parametrize("library", [jt, torch], ids=["jtoolbox", "torch"])


def gradient(run: Run) -> np.ndarray:
    """The weight's gradient on the batch whose turn it is."""
    run.optimizer.zero_grad()
    run.loss().backward()
    return run.params[0].grad.numpy().copy()


@LIBRARIES
def test_a_changed_lr_scales_the_momentum_gathered_so_far(library):
    run = Run(library, "SGD", SETTINGS).step(5)
    before = run.values()[0].copy()
    momentum = run.optimizer.state[run.params[0]]["momentum_buffer"].numpy().copy()
    g = gradient(run)
    run.optimizer.param_groups[0]["lr"] = 0.01
    run.optimizer.step()
    want = before - 0.01 * (0.9 * momentum + g)
    np.testing.assert_allclose(run.values()[0], want, rtol=1e-5, atol=1e-6)


@LIBRARIES
def test_a_new_optimizer_steps_along_the_gradient_alone(library):
    run = Run(library, "SGD", SETTINGS).step(5)
    before = run.values()[0].copy()
    run.renew("SGD", {**SETTINGS, "lr": 0.01}, [])
    assert not run.optimizer.state
    g = gradient(run)
    run.optimizer.step()
    np.testing.assert_allclose(run.values()[0], before - 0.01 * g, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW"])
def test_both_ways_go_on_as_in_pytorch_and_apart_from_each_other(name):
    settings = SETTINGS if name == "SGD" else {"lr": 0.1}
    results = []
    for library in (jt, torch):
        kept = Run(library, name, settings).step(5)
        renewed = Run(library, name, settings).step(5)
        kept.optimizer.param_groups[0]["lr"] *= 0.1
        renewed.renew(name, {**settings, "lr": 0.01}, [])
        results.append((kept.step(5), renewed.step(5)))
    for ours, theirs in zip(*results, strict=True):
        assert_same_values(ours, theirs)
    kept, renewed = results[0]
    assert np.abs(kept.values()[0] - renewed.values()[0]).max() > 1e-3
