"""Layers that only move elements, against PyTorch's."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt
from tests.nn.twins import normal, same_layer

LAYERS = {
    "Flatten()": (2, 3, 4, 5),
    "Flatten(0, 2)": (2, 3, 4, 5),
    "Unflatten(1, (2, -1))": (3, 8),
    "Unflatten(-1, [2, 2])": (3, 4),
    "Fold((4, 5), 2)": (2, 12, 12),
    "Unfold((2, 3), padding=1, stride=2)": (2, 3, 4, 5),
    "PixelShuffle(2)": (2, 8, 3, 2),
    "PixelUnshuffle(2)": (2, 3, 4, 6),
    "ChannelShuffle(2)": (2, 6, 3),
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers_that_move_elements_are_pytorchs(text: str) -> None:
    same_layer(text, normal(*LAYERS[text]))


@pytest.mark.parametrize("size", ["3", "(2, 3.0)"])
def test_unflatten_needs_a_tuple_of_integers(size: str) -> None:
    for lib in (torch, jt):
        with pytest.raises(TypeError, match="unflattened_size must be"):
            eval(f"nn.Unflatten(1, {size})", {"nn": lib.nn})
