"""Resizing layers, fractional pooling layers and `CrossMapLRN2d` against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import same_error
from tests.nn.twins import normal, same_layer
from tests.reference import assert_same

LAYERS = {
    "Upsample(scale_factor=2)": (1, 2, 3),
    "Upsample((3, 5), mode='bilinear', align_corners=True)": (1, 2, 4, 3),
    "Upsample(scale_factor=(2, 1.5), mode='bicubic', recompute_scale_factor=True)": (1, 2, 4, 3),
    "UpsamplingNearest2d(scale_factor=2)": (1, 2, 4, 3),
    "UpsamplingBilinear2d(size=5)": (1, 2, 4, 3),
    "CrossMapLRN2d(3, 0.1, 0.5, 2)": (1, 5, 3, 2),
    "CrossMapLRN2d(4)": (1, 5, 3, 2),
}


@pytest.mark.parametrize("text", LAYERS)
def test_resizing_layers_are_pytorchs(text: str) -> None:
    # PyTorch's gradient of CrossMapLRN2d is not that of its values.
    same_layer(text, normal(*LAYERS[text]), grad="CrossMap" not in text)


@pytest.mark.parametrize(("n", "shape"), [(2, (1, 2, 6, 5)), (3, (1, 2, 4, 5, 6))])
def test_fractional_pooling_layers_are_pytorchs(n: int, shape: tuple[int, ...]) -> None:
    samples = np.random.default_rng(0).uniform(size=(1, 2, n)).astype(np.float32)
    results = []
    for lib in (jt, torch):
        kind = getattr(lib.nn, f"FractionalMaxPool{n}d")
        layer = kind(2, output_ratio=0.5, return_indices=True, _random_samples=lib.tensor(samples))
        assert list(layer.state_dict()) == ["_random_samples"]
        results.append((repr(layer), layer(lib.tensor(normal(*shape)))))
    assert results[0][0] == results[1][0]
    assert_same(results[0][1], results[1][1])
    layer = getattr(jt.nn, f"FractionalMaxPool{n}d")(2, output_size=2)
    assert layer(jt.ones(*shape)).shape == (1, 2, *[2] * n)


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.Upsample()(lib.ones(1, 1, 2, 2)),
        lambda lib: lib.nn.FractionalMaxPool2d(3),
        lambda lib: lib.nn.FractionalMaxPool2d(3, 3, 0.5),
        lambda lib: lib.nn.FractionalMaxPool2d(3, output_ratio=1.5),
        lambda lib: lib.nn.CrossMapLRN2d(3)(lib.ones(2, 3, 3)),
    ],
)
def test_wrong_settings_raise_pytorchs_error(action) -> None:
    same_error(action)


def test_a_volume_needs_three_ratios() -> None:
    with pytest.raises(IndexError, match="output_ratio must have 3 elements"):
        jt.nn.FractionalMaxPool3d(3, output_ratio=(0.5, 0.5))
