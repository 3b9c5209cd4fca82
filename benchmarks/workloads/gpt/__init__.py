"""A character-level transformer: 4 layers of width 128 with 4 heads, 64 tokens, vocabulary 65."""

import numpy as np

from benchmarks.workloads import initial

BATCHES = (16,)
OPTIMIZER = ("AdamW", {"lr": 3e-4, "weight_decay": 0.1})
VOCABULARY, LENGTH, WIDTH, HEADS, LAYERS = 65, 64, 128, 4, 4


def batches(size, count):
    """Tokens, and as targets the tokens that follow: int64 (size, 64)."""
    text = np.random.default_rng(0).integers(0, VOCABULARY, (count, size, LENGTH + 1))
    return [(np.ascontiguousarray(t[:, :-1]), np.ascontiguousarray(t[:, 1:])) for t in text]


def weights():
    shapes = {"tokens.weight": (VOCABULARY, WIDTH), "positions.weight": (LENGTH, WIDTH)}
    for i in range(LAYERS):
        shapes |= initial.layer(f"blocks.{i}.norm1", WIDTH)
        shapes |= initial.layer(f"blocks.{i}.qkv", 3 * WIDTH, WIDTH)
        shapes |= initial.layer(f"blocks.{i}.out", WIDTH, WIDTH)
        shapes |= initial.layer(f"blocks.{i}.norm2", WIDTH)
        shapes |= initial.layer(f"blocks.{i}.up", 4 * WIDTH, WIDTH)
        shapes |= initial.layer(f"blocks.{i}.down", WIDTH, 4 * WIDTH)
    return initial.weights(
        shapes | initial.layer("norm", WIDTH) | initial.layer("head", VOCABULARY, WIDTH, bias=False)
    )
