"""A word-level language model: embedding 128, LSTM of 2 x 256, 35 steps, vocabulary 10,000."""

import numpy as np

from benchmarks.workloads import initial

BATCHES = (20,)
OPTIMIZER = ("SGD", {"lr": 0.1})
VOCABULARY, LENGTH, EMBEDDING, HIDDEN, LAYERS = 10_000, 35, 128, 256, 2


def batches(size, count):
    """Tokens, and as targets the tokens that follow: int64 (size, 35)."""
    text = np.random.default_rng(0).integers(0, VOCABULARY, (count, size, LENGTH + 1))
    return [(np.ascontiguousarray(t[:, :-1]), np.ascontiguousarray(t[:, 1:])) for t in text]


def weights():
    shapes = {"embedding.weight": (VOCABULARY, EMBEDDING)}
    for i in range(LAYERS):
        inputs = HIDDEN if i else EMBEDDING
        shapes |= {
            f"lstm.weight_ih_l{i}": (4 * HIDDEN, inputs),
            f"lstm.weight_hh_l{i}": (4 * HIDDEN, HIDDEN),
            f"lstm.bias_ih_l{i}": (4 * HIDDEN,),
            f"lstm.bias_hh_l{i}": (4 * HIDDEN,),
        }
    return initial.weights(shapes | initial.layer("head", VOCABULARY, HIDDEN))
