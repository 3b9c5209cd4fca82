"""Pooling layers against PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt
from tests.nn.twins import normal, same_layer
from tests.reference import assert_same

LAYERS = {
    "MaxPool1d(3, stride=2, padding=1)": (2, 3, 9),
    "MaxPool2d(2)": (2, 3, 8, 6),
    "MaxPool2d((3, 2), 2, 1, 1, True, True)": (2, 3, 7, 6),
    "MaxPool3d(2)": (1, 2, 4, 5, 4),
    "AvgPool1d(2)": (2, 3, 9),
    "AvgPool2d(3, 2, 1, True, False)": (2, 3, 8, 6),
    "AvgPool2d(2, divisor_override=3)": (3, 8, 6),
    "AvgPool3d((1, 2, 2))": (1, 2, 4, 5, 4),
    "LPPool1d(2, 3)": (2, 3, 9),
    "LPPool2d(2, 3, stride=(2, 1))": (2, 3, 8, 6),
    "LPPool3d(2, 2, ceil_mode=True)": (1, 2, 4, 5, 4),
    "AdaptiveAvgPool1d(4)": (2, 3, 9),
    "AdaptiveAvgPool2d((3, None))": (2, 3, 8, 6),
    "AdaptiveAvgPool3d(1)": (1, 2, 4, 5, 4),
    "AdaptiveMaxPool1d(4)": (2, 3, 9),
    "AdaptiveMaxPool2d((3, 4), return_indices=True)": (2, 3, 8, 6),
    "AdaptiveMaxPool3d(2)": (1, 2, 4, 5, 4),
}


@pytest.mark.parametrize("text", LAYERS)
def test_pooling_layers_are_pytorchs(text: str) -> None:
    same_layer(text, normal(*LAYERS[text]))


@pytest.mark.parametrize(("n", "shape"), [(1, (2, 3, 9)), (2, (2, 3, 7, 6)), (3, (1, 2, 4, 5, 4))])
def test_unpooling_layers_are_pytorchs(n: int, shape: tuple) -> None:
    results = []
    for lib in (jt, torch):
        pool = getattr(lib.nn, f"MaxPool{n}d")(2, return_indices=True)
        unpool = getattr(lib.nn, f"MaxUnpool{n}d")(2)
        values, indices = pool(lib.tensor(normal(*shape)))
        results.append((repr(unpool), unpool(values, indices, output_size=shape)))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])
