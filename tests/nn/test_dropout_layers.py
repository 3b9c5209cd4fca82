"""Dropout layers: training and evaluation, repr, probabilities that change."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import layers

LAYERS = [
    ("Dropout", (200, 50)),
    ("Dropout1d", (100, 20, 5)),
    ("Dropout2d", (100, 20, 3, 2)),
    ("Dropout3d", (100, 20, 2, 2, 2)),
    ("AlphaDropout", (200, 50)),
    ("FeatureAlphaDropout", (100, 20, 5)),
]


@pytest.mark.parametrize(("name", "shape"), LAYERS)
def test_drops_in_training_and_is_the_identity_in_evaluation(name, shape):
    layer, _ = layers(name, 0.3)
    layers(name, p=0.5, inplace=True)
    x = jt.ones(*shape)
    values, counts = np.unique(layer(x).numpy(), return_counts=True)
    assert len(values) == 2
    assert abs(counts[0] / counts.sum() - 0.3) < 0.05
    np.testing.assert_array_equal(layer.eval()(x).numpy(), 1)


@pytest.mark.parametrize(("name", "shape"), LAYERS)
@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_probability_out_of_range_is_refused(name, shape, p):
    for lib in (jt, torch):
        with pytest.raises(ValueError, match=f"between 0 and 1, but got {p}"):
            getattr(lib.nn, name)(p)


def test_masks_and_probabilities_change_without_compiling(compilations):
    layer = jt.nn.Dropout(0.5)
    w = jt.ones(1000).requires_grad_()

    def step():
        w.grad = None
        loss = (layer(w) * 2).sum()
        loss.backward()
        return (w.grad == 0).float().mean().item()

    step(), step()
    compilations.count()
    shares = [step() for _ in range(5)]
    layer.p = 0.2
    low = step()
    assert compilations.count() == 0
    assert len(set(shares)) > 1
    assert low < 0.3 < min(shares)
