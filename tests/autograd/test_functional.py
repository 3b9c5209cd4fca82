"""Jacobians, Hessians, products with vectors, and checks by finite differences."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import assert_same

X = np.random.default_rng(0).standard_normal((2, 3))
V = np.random.default_rng(1).standard_normal((2, 3))


def both(call):
    results = []
    for t in (jt, torch):
        results.append(call(t, t.autograd.functional, t.tensor(X), t.tensor(V)))
    assert_same(*results)


def scalar(x):
    return (x**3).sum() * x[0, 0]


CASES = {
    "jacobian": lambda t, f, x, v: f.jacobian(lambda a: a.sin() @ v.t(), x),
    "jacobian of two": lambda t, f, x, v: f.jacobian(lambda a, b: (a * b, b.sum()), (x, v)),
    "jacobian recorded": lambda t, f, x, v: f.jacobian(lambda a: a.sin(), x, create_graph=True),
    "hessian": lambda t, f, x, v: f.hessian(scalar, x),
    "hessian of two": lambda t, f, x, v: f.hessian(lambda a, b: (a**2 * b).sum(), (x, v)),
    "vjp": lambda t, f, x, v: f.vjp(lambda a: a.exp(), x, v),
    "jvp": lambda t, f, x, v: f.jvp(lambda a: a.exp(), x, v),
    "vhp": lambda t, f, x, v: f.vhp(scalar, x, v),
    "hvp": lambda t, f, x, v: f.hvp(scalar, x, v),
}


@pytest.mark.parametrize("name", CASES)
def test_products_are_those_of_pytorch(name):
    both(CASES[name])


def test_a_recorded_jacobian_has_gradients_of_what_the_function_closes_over():
    for t in (jt, torch):
        w = t.ones(3, dtype=t.float64).requires_grad_()
        found = t.autograd.functional.jacobian(lambda a, w=w: a * w, t.tensor(X), create_graph=True)
        (found**2).sum().backward()
        assert w.grad.tolist() == [4.0, 4.0, 4.0]


def test_mistakes_are_those_of_pytorch():
    for t in (jt, torch):
        f, x = t.autograd.functional, t.tensor(X)
        with pytest.raises(RuntimeError, match="vector v can only be None"):
            f.vjp(lambda a: a, x)
        with pytest.raises(TypeError, match="must be either a Tensor or a tuple of Tensors"):
            f.jacobian(lambda a: a, 3)
        with pytest.raises(RuntimeError, match="is independent of input"):
            f.jacobian(lambda a, b: a * 2, (x, x), strict=True)


def test_gradcheck_tells_right_gradients_from_wrong_ones():
    class Wrong(jt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, grad):
            return grad * 3

    x = jt.tensor(X).requires_grad_()
    assert jt.autograd.gradcheck(lambda a: (a.sin() * a, a.sum()), (x,))
    assert jt.autograd.gradgradcheck(lambda a: a.sin(), (x,))
    with pytest.raises(jt.autograd.GradcheckError, match="Jacobian mismatch for output 0"):
        jt.autograd.gradcheck(Wrong.apply, (x,))
    assert not jt.autograd.gradcheck(Wrong.apply, (x,), raise_exception=False)
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        jt.autograd.gradcheck(lambda a: a, (jt.tensor(X),))


def test_anomalies_are_found_while_detection_is_on():
    def passes():
        x = jt.zeros(2).requires_grad_()
        (x.sqrt() * 0).sum().backward()

    passes()
    with pytest.warns(UserWarning, match="Anomaly Detection has been enabled"):
        searched = jt.autograd.detect_anomaly()
    with searched, pytest.raises(RuntimeError, match="returned nan values"):
        passes()
    with jt.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="shape \\[2\\]"):
        passes()
    passes()


@pytest.mark.parametrize("name", ["sin_", "square_", "mul_", "leaky_relu"])
def test_an_in_place_operation_may_overwrite_its_own_input(name):
    gradients = []
    for t in (jt, torch):
        x = t.tensor(X).requires_grad_()
        h = x * 2
        if name == "leaky_relu":
            t.nn.functional.leaky_relu(h, 0.2, inplace=True)
        else:
            getattr(h, name)(*([x * 3] if name == "mul_" else []))
        h.sum().backward()
        gradients.append(x.grad)
    assert_same(*gradients)
