"""`grad`, `backward` and Functions with a backward of their own, compared with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import assert_same

X = np.array([0.5, -1.25, 2.0], np.float32)
BOTH = (jt, torch)


def leaf(t, x=X):
    return t.tensor(x, requires_grad=True)


def function(t, forward, backward):
    methods = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("Own", (t.autograd.Function,), methods)


def test_results_that_are_no_tensors_pass_through():
    found = []
    for t in BOTH:
        own = function(
            t,
            lambda ctx, x: (x * 2, None, 4, x.sum()),
            lambda ctx, g, none, number, s: g * 2 + s if none is number is None else None,
        )
        x = leaf(t)
        out = own.apply(x)
        assert out[1:3] == (None, 4)
        assert own.apply(x.detach())[1:3] == (None, 4)
        (out[0].sum() + out[3]).backward()
        found.append((out[0].detach(), out[3].detach(), x.grad))
    assert_same(*found)


def test_a_gradient_wider_than_its_input_is_summed():
    found = []
    for t in BOTH:
        own = function(
            t, lambda ctx, x, y: x * y, lambda ctx, g, t=t: (g.expand(2, 3), t.ones(1, 2))
        )
        x, y = leaf(t), leaf(t, np.float32(2))
        own.apply(x, y).sum().backward()
        found.append((x.grad, y.grad))
    assert_same(*found)


@pytest.mark.parametrize("wrong", [lambda g: "text", lambda g: g[:2], lambda g: (g, g)])
def test_wrong_gradients_of_a_function_raise(wrong):
    for t in BOTH:
        x = leaf(t)
        out = function(t, lambda ctx, x: x * 2, lambda ctx, g: wrong(g)).apply(x)
        with pytest.raises(RuntimeError):
            (out.sum().backward(), x.grad.sum().item())


def test_batched_cotangents_give_rows():
    found = []
    for t in BOTH:
        x, y = leaf(t), leaf(t, X[::-1].copy())
        settings = {"is_grads_batched": True, "allow_unused": True}
        unused = leaf(t)
        rows = t.autograd.grad(x * y, [x, unused, y], t.eye(3), **settings)
        assert rows[1] is None
        found.append((rows[0], rows[2]))
    assert_same(*found)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda t, x, y: t.autograd.grad(y.sum(), []), RuntimeError),
        (
            lambda t, x, y: t.autograd.grad(y.sum(), x, allow_unused=False, materialize_grads=True),
            ValueError,
        ),
        (lambda t, x, y: t.autograd.grad(y, x, t.ones(3, dtype=t.complex64)), RuntimeError),
        (lambda t, x, y: y.sum().backward(inputs=[t.ones(3)]), RuntimeError),
        (lambda t, x, y: t.autograd.backward(y.sum(), inputs=[t.ones(3)]), RuntimeError),
        (lambda t, x, y: t.complex(y, y).sum().backward(), RuntimeError),
    ],
)
def test_wrong_calls_raise_pytorchs_errors(call, error):
    for t in BOTH:
        x = leaf(t)
        with pytest.raises(error):
            call(t, x, x * x)


def test_a_hook_must_keep_kind_and_shape():
    for hook, error in ((lambda g: g[:2], RuntimeError), (lambda g: "text", TypeError)):
        for t in BOTH:
            x = leaf(t)
            y = x * 2
            y.register_hook(hook)
            with pytest.raises(error):
                y.sum().backward()
            z = leaf(t)
            z.register_hook(hook)
            with pytest.raises(error):
                (z * 2).sum().backward()


def test_a_gradient_that_a_hook_keeps_stays_when_another_hook_replaces_it():
    for t in BOTH:
        kept = []
        x = leaf(t)
        y = x * 2
        y.register_hook(kept.append)
        y.register_hook(lambda g: g * 3)
        y.sum().backward()
        (x * 2).sum().backward()
        assert kept[0].tolist() == [1, 1, 1]
        assert x.grad.tolist() == [8, 8, 8]
