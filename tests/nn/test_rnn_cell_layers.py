"""RNNCell, LSTMCell and GRUCell against PyTorch's."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import jtoolbox as jt
from tests.nn.both import same
from tests.nn.twins import build, normal, same_layer, same_uniform_start
from tests.reference import assert_same


@pytest.mark.parametrize(
    "text", ["RNNCell(3, 4, nonlinearity='relu')", "LSTMCell(3, 4)", "GRUCell(3, 4, bias=False)"]
)
def test_a_step_from_zeros_is_pytorchs(text) -> None:
    same_layer(text, normal(2, 3))
    same_layer(text, normal(3))


def test_a_step_from_a_state_is_pytorchs() -> None:
    same_layer("RNNCell(3, 4)", normal(2, 3), normal(2, 4))
    same_layer("GRUCell(3, 4)", normal(3), normal(4))
    ours, theirs = build("LSTMCell(3, 4, bias=False)")
    x, h, c = normal(2, 3), normal(2, 4), normal(4, 2).T
    found, expected = (
        m(lib.tensor(x), (lib.tensor(h), lib.tensor(c))) for lib, m in ((jt, ours), (torch, theirs))
    )
    assert_same(found, expected)


def test_a_loop_of_steps_is_the_layer_over_time() -> None:
    layer, cell = jt.nn.GRU(3, 4), jt.nn.GRUCell(3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    x, h = jt.tensor(normal(5, 2, 3)), None
    for step in x:
        h = cell(step, h)
    assert_same(torch.tensor(h.detach().numpy()), torch.tensor(layer(x)[1][0].detach().numpy()))


def test_initial_values_have_pytorchs_distribution() -> None:
    for name in ("weight_ih", "weight_hh", "bias_ih"):
        same_uniform_start("GRUCell(20, 100)", name, 1 / math.sqrt(100))


def test_settings_are_pytorchs() -> None:
    for text in ("RNNCell(3, 4, False, 'relu')", "LSTMCell(3, 4, False)", "GRUCell(3, 4)"):
        same(lambda lib, text=text: repr(eval(f"nn.{text}", {"nn": lib.nn})))
    assert jt.nn.LSTMCell(3, 4, dtype=jt.float64).weight_hh.dtype is jt.float64


@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize(
    ("x", "h"),
    [
        ((4, 2, 3), None),
        ((), None),
        ((2, 2), None),
        ((2, 3), (1, 2, 4)),
        ((2, 3), (1, 4)),
        ((2, 3), (2, 3)),
        ((2, 3), (4,)),
        ((3,), (2, 4)),
    ],
)
def test_wrong_shapes_raise_as_in_pytorch(kind, x, h) -> None:
    found = []
    for lib in (torch, jt):
        state: Any = None if h is None else lib.zeros(h)
        state = (state, state) if h is not None and kind == "LSTMCell" else state
        with pytest.raises((ValueError, RuntimeError)) as caught:
            getattr(lib.nn, kind)(3, 4)(lib.zeros(x), state)
        found.append((caught.type, str(caught.value)))
    (theirs, expected), (ours, text) = found
    assert ours is theirs
    assert text.startswith(expected) or h in ((4,), (2, 4))


def test_an_unknown_nonlinearity_raises_as_in_pytorch() -> None:
    for lib in (torch, jt):
        with pytest.raises(RuntimeError, match="Unknown nonlinearity: gelu"):
            lib.nn.RNNCell(3, 4, nonlinearity="gelu")(lib.zeros(2, 3))
