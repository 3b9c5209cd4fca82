"""Gradients that come back through `torch.func`'s transformations, compared with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import func, nn
from tests.reference import assert_same

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")

X = np.linspace(-1, 1.5, 6, dtype=np.float32).reshape(2, 3)
Y = np.array([0.5, -1.25, 2.0], np.float32)

HELD = {
    "grad": lambda t, f, x, y: f.grad(lambda v: (v * v * y).sum())(x[0]),
    "aux": lambda t, f, x, y: f.grad(lambda v: ((v * v).sum(), v * y), has_aux=True)(x[0])[1],
    "jacrev": lambda t, f, x, y: f.jacrev(lambda v: v * v * y)(x[0]),
    "jacfwd": lambda t, f, x, y: f.jacfwd(lambda v: v * v * y)(x[0]),
    "hessian": lambda t, f, x, y: f.hessian(lambda v: (v**3 * y).sum())(x[0]),
    "jvp": lambda t, f, x, y: f.jvp(lambda v: v * v * y, (x[0],), (x[1],))[1],
    "vjp": lambda t, f, x, y: f.vjp(lambda v: v * v * y, x[0])[1](x[1])[0],
    "vmap": lambda t, f, x, y: f.vmap(lambda v, k: v * y * k, (0, None), 1)(x, 2.0),
    "vmap of grad": lambda t, f, x, y: f.vmap(f.grad(lambda v: (v * v * y).sum()))(x),
    "local writes": lambda t, f, x, y: f.grad(lambda v: (_written(v) * y).sum())(x[0]),
}


def _written(v):
    copy = v.clone()
    copy.mul_(2)
    copy[0] = 5.0
    return copy * copy


@pytest.mark.parametrize("name", HELD)
def test_gradients_reach_the_tensors_that_a_transformed_function_holds(name):
    found = []
    for t, f, make in ((jt, func, jt.tensor), (torch, torch.func, torch.tensor)):
        y = make(Y, requires_grad=True)
        result = HELD[name](t, f, make(X), y)
        assert result.requires_grad
        (result * 1.5).sum().backward()
        found.append((result.detach(), y.grad))
    assert_same(*found)


@pytest.mark.parametrize("name", ["grad", "vmap", "jvp", "vjp"])
def test_gradients_reach_the_arguments_of_a_transformed_function(name):
    found = []
    for t, f, make in ((jt, func, jt.tensor), (torch, torch.func, torch.tensor)):
        x = make(X, requires_grad=True)
        HELD[name](t, f, x, make(Y)).sum().backward()
        found.append(x.grad)
    assert_same(*found)


def test_a_cotangent_that_requires_grad_keeps_its_gradient():
    c = jt.tensor(Y, requires_grad=True)
    func.vjp(lambda v: v**3, jt.tensor(X[0]))[1](c)[0].sum().backward()
    np.testing.assert_allclose(c.grad.numpy(), 3 * X[0] ** 2, rtol=1e-6)


def test_no_grad_inside_a_transformed_function_makes_constants():
    found = []
    for t, f, make in ((jt, func, jt.tensor), (torch, torch.func, torch.tensor)):

        def loss(v, t=t):
            with t.no_grad():
                constant = v * 2
            return (v * constant).sum()

        with t.no_grad():  # around the transformation it changes nothing
            around = f.grad(lambda v: (v * v).sum())(make(Y))
        found.append((f.grad(loss)(make(Y)), f.vmap(f.grad(loss))(make(X)), around))
    assert_same(*found)


def test_a_loss_with_derivatives_by_the_inputs_trains_and_compiles_once(compilations):
    model = nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))
    optimizer = jt.optim.SGD(model.parameters(), lr=0.1)

    def step(x):
        slope = func.vmap(func.grad(lambda v: model(v).sum()))(x)
        loss = ((slope - model(x)) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    losses = [step(jt.tensor(X.reshape(6, 1))).item() for _ in range(2)]
    compilations.count()
    losses += [step(jt.tensor(X.reshape(6, 1))).item() for _ in range(2)]
    assert compilations.count() == 0
    assert losses == sorted(losses, reverse=True)
    frozen = jt.jit(step)
    assert frozen(jt.tensor(X.reshape(6, 1))).item() < losses[-1]


def test_what_cannot_be_recorded_says_why_and_what_to_do():
    y = jt.tensor(Y, requires_grad=True)
    with pytest.raises(RuntimeError, match=r"must not draw random numbers.*under no_grad"):
        func.grad(lambda v: (v * y * jt.rand(3)).sum())(jt.tensor(Y))
    count = jt.zeros(3)

    def writes(v):
        count.add_(1)
        return (v * y).sum()

    with pytest.raises(RuntimeError, match="must not write into Tensors of outside"):
        func.grad(writes)(jt.tensor(Y, requires_grad=True))
    assert count.tolist() == [0, 0, 0]
