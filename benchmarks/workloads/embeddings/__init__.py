"""Pairs of words as in word2vec: two tables of 50,000 x 64, a logit from the product of rows."""

import numpy as np

from benchmarks.workloads import initial

BATCHES = (512,)
OPTIMIZER = ("SGD", {"lr": 0.1})
VOCABULARY, WIDTH = 50_000, 64


def batches(size, count):
    """Words and contexts, int64 (size,), and whether they belong together, float32 (size,)."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.integers(0, VOCABULARY, size),
            rng.integers(0, VOCABULARY, size),
            rng.integers(0, 2, size).astype(np.float32),
        )
        for _ in range(count)
    ]


def weights():
    table = (VOCABULARY, WIDTH)
    return initial.weights({"words.weight": table, "contexts.weight": table})
