"""The two tables in Equinox."""

import equinox as eqx
import jax
import optax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.embeddings import VOCABULARY, WIDTH
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


class Pairs(eqx.Module):
    words: eqx.nn.Embedding
    contexts: eqx.nn.Embedding

    def __init__(self, key):
        keys = jax.random.split(key)
        self.words = eqx.nn.Embedding(VOCABULARY, WIDTH, key=keys[0])
        self.contexts = eqx.nn.Embedding(VOCABULARY, WIDTH, key=keys[1])

    def __call__(self, word, context):
        return (self.words(word) * self.contexts(context)).sum()


def build(weights):
    return equinox_weights.fill(Pairs(jax.random.key(0)), weights)


def forward(model, word, context):
    return jax.vmap(model)(word, context)


def loss(model, word, context, label):
    return optax.sigmoid_binary_cross_entropy(forward(model, word, context), label).mean()
