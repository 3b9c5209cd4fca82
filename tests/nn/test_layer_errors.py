"""Mistakes with layers: PyTorch's type of error, at the user's line, and words that help."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch

import jtoolbox as jt

# What is wrong, and words of our message: what was asked for, what came, or what to do.
MISTAKES = {
    "Hardtanh(1, -1)": r"max_val \(-1\) must be greater than min_val \(1\)",
    "HuberLoss(delta=1j)": "delta must be a float or int, got: .*complex",
    "HuberLoss(delta='a')": "delta must be a float or int, got: .*str",
    "LinearCrossEntropyLoss(3, 4, weight=ones(3))": r"weight shape to be \(4,\), got \(3,\)",
    "LinearCrossEntropyLoss(3, 4)(ones(2, 3), ones(3))": r"batch_size \(2\) to match .* \(3\)",
    "CrossEntropyLoss()(ones(2, 3), ones(3))": r"batch_size \(2\) to match target batch_size \(3\)",
    "CrossEntropyLoss()(ones(2, 3), ones(()).long())": r"batch_size \(2\) .* \(0\)",
    "CrossEntropyLoss()(ones(2, 3), ones(2))": r"Long or Byte, but got Float.*\.long\(\)",
    "BCELoss(weight=ones(4))(ones(2, 3), ones(2, 3))": r"tensor a \(4\) must match .* b \(3\)",
    "BCELoss(weight=ones(5, 2, 3))(ones(2, 3), ones(2, 3))": r"weight \[5, 2, 3\] must broadcast",
    "BCEWithLogitsLoss(weight=ones(5, 2, 3))(ones(2, 3), ones(2, 3))": "weight .* must broadcast",
    "BCEWithLogitsLoss(pos_weight=ones(5, 2, 3))(ones(2, 3), ones(2, 3))": r"shape \[5, 2, 3\]",
    "BCEWithLogitsLoss(pos_weight=ones(4))(ones(2, 3), ones(2, 3))": r"tensor a \(4\) must match",
    "MultiLabelSoftMarginLoss(weight=ones(4))(ones(2, 3), ones(2, 3))": r"tensor b \(4\)",
    "LocalResponseNorm(0)(ones(2, 3, 4))": "kernel size should be .* zero, but got size 0",
    "BatchNorm1d(3, eps=-1.0).eval()(ones(2, 3))": "eps must be non-negative, but got -1.0",
    "CircularPad1d(1)(ones(2, 3, 4, 5))": r"expected 2D or 3D input \(got 4D input\)",
    "CircularPad2d(1)(ones(2, 3))": r"expected 3D or 4D input \(got 2D input\)",
    "CircularPad3d(1)(ones(2, 3))": r"expected 4D or 5D input \(got 2D input\)",
    "LSTMCell(3, 4)(ones(2, 3), ones(2, 2, 4))": r"must be tuple of Tensors \(h, c\), not Tensor",
    "LSTM(3, 4)(ones(2, 2, 3), ones(2, 1, 2, 4))": r"must be tuple of Tensors .* \[2, 1, 2, 4\]",
    "ReLU()(ones(1).bool())": "Boolean inputs not supported for relu: convert",
    "ReLU6()(ones(1).bool())": "Boolean inputs not supported for hardtanh: convert",
    "ReLU()(ones(1) * 1j)": "not supported for complex types: call it on .real and .imag",
    "Hardtanh()(ones(1).byte())": "unsigned type with negative limits, got min_val -1",
}


def attempt(lib: Any, text: str) -> Any:
    return eval(text, {**vars(lib.nn), "ones": lib.ones})


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_raises_pytorchs_type_of_error_with_words_that_help(text):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        attempt(torch, text)
    with pytest.raises(type(theirs.value)) as ours:
        attempt(jt, text)
    assert re.search(MISTAKES[text], str(ours.value))


def test_a_tensor_of_both_states_serves_a_single_sample_as_in_pytorch():
    for layer, shape in (("LSTMCell(3, 4)", (2, 4)), ("LSTM(3, 4)", (2, 1, 4))):
        x = "ones(3)" if "Cell" in layer else "ones(2, 3)"
        for lib in (jt, torch):
            h = attempt(lib, f"{layer}({x}, ones{shape})")[0]
            assert tuple(h.shape) == ((4,) if "Cell" in layer else (2, 4))
