"""torch.lstm, gru, rnn_tanh, rnn_relu: in PyTorch's two signatures, on arrays and Tensors."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import compare, same_error

ROWS = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
STEPS, BATCH, FEATURES, HIDDEN = 3, 2, 3, 4


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def parameters(
    name: str, layers: int = 1, directions: int = 1, bias: bool = True, proj: int = 0
) -> list[np.ndarray]:
    gates, out = ROWS[name] * HIDDEN, proj or HIDDEN
    found = []
    for layer in range(layers):
        for _ in range(directions):
            found += [array(gates, out * directions if layer else FEATURES), array(gates, out)]
            found += [array(gates), array(gates) / 2] if bias else []
            found += [array(proj, HIDDEN)] if proj else []
    return found


def state(name: str, runs: int = 1, proj: int = 0) -> Any:
    h, c = array(runs, BATCH, proj or HIDDEN), array(runs, BATCH, HIDDEN)
    return (h, c) if name == "lstm" else h


def compiled(name: str, sizes: Any = None) -> Any:
    """The function (for packed sequences with `sizes`), jitted where it is given arrays."""

    def call(*inputs: Any, **settings: Any) -> Any:
        def function(x: Any, *rest: Any) -> Any:
            packed = () if sizes is None else (sizes,)
            return getattr(jt, name)(x, *packed, *rest, **settings)

        return function(*inputs) if isinstance(inputs[0], jt.Tensor) else jax.jit(function)(*inputs)

    return call


@pytest.mark.parametrize(
    ("name", "layers", "directions"), [("rnn_tanh", 2, 2), ("rnn_relu", 1, 1), ("gru", 2, 1)]
)
def test_layers_and_directions_are_pytorchs(name, layers, directions) -> None:
    compare(
        compiled(name),
        getattr(torch, name),
        array(STEPS, BATCH, FEATURES),
        state(name, layers * directions),
        parameters(name, layers, directions),
        has_biases=True,
        num_layers=layers,
        dropout=0.5,
        train=False,
        bidirectional=directions == 2,
        batch_first=False,
    )


@pytest.mark.parametrize(("name", "directions"), [("lstm", 1), ("gru", 2)])
def test_packed_sequences_are_pytorchs(name, directions) -> None:
    sizes = np.array([2, 2, 1])
    compare(
        lambda data, *rest, **k: compiled(name, sizes)(data, *rest, **k),
        lambda data, hx, params, **k: getattr(torch, name)(
            data, torch.tensor(sizes), hx, params, **k
        ),
        array(5, FEATURES),
        state(name, directions),
        parameters(name, 1, directions),
        has_biases=True,
        num_layers=1,
        dropout=0.0,
        train=True,
        bidirectional=directions == 2,
    )


def test_without_bias_with_a_projection_and_batch_first_it_is_pytorchs() -> None:
    compare(
        compiled("lstm"),
        torch.lstm,
        array(BATCH, STEPS, FEATURES),
        state("lstm", 2, proj=2),
        parameters("lstm", 1, 2, bias=False, proj=2),
        has_biases=False,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=True,
        batch_first=True,
    )


def test_both_signatures_take_keywords() -> None:
    params = [jnp.asarray(p) for p in parameters("gru")]
    x, h = jnp.asarray(array(STEPS, BATCH, FEATURES)), jnp.asarray(state("gru"))
    rest = {"has_biases": True, "num_layers": 1, "dropout": 0.0, "train": False}
    rest |= {"bidirectional": False, "hx": h, "params": params}
    padded, _ = jt.gru(input=x, batch_first=False, **rest)
    sizes = np.full(STEPS, BATCH)
    packed, _ = jt.gru(data=x.reshape(-1, FEATURES), batch_sizes=sizes, **rest)
    np.testing.assert_allclose(padded.reshape(packed.shape), packed, rtol=1e-6)


def test_dropout_between_layers_drops_and_scales() -> None:
    jt.manual_seed(3)
    identity = [np.eye(40, dtype=np.float32), np.zeros((40, 40), np.float32)]
    arguments = (np.ones((50, 4, 40), np.float32), np.zeros((2, 4, 40), np.float32), identity * 2)
    x, h = map(jt.tensor, arguments[:2])
    params = [jt.tensor(p).requires_grad_() for p in arguments[2]]
    output, _ = jt.rnn_relu(x, h, params, False, 2, 0.25, True, False, False)
    values = output.detach().numpy()
    assert set(np.unique(values).round(5)) == {0.0, np.float32(4 / 3).round(5)}
    assert abs((values > 0).mean() - 0.75) < 0.02
    again, _ = jt.rnn_relu(x, h, params, False, 2, 0.25, True, False, False)
    assert not np.array_equal(again.detach().numpy(), values)
    values = jt.rnn_relu(x, h, params, False, 2, 0.25, False, False, False)[0].detach().numpy()
    assert np.all(values == 1)


def test_the_layers_of_a_network_drop_differently() -> None:
    identity = [np.eye(20, dtype=np.float32), np.zeros((20, 20), np.float32)]
    x, h = np.ones((30, 4, 20), np.float32), np.zeros((3, 4, 20), np.float32)
    output, _ = jt.rnn_relu(x, h, identity * 3, False, 3, 0.5, True, False, False)
    assert abs((np.asarray(output) > 0).mean() - 0.25) < 0.03


def test_it_is_a_pure_function_under_jit_and_grad() -> None:
    params = [jnp.asarray(p, jnp.float32) for p in parameters("gru")]
    x, h = jnp.asarray(array(STEPS, BATCH, FEATURES), jnp.float32), jnp.zeros((1, BATCH, HIDDEN))

    @jax.jit
    @jax.grad
    def gradient(params: Any) -> Any:
        return jt.gru(x, h, params, True, 1, 0.0, True, False, False)[0].sum()

    assert [g.shape for g in gradient(params)] == [p.shape for p in params]


def lstm(lib: Any, *inputs: Any, layers: int = 1) -> Any:
    x, h, c, *params = inputs
    return lib.lstm(x, (h, c), params, True, layers, 0.0, False, False, False)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda x, h, c, p: (x[:0], h, c, *p), "sequence length to be larger than 0"),
        (lambda x, h, c, p: (x, h, c, *p[:3]), "has 4 parameters, got 3: for each"),
        (lambda x, h, c, p: (x.astype(np.float32), h, c, *p), "got Float and Double"),
    ],
)
def test_errors_are_of_pytorchs_types(change, match) -> None:
    inputs = change(array(STEPS, BATCH, FEATURES), *state("lstm"), parameters("lstm"))
    same_error(lambda *a: lstm(jt, *a), lambda *a: lstm(torch, *a), *inputs, match=match)


@pytest.mark.parametrize(
    ("change", "match"),
    [  # PyTorch reads beyond the end of memory for some of these
        (lambda x, h, c, p: (x[..., :2], h, c, *p), "Expected 3, got 2"),
        (lambda x, h, c, p: (x[0], h, c, *p), "input must have 3 dimensions, got 2"),
        (lambda x, h, c, p: (x, h[:, :1], c, *p), r"hidden\[0\] size \(1, 2, 4\), got \[1, 1, 4\]"),
        (lambda x, h, c, p: (x, h, c[..., 1:], *p), r"hidden\[1\] size \(1, 2, 4\), got"),
        (lambda x, h, c, p: (x, h[..., 1:], c, p[0], p[1][:, 1:], *p[2:]), "hidden_size columns"),
        (
            lambda x, h, c, p: (x, h, c, p[0][1:], *p[1:]),
            r"weight_ih size \(16, 3\), got \[15, 3\]",
        ),
        (lambda x, h, c, p: (x, h, c, *p[:3], p[3][1:]), r"bias size \(16,\), got \[15\]"),
        (lambda x, h, c, p: (x.astype(np.int64), h, c, *p), "it needs floats"),
    ],
)
def test_what_does_not_fit_raises(change, match) -> None:
    inputs = change(array(STEPS, BATCH, FEATURES), *state("lstm"), parameters("lstm"))
    with pytest.raises(RuntimeError, match=match):
        lstm(jt, *map(jt.tensor, inputs))


def test_other_arguments_raise() -> None:
    x, h, params = array(STEPS, BATCH, FEATURES), state("gru"), parameters("gru")
    with pytest.raises(TypeError, match=r"gru\(\) received an invalid combination of arguments"):
        jt.gru(x, h, params)
    with pytest.raises(RuntimeError, match="lstm expects two hidden states"):
        jt.lstm(x, (h,), params, True, 1, 0.0, False, False, False)
    with pytest.raises(RuntimeError, match="dropout probability has to be between 0 and 1"):
        jt.gru(x, h, params, True, 1, 1.5, True, False, False)
    with pytest.raises(RuntimeError, match="must not grow, and must add up to the rows"):
        jt.gru(x[0], np.array([1, 2]), h, params, True, 1, 0.0, True, False)
