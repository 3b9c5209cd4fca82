"""Layer, group and RMS normalization layers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import assert_same_step, layers

RNG = np.random.default_rng(0)
LOOSE = {"rtol": 1e-3, "atol": 1e-4}

CASES = [
    ("LayerNorm", (5,), {}),
    ("LayerNorm", ([4, 5],), {"eps": 1e-3}),
    ("LayerNorm", (5,), {"elementwise_affine": False}),
    ("LayerNorm", (5,), {"bias": False}),
    ("RMSNorm", (5,), {}),
    ("RMSNorm", ((4, 5),), {"eps": 1e-3}),
    ("RMSNorm", (5,), {"elementwise_affine": False}),
    ("GroupNorm", (2, 4), {}),
    ("GroupNorm", (4, 4), {"affine": False}),
    ("GroupNorm", (1, 4), {"bias": False, "eps": 1e-2}),
    ("LocalResponseNorm", (3,), {}),
    ("LocalResponseNorm", (2,), {"alpha": 0.1, "beta": 0.5, "k": 2.0}),
]


@pytest.mark.parametrize(("name", "args", "settings"), CASES)
def test_repr_state_results_and_gradients(name, args, settings):
    ours, theirs = layers(name, *args, **settings)
    x = (RNG.standard_normal((3, 4, 5)) * 2 + 1).astype(np.float32)
    assert_same_step(ours, theirs, x, **LOOSE)


@pytest.mark.parametrize("name", ["LayerNorm", "RMSNorm", "GroupNorm"])
def test_weights_start_at_one_and_biases_at_zero(name):
    layer = getattr(jt.nn, name)(*((2, 4) if name == "GroupNorm" else (4,)), dtype=jt.float64)
    assert layer.weight.dtype is jt.float64
    np.testing.assert_array_equal(layer.weight.detach().numpy(), np.ones(4))
    if name != "RMSNorm":
        np.testing.assert_array_equal(layer.bias.detach().numpy(), np.zeros(4))


def test_groups_must_divide_the_channels():
    for lib in (jt, torch):
        with pytest.raises(ValueError, match=r"num_channels.* must be divisible by num_groups"):
            lib.nn.GroupNorm(3, 4)


def test_an_input_that_ends_differently_raises():
    with pytest.raises(RuntimeError, match=r"normalized_shape=\[4\].*\[2, 3\]"):
        jt.nn.LayerNorm(4)(jt.ones(2, 3))
