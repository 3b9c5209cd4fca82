"""RNN, LSTM and GRU against PyTorch's: state, values, gradients, packed sequences, errors."""

from __future__ import annotations

import copy
import math
from typing import Any

import jax
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.func import functional_call
from tests.nn.both import same
from tests.nn.twins import build, normal, same_layer, same_uniform_start
from tests.reference import assert_same, to_numpy

X = normal(4, 2, 3)


def parts(result: Any) -> list[Any]:
    """The tensors of a result of a layer: output, h, and c if there is one."""
    output, hidden = result
    return [output, *(hidden if isinstance(hidden, tuple) else (hidden,))]


def same_step(text: str, call: Any) -> None:
    """The same results of `call(lib, layer)`, and the same gradients of the parameters."""
    ours, theirs = build(text)
    found = []
    for lib, layer in ((jt, ours), (torch, theirs)):
        tensors = call(lib, layer)
        sum((t * (i + t)).sum() for i, t in enumerate(tensors)).backward()
        found.append((tensors, [p.grad for p in layer.parameters()]))
    assert_same(found[0][0], found[1][0], rtol=1e-4, atol=1e-5)
    assert_same(found[0][1], found[1][1], rtol=1e-3, atol=1e-4, what="gradient")


# --- what a layer is -----------------------------------------------------------------------------

LAYERS = [
    "RNN(3, 4)",
    "RNN(3, 4, 2, 'relu', False, True, 0.2, True)",
    "RNN(3, 4, nonlinearity='relu')",
    "LSTM(3, 4, 2, bidirectional=True)",
    "LSTM(3, 4, 2, True, True, 0.1, True, 2)",
    "LSTM(3, 4, proj_size=2, bias=False)",
    "GRU(3, 4, 3, dropout=0.5, bidirectional=True)",
]


@pytest.mark.parametrize("text", LAYERS)
def test_repr_parameters_and_state_dict_are_pytorchs(text) -> None:
    ours, theirs = build(text)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    a, b = ([[tuple(w.shape) for w in ws] for ws in m.all_weights] for m in (ours, theirs))
    assert a == b
    assert ours.flatten_parameters() is None


def test_attributes_are_pytorchs() -> None:
    names = ("mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout")
    for text in LAYERS:
        same(
            lambda lib, text=text: [
                getattr(eval(f"nn.{text}", {"nn": lib.nn}), n)
                for n in (*names, "bidirectional", "proj_size")
            ]
        )


def test_initial_values_have_pytorchs_distribution() -> None:
    for name in ("weight_ih_l0", "weight_hh_l1_reverse", "bias_hh_l1"):
        same_uniform_start("LSTM(30, 100, 2, bidirectional=True)", name, 1 / math.sqrt(100))


def test_dtype_of_a_layer_can_be_given_and_changed() -> None:
    layer = jt.nn.GRU(3, 4, dtype=jt.float64)
    assert {p.dtype for p in layer.parameters()} == {jt.float64}
    output, h = layer.float()(jt.tensor(X))
    assert (output.dtype, h.dtype) == (jt.float32, jt.float32)


def test_a_copy_is_independent() -> None:
    layer = jt.nn.LSTM(3, 4)
    twin = copy.deepcopy(layer)
    with jt.no_grad():
        twin.weight_ih_l0.zero_()
    assert all(w is p for w, p in zip(twin.all_weights[0], twin.parameters(), strict=True))
    assert layer.weight_ih_l0.abs().sum().item() > 0


# --- what it computes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("RNN(3, 4, 2, bidirectional=True)", (4, 2, 3)),
        ("LSTM(3, 4, 2, batch_first=True)", (2, 4, 3)),
        ("GRU(3, 4, bidirectional=True, bias=False)", (4, 3)),
        ("LSTM(3, 4, proj_size=2)", (4, 2, 3)),
    ],
)
def test_a_layer_computes_what_pytorchs_does(text, shape) -> None:
    same_layer(text, normal(*shape))


def test_initial_states_are_used_and_final_states_returned() -> None:
    h, c = normal(4, 2, 2), normal(4, 2, 4)

    def step(lib: Any, layer: Any) -> Any:
        return parts(layer(lib.tensor(X), (lib.tensor(h), lib.tensor(c))))

    same_step("LSTM(3, 4, 2, bidirectional=True, proj_size=2)", step)


def test_unbatched_states_are_unbatched() -> None:
    def step(lib: Any, layer: Any) -> Any:
        return parts(layer(lib.tensor(X[:, 0]), lib.tensor(normal(2, 4))))

    same_step("GRU(3, 4, 2, batch_first=True)", step)


@pytest.mark.parametrize(
    "text", ["LSTM(3, 4, 2, bidirectional=True)", "GRU(3, 4)", "RNN(3, 4, bidirectional=True)"]
)
def test_packed_sequences_of_any_order_give_pytorchs_outputs_and_final_states(text) -> None:
    def step(lib: Any, layer: Any) -> Any:
        rnn, runs = lib.nn.utils.rnn, layer.num_layers * (1 + layer.bidirectional)
        h = lib.tensor(normal(runs, 3, 4))
        packed = rnn.pack_padded_sequence(
            lib.tensor(normal(4, 3, 3)), [2, 4, 1], enforce_sorted=False
        )
        output, hidden = layer(packed, (h, h / 2) if layer.mode == "LSTM" else h)
        assert isinstance(output, rnn.PackedSequence)
        padded, lengths = rnn.pad_packed_sequence(output, padding_value=0.5, total_length=5)
        assert lengths.tolist() == [2, 4, 1]
        return parts((padded, hidden))

    same_step(text, step)


def test_dropout_acts_in_training_alone() -> None:
    layer = jt.nn.GRU(3, 40, 2, dropout=0.5)
    x = jt.tensor(X)
    first, second = layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy()
    assert not np.array_equal(first, second)
    layer.eval()
    assert np.array_equal(layer(x)[0].detach().numpy(), layer(x)[0].detach().numpy())


# --- the three ways of using it ------------------------------------------------------------------


def test_a_training_loop_on_packed_sequences_is_one_program_for_each_pattern() -> None:
    layer = jt.nn.LSTM(3, 4)
    optimizer = jt.optim.SGD(layer.parameters(), lr=0.1)
    rnn = jt.nn.utils.rnn

    def step(lengths: list[int]) -> float:
        optimizer.zero_grad()
        packed = rnn.pack_padded_sequence(jt.tensor(X), lengths, enforce_sorted=False)
        padded, _ = rnn.pad_packed_sequence(layer(packed)[0], total_length=4)
        loss = (padded**2).sum()
        loss.backward()
        optimizer.step()
        return loss.item()

    step([4, 2])
    programs = jt.engine.program_count()
    losses = [step(lengths) for lengths in ([4, 2], [2, 4], [4, 2], [2, 4])]
    assert jt.engine.program_count() == programs
    assert losses[3] < losses[1]


def test_a_frozen_step_takes_packed_sequences() -> None:
    layer = jt.nn.GRU(3, 4)
    rnn = jt.nn.utils.rnn
    packed = [
        rnn.pack_padded_sequence(jt.tensor(X), n, enforce_sorted=False) for n in ([1, 3], [3, 1])
    ]

    @jt.jit
    def step(packed: Any) -> Any:
        with jt.no_grad():
            output, h = layer(packed)
            return rnn.pad_packed_sequence(output)[0], h

    for p in (*packed, *packed):
        output, h = layer(p)
        assert_same(
            [torch.tensor(to_numpy(t)) for t in step(p)],
            [torch.tensor(to_numpy(t)) for t in (rnn.pad_packed_sequence(output)[0], h)],
        )


def test_functional_call_and_grad_see_the_given_weights() -> None:
    layer = jt.nn.LSTM(3, 4, 2)
    params = jt.tree(layer)

    @jax.jit
    def loss(params: Any, x: Any) -> Any:
        output, (h, c) = functional_call(layer, params, x)
        return (output**2).sum() + (h * c).sum()

    gradients = jax.grad(loss)(params, X)
    output, (h, c) = layer(jt.tensor(X))
    ((output**2).sum() + (h * c).sum()).backward()
    for name, p in layer.named_parameters():
        np.testing.assert_allclose(gradients[name], p.grad.numpy(), rtol=1e-4, atol=1e-6)
    zeros = jax.tree.map(np.zeros_like, params)
    assert float(loss(zeros, X)) == 0


def test_gradients_of_gradients_are_pytorchs() -> None:
    def step(lib: Any, layer: Any) -> Any:
        x = lib.tensor(X, requires_grad=True)
        (g,) = lib.autograd.grad(layer(x)[0].sum(), x, create_graph=True)
        return [(g**2)]

    same_step("GRU(3, 4)", step)


# --- errors --------------------------------------------------------------------------------------


def raised(lib: Any, action: Any) -> tuple[type, str]:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        action(lib)
    return caught.type, str(caught.value)


def same_refusal(action: Any, words: str | None = None) -> None:
    """The same type of error; our message begins with PyTorch's, or has these words."""
    (ours, text), (theirs, expected) = raised(jt, action), raised(torch, action)
    assert ours is theirs, f"{ours} {text}; PyTorch has {theirs} {expected}"
    assert text.startswith(expected.rstrip(".")) if words is None else words in text, text


@pytest.mark.parametrize(
    "settings",
    [
        {"dropout": 2},
        {"dropout": True},
        {"bias": 1},
        {"batch_first": 0},
        {"num_layers": 0},
        {"proj_size": -1},
        {"proj_size": 4},
        {"input_size": 0},
        {"hidden_size": 0},
        {"input_size": 3.0},
        {"hidden_size": "4"},
    ],
)
def test_wrong_settings_raise_as_in_pytorch(settings) -> None:
    given = {"input_size": 3, "hidden_size": 4, **settings}
    same_refusal(lambda lib: lib.nn.LSTM(**given))


def test_wrong_modes_and_projections_raise_as_in_pytorch() -> None:
    same_refusal(lambda lib: lib.nn.RNN(3, 4, nonlinearity="gelu"))
    same_refusal(lambda lib: lib.nn.RNN(3, 4, proj_size=2))
    same_refusal(lambda lib: lib.nn.GRU(3, 4, proj_size=2))
    same_refusal(lambda lib: lib.nn.RNNBase("X", 3, 4))
    same_refusal(lambda lib: lib.nn.GRU(3, 4, gates=2), "unexpected keyword argument 'gates'")


def test_dropout_of_a_single_layer_warns_as_in_pytorch() -> None:
    for lib in (torch, jt):
        with pytest.warns(UserWarning, match="expects num_layers greater than 1") as caught:
            lib.nn.GRU(3, 4, dropout=0.5)
        assert caught[0].filename == __file__ or lib is torch


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    ("x", "h"),
    [
        ((3,), None),
        ((1, 4, 2, 3), None),
        ((4, 2, 2), None),
        ((0, 2, 3), None),
        ((4, 2, 3), (1, 1, 4)),
        ((4, 2, 3), (2, 2, 4)),
        ((4, 2, 3), (2, 4)),
        ((4, 3), (1, 2, 4)),
        ((4, 3), (1, 3)),
    ],
)
def test_wrong_shapes_raise_as_in_pytorch(kind, x, h) -> None:
    def call(lib: Any) -> Any:
        layer, hx = getattr(lib.nn, kind)(3, 4), None if h is None else lib.zeros(h)
        return layer(lib.zeros(x), (hx, hx) if h and kind == "LSTM" else hx)

    same_refusal(call, "Expected input to be 2D or 3D" if len(x) in (1, 4) else None)


def test_wrong_types_and_cells_raise_as_in_pytorch() -> None:
    for kind in ("LSTM", "GRU"):
        same_refusal(lambda lib, k=kind: getattr(lib.nn, k)(3, 4)(lib.zeros(4, 2, 3).double()))
        same_refusal(lambda lib, k=kind: getattr(lib.nn, k)(3, 4)(lib.zeros(4, 2, 3).long()))
    shapes = (1, 2, 4), (1, 2, 3)
    same_refusal(lambda lib: lib.nn.LSTM(3, 4)(lib.zeros(4, 2, 3), tuple(map(lib.zeros, shapes))))


@pytest.mark.parametrize(
    ("kind", "features", "batch", "dtype", "words"),
    [
        ("GRU", 2, 2, "float32", None),
        ("GRU", 3, 1, "float32", None),
        ("GRU", 3, 2, "float64", None),
        ("LSTM", 2, 2, "float32", "Expected 3, got 2"),
        ("LSTM", 3, 1, "float32", "Expected hidden[0] size (1, 2, 4), got [1, 1, 4]"),
        ("LSTM", 3, 2, "float64", "got Double and Float"),
    ],
)
def test_wrong_packed_sequences_raise_as_in_pytorch(kind, features, batch, dtype, words) -> None:
    def call(lib: Any) -> Any:
        x = lib.zeros(4, 2, features, dtype=getattr(lib, dtype))
        packed, h = lib.nn.utils.rnn.pack_padded_sequence(x, [4, 2]), lib.zeros(1, batch, 4)
        return getattr(lib.nn, kind)(3, 4)(packed, (h, h) if kind == "LSTM" else h)

    same_refusal(call, words)
