"""Backward passes of recorded graphs, against PyTorch: one test a situation."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt

A = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]], np.float32)
B = np.array([[1.0], [2.0]], np.float32)


def both(program: Callable[[ModuleType], Any], rtol: float = 1e-5) -> None:
    """Runs one program with `torch` and with jtoolbox and compares the arrays it returns."""
    ours, theirs = program(jt), program(torch)
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        if b is None:
            assert a is None
        elif isinstance(b, torch.Tensor):
            np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=rtol, atol=1e-6)
        else:
            assert a == b


def leaf(t: ModuleType, value: np.ndarray = A) -> Any:
    return t.tensor(value.copy()).requires_grad_()


def test_backward_adds_to_existing_gradients():
    def program(t):
        w = leaf(t)
        (w * 2).sum().backward()
        held = w.grad
        (w * w).sum().backward()
        return w.grad, held

    both(program)


def test_a_value_may_be_looked_at_before_backward():
    def program(t):
        w = leaf(t)
        loss = (w.exp() * t.tensor(B)).sum()
        value = loss.item()
        loss.backward()
        return w.grad, t.tensor(value)

    both(program)


def test_inner_values_may_be_looked_at_in_the_middle_of_forward():
    def program(t):
        w = leaf(t)
        h = w * 3
        y = h.relu() if h.sum() > 0 else h
        while y.sum().item() < 100:
            y = y * 2
        y.sum().backward()
        return w.grad, y

    both(program)


def test_two_losses_share_a_trunk_with_retain_graph():
    def program(t):
        w = leaf(t)
        trunk = w.tanh()
        trunk.sum().backward(retain_graph=True)
        first = w.grad.clone()
        (trunk * trunk).sum().backward()
        return first, w.grad

    both(program)


def test_backward_of_a_vector_takes_a_cotangent():
    def program(t):
        w = leaf(t)
        (w * w).backward(gradient=t.tensor(A))
        return (w.grad,)

    both(program)


def test_gradients_flow_through_views_that_were_written():
    def program(t):
        w = leaf(t)
        x = w * 2
        x[0] = x[1] * 3
        x[:, 1].mul_(5)
        x.sum().backward()
        return w.grad, x

    both(program)


def test_second_derivatives_of_a_gradient_penalty():
    def program(t):
        w = leaf(t)
        x = leaf(t, B)
        y = ((x * w).tanh() ** 2).sum()
        (g,) = t.autograd.grad(y, x, create_graph=True)
        penalty = ((g.norm(2, dim=1) - 1) ** 2).mean()
        (y + penalty).backward()
        return w.grad, x.grad, g

    both(program, rtol=1e-4)


def test_third_derivatives():
    def program(t):
        x = leaf(t, np.array(0.7, np.float32))
        (a,) = t.autograd.grad(x.sin() * x, x, create_graph=True)
        (b,) = t.autograd.grad(a, x, create_graph=True)
        (c,) = t.autograd.grad(b, x)
        return a, b, c

    both(program)


def test_second_derivatives_after_values_were_looked_at():
    def program(t):
        x = leaf(t)
        y = (x**3).sum()
        y.item()
        (g,) = t.autograd.grad(y, x, create_graph=True)
        g.sum().item()
        (g * g).sum().backward()
        return (x.grad,)

    both(program)


def test_a_gradient_with_respect_to_an_inner_tensor():
    def program(t):
        w = leaf(t)
        h = w * w
        y = h.sin().sum()
        pending = t.autograd.grad(y, h, retain_graph=True)[0]
        y.item()
        executed = t.autograd.grad(y, h, retain_graph=True)[0]
        return pending, executed, t.autograd.grad(y, w)[0]

    both(program)


def test_an_unused_input_is_an_error_or_none():
    def program(t):
        w, x = leaf(t), leaf(t)
        with pytest.raises(RuntimeError, match="not have been used in the graph"):
            t.autograd.grad((w * 2).sum(), x)
        return t.autograd.grad((w * 2).sum(), [w, x], allow_unused=True)

    both(program)


def test_detach_and_no_grad_stop_gradients():
    def program(t):
        w = leaf(t)
        with t.no_grad():
            constant = w * 2
        y = (w * constant + w.detach() ** 2).sum()
        y.backward()
        return w.grad, constant.requires_grad, w.detach().requires_grad

    both(program)


def test_grad_modes_nest_and_decorate():
    def program(t):
        w = leaf(t)
        seen = []

        @t.no_grad()
        def inside():
            seen.append((w * 2).requires_grad)
            with t.enable_grad():
                seen.append((w * 2).requires_grad)
            with t.set_grad_enabled(False):
                seen.append((w * 2).requires_grad)

        inside()
        with t.inference_mode():
            seen.append(t.is_grad_enabled())
        t.set_grad_enabled(False)
        seen.append((w * 2).requires_grad)
        t.set_grad_enabled(True)
        seen.append((w * 2).requires_grad)
        return seen

    both(program)


def test_retain_grad_keeps_the_gradient_of_an_inner_tensor():
    def program(t):
        w = leaf(t)
        h = w * 3
        h.retain_grad()
        (h * h).sum().backward()
        return h.grad, w.grad

    both(program)


def test_hooks_see_and_replace_gradients():
    def program(t):
        w = leaf(t)
        seen = []
        h = w * 3
        h.register_hook(lambda g: seen.append(g) or g * 10)
        handle = w.register_hook(lambda g: g + 1)
        (h * h).sum().backward()
        first = w.grad
        handle.remove()
        w.grad = None
        (w * 2).sum().backward()
        return first, seen[0], w.grad

    both(program)


def test_hooks_after_accumulation_see_the_leaf():
    def program(t):
        w = leaf(t)
        seen = []
        w.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.clone()))
        (w * 2).sum().backward()
        return seen

    both(program)


def test_many_executed_pieces_give_one_gradient():
    def program(t):
        w = leaf(t)
        logs = []
        for i in range(7):
            p = (w * (i + 1)).sum(1).softmax(0)
            p[0].item()
            logs.append(p.log()[0])
        loss = t.stack(logs).sum()
        loss.backward()
        return w.grad, loss

    both(program, rtol=1e-4)


def test_leaves_that_require_grad_late_are_seen():
    def program(t):
        w = t.tensor(A.copy())
        before = w * 2
        w.requires_grad_()
        (w * before).sum().backward()
        return w.grad, before.requires_grad

    both(program)


def test_manual_updates_under_no_grad():
    def program(t):
        w = leaf(t)
        for _ in range(3):
            loss = ((w - 1) ** 2).sum()
            loss.backward()
            with t.no_grad():
                w -= 0.1 * w.grad
                w.grad.zero_()
        return w, loss, w.is_leaf, w.requires_grad

    both(program)


def test_manual_updates_through_data():
    def program(t):
        w = leaf(t)
        for _ in range(3):
            loss = ((w - 1) ** 2).sum()
            loss.backward()
            w.data -= 0.1 * w.grad.data
            w.data.add_(w.grad, alpha=-0.1)
            w.grad = None
        return w, loss

    both(program)


def test_functional_updates_make_new_leaves():
    def program(t):
        w = leaf(t)
        for _ in range(3):
            loss = ((w - 1) ** 2).sum()
            loss.backward()
            w = (w - 0.1 * w.grad).detach().requires_grad_()
        return w, loss

    both(program)


def test_a_gan_trains_two_players():
    def program(t):
        generator, critic = leaf(t), leaf(t, A * 0.5)
        z = t.tensor(A.copy())
        for _ in range(3):
            fake = z * generator
            critic.grad = None
            (critic * z).sum().backward()
            (-(critic * fake.detach()).tanh().sum()).backward()
            with t.no_grad():
                critic -= 0.1 * critic.grad
            generator.grad = None
            (critic * fake).sum().backward()
            with t.no_grad():
                generator -= 0.1 * generator.grad
        return generator, critic

    both(program)


def test_grad_fn_names_are_pytorchs():
    w = jt.ones(2, requires_grad=True)
    x = torch.ones(2, requires_grad=True)
    for f in (lambda w: w + 1, lambda w: w * 2, lambda w: w.exp(), lambda w: w.sum()):
        assert f(w).grad_fn.name() == f(x).grad_fn.name()
    assert w.grad_fn is None
    assert w.is_leaf


def test_backward_twice_says_to_retain_the_graph():
    w = leaf(jt)
    y = w.exp().sum()
    y.backward()
    with pytest.raises(
        RuntimeError, match=r"backward through the graph a second time.*retain_graph=True"
    ):
        y.backward()


def test_backward_twice_after_a_value_says_to_retain_the_graph():
    w = leaf(jt)
    y = w.exp().sum()
    y.item()
    y.backward()
    with pytest.raises(RuntimeError, match="second time"):
        y.backward()


def test_backward_on_a_vector_says_to_reduce_it():
    with pytest.raises(
        RuntimeError, match=r"implicitly created only for scalar outputs.*\[2, 3\].*sum"
    ):
        (leaf(jt) * 2).backward()


def test_backward_without_a_graph_says_so():
    with pytest.raises(RuntimeError, match="does not require grad"):
        jt.tensor(A).sum().backward()


@pytest.mark.parametrize("looked_at", [False, True])
def test_changing_a_saved_value_in_place_is_an_error_at_backward(looked_at):
    def program(t):
        w = leaf(t)
        y = w.exp()
        z = y.sum()
        if looked_at:
            z.item()
        y.add_(1)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            z.backward()
        x = t.tensor(A.copy())
        product = (w * x).sum()
        x.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            product.backward()
        return ()

    both(program)


def test_changing_a_value_that_backward_does_not_need_is_fine():
    def program(t):
        w = leaf(t)
        x = t.tensor(A.copy())
        y = w + x
        x.mul_(2)
        y.add_(1)
        y.sum().backward()
        return (w.grad,)

    both(program)


def test_a_leaf_may_not_be_changed_in_place_while_recording():
    def program(t):
        w = leaf(t)
        with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
            w.add_(1)
        with pytest.raises(RuntimeError, match="a view of a leaf Variable that requires grad"):
            w[0].add_(1)
        return ()

    both(program)


def test_a_parameter_changed_by_a_step_may_not_be_used_by_an_old_graph():
    def program(t):
        w = leaf(t)
        optimizer = t.optim.SGD([w], lr=0.1)
        old = (w * w).sum()
        (w * 2).sum().backward()
        optimizer.step()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            old.backward()
        return (w,)

    both(program)


def test_requires_grad_needs_floats_and_leaves():
    with pytest.raises(RuntimeError, match="floating point"):
        jt.arange(3).requires_grad_()
    with pytest.raises(RuntimeError, match="leaf variables"):
        (leaf(jt) * 2).requires_grad_(False)


def test_a_function_of_ones_own_has_its_own_backward():
    def program(t):
        class Scaled(t.autograd.Function):
            @staticmethod
            def forward(ctx, x, factor):
                y = x.exp()
                ctx.save_for_backward(x, y)
                ctx.factor = factor
                return y * factor

            @staticmethod
            def backward(ctx, grad):
                x, y = ctx.saved_tensors
                return grad * y * ctx.factor * 10 + x * 0, None

        w = leaf(t)
        y = Scaled.apply(w, 3.0)
        y.sum().backward()
        return w.grad, y

    both(program)


def test_a_function_with_setup_context_and_two_results():
    def program(t):
        class SinCos(t.autograd.Function):
            @staticmethod
            def forward(x):
                return x.sin(), x.cos()

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*output)

            @staticmethod
            def backward(ctx, ds, dc):
                sin, cos = ctx.saved_tensors
                return ds * cos - dc * sin

        w = leaf(t)
        s, c = SinCos.apply(w)
        (s * 2 + c * 3).sum().backward()
        return w.grad, s, c

    both(program)
