"""Functions whose Python asks for values, or writes its inputs, behave as in PyTorch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import pytest
import torch

import jtoolbox as jt
from jtoolbox.func import functional_call

LIBRARIES = pytest.mark.parametrize("library", [jt, torch], ids=["jtoolbox", "torch"])


def halving(library):
    """x halved until its norm is below one, as NumPy computes it; saves how often."""

    class Halving(library.autograd.Function):
        @staticmethod
        def forward(ctx, x, name):
            factor = 1.0
            while float((x * factor).norm()) > 1:
                factor /= 2
            ctx.save_for_backward(x)
            ctx.factor = factor
            return library.from_numpy(x.detach().numpy() * factor), name

        @staticmethod
        def backward(ctx, gradient, _):
            (x,) = ctx.saved_tensors
            with library.enable_grad():
                y = x.detach().requires_grad_()
                (inner,) = library.autograd.grad((y * ctx.factor).sin().sum(), y)
            return gradient * inner, None

    return Halving


@LIBRARIES
def test_values_may_be_asked_for_in_both_directions(library):
    function = halving(library)
    w = library.tensor([3.0, 4.0], requires_grad=True)
    for scale in (2.0, 0.1):
        y, name = function.apply(w * scale, "name")
        (y * 2).mul(0.5).sum().backward()
        factor = 1 / 16 if scale == 2 else 1.0
        expected = torch.cos(torch.tensor([3.0, 4.0]) * scale * factor) * scale * factor
        assert name == "name"
        assert w.grad.tolist() == pytest.approx(expected.tolist(), rel=1e-5)
        w.grad = None


@LIBRARIES
def test_what_forward_writes_is_seen_outside(library):
    class Put(library.autograd.Function):
        @staticmethod
        def forward(ctx, place, value, index):
            ctx.index = index
            place.data[index] = value
            return place

        @staticmethod
        def backward(ctx, gradient):
            return gradient, gradient[ctx.index], None

    w = library.tensor(1.5, requires_grad=True)
    place = library.zeros(3)
    filled = Put.apply(Put.apply(place, w * 2, 0), w * 4, 2)
    assert filled.tolist() == [3.0, 0.0, 6.0]
    (filled * library.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert w.grad.item() == 14
    with library.no_grad():
        assert Put.apply(place, library.tensor(7.0), 1)[1].item() == place[1].item() == 7


@LIBRARIES
def test_a_saved_tensor_that_was_changed_since_raises(library):
    w = library.tensor([3.0, 4.0], requires_grad=True)
    x = w * 2
    y, _ = halving(library).apply(x, None)
    x.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_a_frozen_step_and_gradients_of_gradients_raise():
    function = halving(jt)
    w = jt.tensor([3.0, 4.0], requires_grad=True)
    with pytest.raises((RuntimeError, TypeError)):
        jt.jit(lambda x: function.apply(x, None)[0])(w)
    y, _ = function.apply(w * 1, None)
    with pytest.raises(RuntimeError, match="gradients of gradients through HalvingBackward"):
        jt.autograd.grad(y.sum(), w, create_graph=True)


def test_writing_data_under_jax_changes_the_value_and_not_the_history():
    class Model(jt.nn.Module):
        def __init__(self):
            super().__init__()
            self.w = jt.nn.Parameter(jt.ones(3))

        def forward(self, x):
            y = x * self.w
            y.data[0] = 7.0
            y.detach()[1:2].add_(1)
            return y

    model, x = Model(), jnp.array([1.0, 2.0, 3.0])
    value = functional_call(model, jt.tree(model), x)
    gradient = jax.grad(lambda p: functional_call(model, p, x).sum())(jt.tree(model))
    assert value.tolist() == [7, 3, 3]
    assert gradient["w"].tolist() == [1, 2, 3]


@LIBRARIES
def test_a_result_without_gradient_adds_nothing_however_steep_it_is(library):
    x = library.tensor(0.0, requires_grad=True)
    steep, loss = x.sqrt(), x * 2
    assert steep.item() == 0
    loss.backward()
    assert x.grad.item() == 2


@LIBRARIES
def test_a_gradient_of_the_broadcast_shape_is_summed_to_the_input(library):
    class Product(library.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.large = x.sum().item() > 1
            return x * y

        @staticmethod
        def backward(ctx, gradient):
            return library.stack([gradient, gradient]), gradient

    x = library.ones(1, 3, requires_grad=True)
    y = library.ones(2, 3, requires_grad=True)
    Product.apply(x, y).sum().backward()
    assert x.grad.tolist() == [[4.0, 4.0, 4.0]]
    assert y.grad.tolist() == [[1.0, 1.0, 1.0]] * 2


@LIBRARIES
@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda library: 2.0, r"expected Variable or None \(got float\)"),
        (lambda library: library.ones(7), r"at index 0 - got \[7\] but expected shape .* \[1, 3\]"),
    ],
)
def test_a_gradient_that_does_not_fit_raises(library, returned, message):
    class Wrong(library.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * float(x.sum())

        @staticmethod
        def backward(ctx, gradient):
            return returned(library)

    x = library.ones(1, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match=message):
        Wrong.apply(x).sum().backward()


@LIBRARIES
def test_a_backward_may_add_to_a_buffer_that_ctx_keeps(library):
    class Stack(library.autograd.Function):
        @staticmethod
        def forward(ctx, memory, sums, last, n):
            ctx.sums, ctx.n = sums, n
            return memory[: n + 1]

        @staticmethod
        def backward(ctx, gradient):
            ctx.sums[: ctx.n + 1] += gradient
            return None, None, ctx.sums[ctx.n], None

    w = library.tensor(2.0, requires_grad=True)
    memory, sums, x = library.zeros(3), library.zeros(3), library.tensor(1.0)
    for n in range(3):
        last = w * x
        with library.no_grad():
            memory[n] = last
        x = Stack.apply(memory, sums, last, n).sum()
    x.backward()
    assert (w.grad.item(), sums.tolist(), memory.tolist()) == (21, [9, 3, 1], [2, 4, 12])


def test_a_buffer_that_ctx_keeps_cannot_be_written_inside_of_jit():
    class Counting(jt.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.x = x
            return x * 2

        @staticmethod
        def backward(ctx, gradient):
            ctx.x.add_(gradient)
            return gradient

    model = jt.nn.Module()
    model.w = jt.nn.Parameter(jt.ones(2))
    model.forward = lambda: Counting.apply(model.w).sum()
    words = "Counting.backward writes a tensor in place that its ctx keeps, .* return the gradient"
    with pytest.raises(RuntimeError, match=words):
        jax.grad(lambda p: functional_call(model, p, ()))({"w": jnp.ones(2)})


@LIBRARIES
def test_tensors_kept_as_attributes_of_ctx_are_read_in_backward(library):
    class Product(library.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.x, ctx.scaled = x, 2 * y
            return x * y

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.scaled, gradient * ctx.x

    x, y = (library.tensor(v, requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    for expected in ([6, 8], [12, 16]):
        Product.apply(x, y).sum().backward()
        assert (x.grad.tolist(), y.grad[0].item() * 6) == (expected, expected[0])
