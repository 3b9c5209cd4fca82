"""Autocast: result types and values are PyTorch's on CPU, and the state is restored."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine import program_count
from tests.reference import assert_same

X = np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32)
LABELS = [0, 1, 2, 3]
CASES = {
    "linear": lambda t, a, x: t.nn.functional.linear(a, x, x[0]),
    "matmul": lambda t, a, x: a @ x,
    "conv2d": lambda t, a, x: t.nn.functional.conv2d(a[None, None], x[None, None, :2, :2]),
    "baddbmm": lambda t, a, x: t.baddbmm(x[None], a[None], x[None]),
    "einsum": lambda t, a, x: t.einsum("ij,jk->ik", a, x),
    "cross_entropy": lambda t, a, x: t.nn.functional.cross_entropy(a, t.tensor(LABELS)),
    "mse_loss": lambda t, a, x: t.nn.functional.mse_loss(a, x),
    "prod": lambda t, a, x: a.prod(),
    "softmax": lambda t, a, x: a.softmax(-1),
    "layer_norm": lambda t, a, x: t.nn.functional.layer_norm(a, (4,), x[0], x[0]),
    "cat": lambda t, a, x: t.cat([a, x]),
    "add": lambda t, a, x: a + x,
    "double": lambda t, a, x: a.double() @ x.double(),
}


@pytest.mark.parametrize("name", CASES)
def test_types_and_values_are_those_of_pytorch(name):
    for low in (False, True):
        results = []
        for t in (jt, torch):
            x = t.tensor(X)
            a = x.bfloat16() if low else x
            with t.autocast("cpu"):
                results.append(CASES[name](t, a, x))
        assert_same(*results, rtol=3e-2, atol=3e-2)


def test_gradients_are_float32_and_those_of_pytorch():
    gradients = []
    for t in (jt, torch):
        weight = t.tensor(X).requires_grad_()
        with t.autocast("cpu", dtype=t.bfloat16):
            h = t.nn.functional.linear(t.tensor(X), weight).relu()
            loss = t.nn.functional.mse_loss(h @ weight, t.tensor(X))
        loss.backward()
        gradients.append(weight.grad)
    assert_same(*gradients, rtol=5e-2, atol=5e-2)


def test_what_was_recorded_keeps_its_mode_when_it_runs_later():
    x = jt.tensor(X).requires_grad_()
    outside = x @ x
    with jt.autocast("cpu"):
        inside = x @ x
        assert outside.sum().item() == pytest.approx(float((X @ X).sum()), rel=1e-4)
    assert (outside.dtype, inside.dtype) == (jt.float32, jt.bfloat16)
    assert inside.detach().float().numpy() == pytest.approx(X @ X, abs=0.1)


def test_arrays_and_frozen_steps_are_cast_as_well():
    layer = jt.nn.Linear(4, 2)
    with jt.autocast("cpu"):
        assert jt.func.functional_call(layer, jt.tree(layer), X).dtype == jt.bfloat16.dtype
    step = jt.jit(lambda x: layer(x).detach())
    with jt.no_grad():
        assert step(jt.tensor(X)).dtype is jt.float32
        with jt.autocast("cpu"):
            assert step(jt.tensor(X)).dtype is jt.bfloat16


def test_the_second_step_makes_no_program():
    layer = jt.nn.Linear(4, 2)
    optimizer = jt.optim.SGD(layer.parameters(), lr=0.1)
    counts = []
    for _ in range(3):
        with jt.autocast("cpu"):
            loss = jt.nn.functional.mse_loss(layer(jt.tensor(X)), jt.zeros(4, 2))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        jt.synchronize()
        counts.append(program_count())
    assert counts[1] == counts[2]


def test_state_is_nested_restored_and_asked_for():
    for t in (jt, torch):
        assert not t.is_autocast_enabled("cpu")
        with t.autocast("cpu", dtype=t.float16):
            assert t.is_autocast_enabled("cpu")
            assert t.get_autocast_dtype("cpu") is t.float16
            with t.autocast("cpu", enabled=False):
                assert not t.is_autocast_enabled("cpu")
            assert t.is_autocast_enabled("cpu")
        assert not t.is_autocast_enabled("cpu")
        assert t.get_autocast_dtype("cpu") is t.bfloat16
        assert t.autocast("cpu")(t.is_autocast_enabled)("cpu")


def test_absent_devices_and_other_types_switch_it_off_with_a_warning():
    with pytest.warns(UserWarning, match="Disabling autocast"):
        assert not jt.autocast("cuda")._enabled
    with pytest.warns(UserWarning, match=r"torch.float32 is not supported"):
        assert not jt.autocast("cpu", dtype=jt.float32)._enabled
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`"):
        jt.autocast(1)
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda"):
        jt.autocast("foo")


def test_custom_forward_and_backward_see_the_same_autocast():
    seen = []
    for t in (jt, torch):

        class Product(t.autograd.Function):
            @staticmethod
            @t.amp.custom_fwd(device_type="cpu")
            def forward(ctx, a, b):
                ctx.save_for_backward(a, b)
                return a @ b

            @staticmethod
            @t.amp.custom_bwd(device_type="cpu")
            def backward(ctx, grad):
                a, b = ctx.saved_tensors
                seen.append(str((grad @ b.t()).dtype))
                return grad @ b.t(), a.t() @ grad

        a = t.tensor(X).requires_grad_()
        with t.autocast("cpu"):
            y = Product.apply(a, a)
        assert y.dtype is t.bfloat16
        y.float().sum().backward()
        assert a.grad is not None
        assert a.grad.detach().float().numpy().dtype == np.float32
    assert seen == ["torch.bfloat16"] * len(seen)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("LSTM(4, 3)", (5, 2, 4)),
        ("LSTM(4, 3, proj_size=2)", (5, 2, 4)),
        ("GRU(4, 3)", (5, 2, 4)),
        ("RNN(4, 3)", (5, 2, 4)),
        ("LSTMCell(4, 3)", (2, 4)),
        ("GRUCell(4, 3)", (2, 4)),
        ("RNNCell(4, 3)", (2, 4)),
    ],
)
@pytest.mark.parametrize("half", [False, True])
def test_recurrent_layers_give_pytorchs_types(text, shape, half):
    found = []
    for lib in (jt, torch):
        layer = eval(f"nn.{text}", {"nn": lib.nn})
        x = lib.ones(*shape).bfloat16() if half else lib.ones(*shape)
        with lib.autocast("cpu", dtype=lib.bfloat16):
            results = layer(x)
        leaves = [v for r in results for v in (r if isinstance(r, tuple) else (r,))]
        leaves = leaves if isinstance(results, tuple) else [results]
        found.append([str(v.dtype).split(".")[-1] for v in leaves])
    assert found[0] == found[1]
