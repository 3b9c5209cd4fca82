"""Checkpoints of memory change no value and no gradient."""

from __future__ import annotations

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.engine import mode
from jtoolbox.utils.checkpoint import (
    checkpoint,
    checkpoint_sequential,
    get_device_states,
    set_device_states,
)


def network():
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Dropout(0.3), nn.Tanh(), nn.Linear(6, 2)]
    return nn.Sequential(*layers)


def run(call):
    """Loss, gradients and buffers of one pass from the same start."""
    jt.manual_seed(0)
    model, x = network(), jt.randn(5, 4)
    jt.manual_seed(1)
    loss = (call(model, x) ** 2).sum()
    names = [node.call.name for node in mode.pending]
    loss.backward()
    found = [loss.detach(), *[p.grad for p in model.parameters()], *model.buffers()]
    return [t.numpy() for t in found], names.count("CheckpointFunctionBackward")


def asking(model, x):
    y = model(x)
    return y if y.sum().item() < 1e9 else 2 * y


def test_values_gradients_masks_and_buffers_are_those_of_the_plain_call():
    expected, _ = run(lambda model, x: model(x))
    calls = {
        lambda model, x: checkpoint(model, x, use_reentrant=False): 1,
        lambda model, x: checkpoint_sequential(model, 2, x): 1,
        lambda model, x: checkpoint(asking, model, x): 0,
    }
    for call, count in calls.items():
        found, marks = run(call)
        assert marks == count
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_context_is_an_error_that_says_what_to_do():
    with pytest.raises(NotImplementedError, match=r"use jax.checkpoint\(policy="):
        checkpoint(network(), jt.ones(2, 4), context_fn=lambda: None)


def test_tensors_on_no_gpu_have_no_device_states():
    assert get_device_states(jt.ones(2), [3]) == ([], [])
    set_device_states([], [])
