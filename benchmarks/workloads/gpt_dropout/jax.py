"""The transformer with dropout by hand in JAX; a key is carried from step to step."""

import jax

from benchmarks.workloads.gpt import jax as plain
from benchmarks.workloads.gpt_dropout import P

batch, params = plain.batch, plain.params


def carry(weights):
    return jax.random.key(0)


def forward(weights, key, tokens):
    return plain.forward(weights, tokens)


def loss(weights, key, tokens, targets):
    key, mine = jax.random.split(key)
    return plain.cross_entropy(plain.forward(weights, tokens, mine, P), targets), key
