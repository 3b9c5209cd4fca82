"""Convolution layers against PyTorch's."""

from __future__ import annotations

import math

import pytest
import torch

import jtoolbox as jt
from tests.nn.twins import normal, same_layer, same_uniform_start

LAYERS = {
    "Conv1d(4, 6, 3)": (2, 4, 9),
    "Conv1d(4, 6, 4, padding='same', padding_mode='circular', dilation=2)": (2, 4, 9),
    "Conv2d(4, 6, 3, stride=2, padding=1, bias=False)": (2, 4, 7, 6),
    "Conv2d(4, 6, (3, 2), padding='valid', groups=2)": (4, 7, 6),
    "Conv2d(4, 6, (3, 2), padding=(2, 1), padding_mode='reflect')": (2, 4, 7, 6),
    "Conv2d(4, 6, (3, 4), padding='same', padding_mode='replicate')": (2, 4, 7, 6),
    "Conv3d(4, 2, 2, padding=(1, 0, 1), padding_mode='circular')": (1, 4, 3, 4, 5),
    "ConvTranspose1d(4, 6, 4, stride=2, padding=1)": (2, 4, 5),
    "ConvTranspose2d(4, 6, 3, 2, 1, 1, 2, False, 2)": (2, 4, 5, 4),
    "ConvTranspose3d(4, 2, 2, stride=(1, 2, 1))": (1, 4, 2, 3, 2),
}


@pytest.mark.parametrize("text", LAYERS)
def test_convolution_layers_are_pytorchs(text: str) -> None:
    same_layer(text, normal(*LAYERS[text]))


@pytest.mark.parametrize("size", [(9, 8), (2, 6, 10, 8)])
def test_a_transposed_convolution_reaches_the_size_asked_for(size) -> None:
    same_layer("ConvTranspose2d(4, 6, 3, stride=2)", normal(2, 4, 4, 3), output_size=(10, 8))
    same_layer("ConvTranspose2d(4, 6, 3, stride=2)", normal(2, 4, 4, 3), output_size=size)


def test_initial_values_have_pytorchs_distribution() -> None:
    same_uniform_start("Conv2d(8, 400, 3, groups=2)", "weight", 1 / math.sqrt(36))
    same_uniform_start("Conv2d(8, 400, 3, groups=2)", "bias", 1 / math.sqrt(36))
    same_uniform_start("ConvTranspose1d(8, 400, 3)", "weight", 1 / math.sqrt(1200))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("Conv2d(2, 3, 3, groups=2)", "out_channels must be divisible by groups"),
        ("Conv2d(3, 4, 3, groups=2)", "in_channels must be divisible by groups"),
        ("Conv2d(3, 3, 3, groups=0)", "groups must be a positive integer"),
        ("Conv2d(3, 3, 3, padding='foo')", "Invalid padding string 'foo', should be one of"),
        ("Conv2d(3, 3, 3, padding='same', stride=2)", "not supported for strided convolutions"),
        ("Conv2d(3, 3, 3, padding_mode='foo')", "padding_mode must be one of"),
        ("ConvTranspose2d(3, 3, 3, padding_mode='reflect')", 'Only "zeros" padding mode is'),
        ("ConvTranspose2d(2, 3, 3)(ones(1, 2, 4, 4), (9, 9))", "valid sizes range from"),
        ("ConvTranspose2d(2, 3, 3)(ones(1, 2, 4, 4), (9, 9, 9))", "must have 2 or 4 elements"),
    ],
)
def test_wrong_arguments_raise_pytorchs_error(arguments: str, words: str) -> None:
    for lib in (torch, jt):
        with pytest.raises(ValueError, match=words):
            eval(f"nn.{arguments}", {"nn": lib.nn, "ones": lib.ones})


def test_subclasses_can_convolve_with_a_weight_of_their_own() -> None:
    layer = jt.nn.Conv2d(1, 1, 3)
    x = jt.tensor(normal(1, 1, 5, 5))
    assert not layer._conv_forward(x, layer.weight * 0, None).detach().numpy().any()
