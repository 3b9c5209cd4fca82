"""The two tables in Flax NNX."""

import optax
from flax import nnx

from benchmarks.workloads import nnx_weights
from benchmarks.workloads.embeddings import VOCABULARY, WIDTH
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


class Pairs(nnx.Module):
    def __init__(self, rngs):
        self.words = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.contexts = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)

    def __call__(self, word, context):
        return (self.words(word) * self.contexts(context)).sum(-1)


def build(weights):
    return nnx_weights.fill(Pairs(nnx.Rngs(0)), weights)


def loss(model, word, context, label):
    return optax.sigmoid_binary_cross_entropy(model(word, context), label).mean()
