"""The transformer in Equinox, whose layers take one vector; one sequence is a `vmap` of them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.gpt import HEADS, LAYERS, LENGTH, VOCABULARY, WIDTH
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


class Block(eqx.Module):
    norm1: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    norm2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self, p, key):
        keys = jax.random.split(key, 4)
        self.norm1 = eqx.nn.LayerNorm(WIDTH)
        self.qkv = eqx.nn.Linear(WIDTH, 3 * WIDTH, key=keys[0])
        self.out = eqx.nn.Linear(WIDTH, WIDTH, key=keys[1])
        self.norm2 = eqx.nn.LayerNorm(WIDTH)
        self.up = eqx.nn.Linear(WIDTH, 4 * WIDTH, key=keys[2])
        self.down = eqx.nn.Linear(4 * WIDTH, WIDTH, key=keys[3])
        self.dropout = eqx.nn.Dropout(p)

    def attention(self, x, key):
        T, C = x.shape
        q, k, v = (
            y.reshape(T, HEADS, C // HEADS) for y in jnp.split(jax.vmap(self.qkv)(x), 3, axis=-1)
        )
        scores = jnp.einsum("thc,shc->hts", q, k) / (C // HEADS) ** 0.5
        scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), scores, -jnp.inf)
        weights = self.dropout(jax.nn.softmax(scores), key=key)
        return jax.vmap(self.out)(jnp.einsum("hts,shc->thc", weights, v).reshape(T, C))

    def __call__(self, x, key):
        keys = [None] * 3 if key is None else jax.random.split(key, 3)
        y = self.attention(jax.vmap(self.norm1)(x), keys[0])
        x = x + self.dropout(y, key=keys[1])
        y = jax.nn.gelu(jax.vmap(self.up)(jax.vmap(self.norm2)(x)), approximate=False)
        return x + self.dropout(jax.vmap(self.down)(y), key=keys[2])


class GPT(eqx.Module):
    tokens: eqx.nn.Embedding
    positions: eqx.nn.Embedding
    dropout: eqx.nn.Dropout
    blocks: list
    norm: eqx.nn.LayerNorm
    head: eqx.nn.Linear

    def __init__(self, p, key):
        keys = jax.random.split(key, LAYERS + 3)
        self.tokens = eqx.nn.Embedding(VOCABULARY, WIDTH, key=keys[-3])
        self.positions = eqx.nn.Embedding(LENGTH, WIDTH, key=keys[-2])
        self.dropout = eqx.nn.Dropout(p)
        self.blocks = [Block(p, k) for k in keys[:LAYERS]]
        self.norm = eqx.nn.LayerNorm(WIDTH)
        self.head = eqx.nn.Linear(WIDTH, VOCABULARY, use_bias=False, key=keys[-1])

    def __call__(self, tokens, key=None):
        keys = [None] * (LAYERS + 1) if key is None else jax.random.split(key, LAYERS + 1)
        x = jax.vmap(self.tokens)(tokens) + jax.vmap(self.positions)(jnp.arange(len(tokens)))
        x = self.dropout(x, key=keys[-1])
        for block, k in zip(self.blocks, keys[:LAYERS], strict=True):
            x = block(x, k)
        return jax.vmap(self.head)(jax.vmap(self.norm)(x))


def build(weights, p=0.0):
    return equinox_weights.fill(GPT(p, jax.random.key(0)), weights)


def forward(model, tokens):
    return jax.vmap(model)(tokens)


def cross_entropy(logits, targets):
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def loss(model, tokens, targets):
    return cross_entropy(forward(model, tokens), targets)
