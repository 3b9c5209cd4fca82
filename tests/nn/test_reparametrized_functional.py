"""Reparametrized layers as pure functions and in frozen steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox.nn.utils import parametrizations, parametrize, prune
from tests.nn.twins import normal

X = normal(4, 3)
pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")


class Symmetric(jt.nn.Module):
    def forward(self, w):
        return w.triu() + w.triu(1).mT


def _symmetric(layer):
    return parametrize.register_parametrization(layer, "weight", Symmetric())


WRAPPED = {
    "parametrized": _symmetric,
    "weight norm": parametrizations.weight_norm,
    "older weight norm": jt.nn.utils.weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "older spectral norm": jt.nn.utils.spectral_norm,
    "orthogonal": parametrizations.orthogonal,
    "pruned": lambda layer: prune.l1_unstructured(layer, "weight", 4),
}


def made(kind):
    jt.manual_seed(0)
    return WRAPPED[kind](jt.nn.Linear(3, 3))


@pytest.mark.parametrize("kind", WRAPPED)
def test_gradients_under_jax_are_those_of_backward(kind):
    layer, twin = made(kind), made(kind)
    twin(jt.tensor(X)).square().sum().backward()
    parameters = {name: p.array for name, p in layer.named_parameters()}
    buffers = {name: b.array for name, b in layer.named_buffers()}

    @jax.jit
    @jax.grad
    def gradient(p):
        return jnp.sum(jt.func.functional_call(layer, {**p, **buffers}, jnp.asarray(X)) ** 2)

    found = gradient(parameters)
    for name, p in twin.named_parameters():
        assert np.abs(p.grad.numpy()).max() > 0
        np.testing.assert_allclose(found[name], p.grad.numpy(), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("kind", WRAPPED)
def test_frozen_steps_train_as_the_plain_loop(kind):
    losses = []
    for freeze in (False, True):
        layer = made(kind)
        optimizer = jt.optim.SGD(layer.parameters(), lr=0.05)

        def step(x, layer=layer, optimizer=optimizer):
            optimizer.zero_grad()
            loss = layer(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        step = jt.jit(step) if freeze else step
        losses.append([step(jt.tensor(X)).item() for _ in range(3)])
    assert losses[0][0] != losses[0][2]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
