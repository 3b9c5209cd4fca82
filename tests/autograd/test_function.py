"""`grad`, `backward` and Functions with a backward of their own, compared with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import assert_same, same_error

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


def test_a_backward_pass_inside_of_backward_is_pytorchs():
    def gradients(lib):
        class Recomputed(lib.autograd.Function):
            @staticmethod
            def forward(ctx, x, layer):
                ctx.x, ctx.layer = x.detach(), layer
                with lib.no_grad():
                    return x + layer(x)

            @staticmethod
            def backward(ctx, grad):
                x = ctx.x.detach().requires_grad_()
                with lib.enable_grad():
                    y = x + ctx.layer(x)
                lib.autograd.backward(y, grad)
                return x.grad, None

        layer = lib.nn.Linear(3, 3)
        with lib.no_grad():
            layer.weight.copy_(lib.arange(9.0).reshape(3, 3) / 10)
            layer.bias.zero_()
        x = lib.arange(6.0).reshape(2, 3).requires_grad_()
        Recomputed.apply(x * 1.0, layer).square().sum().backward()
        return x.grad.tolist(), layer.weight.grad.tolist(), layer.bias.grad.tolist()

    np.testing.assert_allclose(*[np.concatenate([np.ravel(g) for g in gradients(lib)])
                                 for lib in (jt, torch)], 1e-5)  # fmt: skip


def test_a_backward_pass_of_what_is_traced_raises():
    def step(x):
        (x * x).sum().backward()

    with pytest.raises(RuntimeError, match="being traced by JAX"):
        jt.func.grad(lambda x: (step(x), x.sum())[1])(jt.ones(3))


def _mistake(t, backward, forward=lambda ctx, x: x * 1):
    kind = type(
        "Wrong",
        (t.autograd.Function,),
        {"forward": staticmethod(forward), "backward": staticmethod(backward)},
    )
    return kind.apply(t.ones(2, requires_grad=True)).sum()


def _half(t):
    kind = type("Half", (t.autograd.Function,), {"forward": staticmethod(lambda ctx, x: x * 1)})
    kind.apply(t.ones(2, requires_grad=True)).sum().backward()


def _saved_number(ctx, x):
    ctx.save_for_backward(3)


MISTAKES = {
    "incorrect number of gradients": lambda t: _mistake(t, lambda ctx, g: (g, g)).backward(),
    "invalid gradient at index 0": lambda t: _mistake(t, lambda ctx, g: t.ones(3)).backward(),
    "its own": lambda t: _mistake(t, lambda ctx, g: {}["its own"]).backward(),
    "argument 0 is of type int": lambda t: _mistake(t, lambda ctx, g: g, _saved_number),
    "must implement either the backward": _half,
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_backward_raises_where_backward_is_called(case):
    same_error(lambda: MISTAKES[case](jt), lambda: MISTAKES[case](torch), match=case)


def test_saved_tensors_that_were_changed_or_freed_raise():
    for t in (jt, torch):

        class Exp(t.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x.exp()
                ctx.save_for_backward(y)
                return y

            @staticmethod
            def backward(ctx, g):
                return g * ctx.saved_tensors[0]

        class Square(t.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * x

            @staticmethod
            def backward(ctx, g):
                return 2 * g * ctx.saved_tensors[0]

        x = t.ones(2, requires_grad=True)
        y = Exp.apply(x)
        y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
        z = x * 1
        y = Square.apply(z)
        z.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()
        y = Exp.apply(x).sum()
        y.backward()
        with pytest.raises(RuntimeError, match="backward through the graph a second time"):
            y.backward()


def test_none_for_an_argument_leaves_its_gradient_alone():
    found = []
    for t in (jt, torch):

        class Second(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, y):
                return x * y

            @staticmethod
            def backward(ctx, g):
                return None, g

        class Parts(t.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.set_materialize_grads(False)
                return x * 2, x * 3

            @staticmethod
            def backward(ctx, a, b):
                return a * 2 if b is None else b * 3

        x, y = (t.ones(2, requires_grad=True) for _ in range(2))
        Second.apply(x, y * 1).sum().backward()
        Second.apply(y=y, x=x).sum().backward()
        grads = [None if p.grad is None else p.grad.tolist() for p in (x, y)]
        Parts.apply(x)[0].sum().backward()
        found.append([*grads, x.grad.tolist()])
    assert found[0] == found[1]


def test_a_function_that_is_differentiable_once_says_so():
    class Square(jt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @jt.autograd.function.once_differentiable
        def backward(ctx, g):
            return 2 * g * ctx.saved_tensors[0]

    x = jt.ones(2, requires_grad=True)
    (g,) = jt.autograd.grad(Square.apply(x).sum(), x, create_graph=True)
    assert g.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="once_differentiable"):
        jt.autograd.grad(g.sum(), x)[0].tolist()


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_forward_mode_asks_jvp():
    for t in (jt, torch):

        class Square(t.autograd.Function):
            @staticmethod
            def forward(x):
                return x * x

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_forward(*inputs)
                ctx.save_for_backward(*inputs)

            @staticmethod
            def backward(ctx, g):
                return 2 * g * ctx.saved_tensors[0]

            @staticmethod
            def jvp(ctx, tangent):
                return 2 * ctx.saved_tensors[0] * tangent

        value, slope = t.func.jvp(Square.apply, (t.tensor(3.0),), (t.tensor(1.0),))
        assert (value.item(), slope.item()) == (9, 6)
        assert t.func.grad(Square.apply)(t.tensor(3.0)).item() == 6
