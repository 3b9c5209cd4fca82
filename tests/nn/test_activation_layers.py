"""Activation layers against PyTorch's: repr, results, gradients, `inplace`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import layers
from tests.reference import assert_same

RNG = np.random.default_rng(0)

CASES = [
    *((name, (), {}) for name in ("ReLU", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish")),
    *((name, (), {}) for name in ("Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink")),
    *((name, (), {}) for name in ("LeakyReLU", "ELU", "CELU", "GELU", "RReLU", "Hardtanh")),
    *((name, (), {}) for name in ("ReLU6", "Softplus", "Hardshrink", "Softshrink", "PReLU", "GLU")),
    *((name, (1,), {}) for name in ("Softmax", "Softmin", "LogSoftmax")),
    ("Softmax2d", (), {}),
    ("LeakyReLU", (0.3,), {}),
    ("ELU", (0.5,), {}),
    ("CELU", (2.0,), {}),
    ("GELU", ("tanh",), {}),
    ("RReLU", (0.1, 0.4), {}),
    ("Hardtanh", (-2, 0.5), {}),
    ("Threshold", (0.1, 20), {}),
    ("Softplus", (2, 10), {}),
    ("Hardshrink", (0.2,), {}),
    ("Softshrink", (0.2,), {}),
    ("PReLU", (4, 0.1), {}),
    ("GLU", (1,), {}),
]
INPLACE = ["ReLU", "SELU", "SiLU", "Mish", "Hardsigmoid", "Hardswish", "LeakyReLU", "ELU", "CELU",
           "RReLU", "Hardtanh", "ReLU6"]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "settings"), CASES)
def test_repr_state_and_results(name, args, settings):
    ours, theirs = layers(name, *args, **settings)
    ours.eval(), theirs.eval()
    x = RNG.standard_normal((3, 4, 5, 2)).astype(np.float32) * 3
    assert_same(ours(jt.tensor(x)), theirs(torch.tensor(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", INPLACE)
def test_inplace_overwrites_the_input_and_shows(name):
    ours, _ = layers(name, inplace=True)
    ours.eval()
    x = jt.tensor(RNG.standard_normal((3, 4)).astype(np.float32) - 1)
    before = x.numpy().copy()
    y = ours(x)
    assert y is x
    assert (x.numpy() != before).any()
    layers("Threshold", 0.1, 20, True)


def test_softmax_without_a_dimension_shows_none_and_warns():
    ours, _ = layers("Softmax")
    with pytest.warns(UserWarning, match="Implicit dimension"):
        ours(jt.ones(2, 3))


def test_rrelu_draws_in_training_only():
    layer = jt.nn.RReLU()
    x = -jt.ones(100)
    assert np.unique(layer(x).numpy()).size > 50
    assert np.unique(layer.eval()(x).numpy()).size == 1


def test_prelu_starts_at_its_setting_and_learns():
    layer = jt.nn.PReLU(3, init=0.1)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 0.1)
    layer(-jt.ones(2, 3)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), -2)


def test_errors_are_pytorchs():
    for lib in (jt, torch):
        with pytest.raises(ValueError, match="expected input to be 3D or 4D, got 2D"):
            lib.nn.Softmax2d()(lib.ones(2, 3))
        with pytest.raises(AssertionError, match="must be greater than min_val"):
            lib.nn.Hardtanh(1, -1)
    with pytest.warns(FutureWarning, match="`min_value` is deprecated"):
        assert jt.nn.Hardtanh(min_value=-2).min_val == -2
