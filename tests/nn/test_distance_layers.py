"""Distance layers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nn.layer_cases import assert_same_step, layers

RNG = np.random.default_rng(0)

CASES = [
    ("PairwiseDistance", (), {}),
    ("PairwiseDistance", (1.0,), {"eps": 1e-3, "keepdim": True}),
    ("CosineSimilarity", (), {}),
    ("CosineSimilarity", (0,), {"eps": 0.1}),
]


@pytest.mark.parametrize(("name", "args", "settings"), CASES)
def test_repr_results_and_gradients(name, args, settings):
    ours, theirs = layers(name, *args, **settings)
    x, y = (RNG.standard_normal((4, 5)).astype(np.float32) for _ in range(2))
    assert_same_step(ours, theirs, x, y, rtol=1e-4, atol=1e-5)
