"""The transformer with dropout by hand in JAX; a key is carried from step to step."""

import jax

from benchmarks.workloads.gpt import jax as plain
from benchmarks.workloads.gpt.jax import batch, params  # noqa: F401
from benchmarks.workloads.gpt_dropout import P


def carry(weights):
    return jax.random.key(0)


def forward(params, key, tokens):
    return plain.forward(params, tokens)


def loss(params, key, tokens, targets):
    key, mine = jax.random.split(key)
    return plain.cross_entropy(plain.forward(params, tokens, mine, P), targets), key
