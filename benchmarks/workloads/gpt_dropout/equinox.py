"""The transformer with dropout in Equinox; a key is carried from step to step."""

import jax

from benchmarks.workloads.gpt import equinox as plain
from benchmarks.workloads.gpt_dropout import P

batch = plain.batch


def build(weights):
    return plain.build(weights, P)


def carry(model):
    return jax.random.key(0)


def forward(model, key, tokens):
    return plain.forward(model, tokens)


def loss(model, key, tokens, targets):
    key, mine = jax.random.split(key)
    logits = jax.vmap(model)(tokens, jax.random.split(mine, len(tokens)))
    return plain.cross_entropy(logits, targets), key
