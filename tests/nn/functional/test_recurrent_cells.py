"""torch.lstm_cell, gru_cell, rnn_tanh_cell, rnn_relu_cell: values, gradients, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import compare, same_error

ROWS = {"lstm_cell": 4, "gru_cell": 3, "rnn_tanh_cell": 1, "rnn_relu_cell": 1}


def array(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape)


def operands(name: str, bias: bool = True) -> list[Any]:
    gates = 4 * ROWS[name]
    h = array(2, 4)
    hx = (h, array(2, 4) / 2) if name == "lstm_cell" else h
    biases = [array(gates), array(gates) / 2] if bias else []
    return [array(2, 3), hx, array(gates, 3), array(gates, 4), *biases]


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_step_is_pytorchs(name, bias) -> None:
    compare(getattr(jt, name), getattr(torch, name), *operands(name, bias))


def test_a_step_with_one_bias_is_pytorchs() -> None:
    compare(jt.gru_cell, torch.gru_cell, *operands("gru_cell")[:-1])


@pytest.mark.parametrize(
    ("name", "change", "match"),
    [
        ("gru_cell", {0: (2, 2)}, "input has inconsistent input_size: got 2 expected 3"),
        ("gru_cell", {1: (2, 3)}, "hidden0 has inconsistent hidden_size: got 3, expected 4"),
        ("gru_cell", {1: (1, 4)}, "Input batch size 2 doesn't match hidden0 batch size 1"),
        (
            "gru_cell",
            {2: (16, 3)},
            r"weight_ih first dim must be 3 \* hidden_size = 12, but got 16",
        ),
        ("gru_cell", {4: (11,)}, "= 12 elements, got shape"),
        ("rnn_tanh_cell", {0: (3,)}, r"takes a batch \(N, 3\), got an input of shape \[3\]"),
    ],
)
def test_what_does_not_fit_raises_as_in_pytorch(name, change, match) -> None:
    given = operands(name)
    for place, shape in change.items():
        given[place] = array(*shape)
    same_error(getattr(jt, name), getattr(torch, name), *given, match=match)


def test_mixed_types_and_a_missing_state_raise_as_in_pytorch() -> None:
    x, hx, *weights = operands("lstm_cell")
    same_error(
        jt.lstm_cell, torch.lstm_cell, x.astype(np.float32), hx, *weights, match="Float and Double"
    )
    same_error(
        jt.lstm_cell, torch.lstm_cell, x, hx[:1], *weights, match="expects two hidden states"
    )
