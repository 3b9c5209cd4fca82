"""The transformer in Flax NNX."""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from benchmarks.workloads import nnx_weights
from benchmarks.workloads.gpt import HEADS, LAYERS, LENGTH, VOCABULARY, WIDTH
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


class Block(nnx.Module):
    def __init__(self, p, rngs):
        self.norm1 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.qkv = nnx.Linear(WIDTH, 3 * WIDTH, rngs=rngs)
        self.out = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.norm2 = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 4 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(4 * WIDTH, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(p, rngs=rngs)

    def attention(self, x):
        N, T, C = x.shape
        q, k, v = (y.reshape(N, T, HEADS, C // HEADS) for y in jnp.split(self.qkv(x), 3, axis=-1))
        mask = nnx.make_causal_mask(x[..., 0])
        if self.dropout.rate == 0 or self.dropout.deterministic:
            y = nnx.dot_product_attention(q, k, v, mask=mask)
        else:
            scores = jnp.einsum("nthc,nshc->nhts", q, k) / (C // HEADS) ** 0.5
            weights = jax.nn.softmax(jnp.where(mask, scores, -jnp.inf))
            y = jnp.einsum("nhts,nshc->nthc", self.dropout(weights), v)
        return self.out(y.reshape(N, T, C))

    def __call__(self, x):
        x = x + self.dropout(self.attention(self.norm1(x)))
        y = jax.nn.gelu(self.up(self.norm2(x)), approximate=False)
        return x + self.dropout(self.down(y))


class GPT(nnx.Module):
    def __init__(self, p, rngs):
        self.tokens = nnx.Embed(VOCABULARY, WIDTH, rngs=rngs)
        self.positions = nnx.Embed(LENGTH, WIDTH, rngs=rngs)
        self.dropout = nnx.Dropout(p, rngs=rngs)
        self.blocks = nnx.List([Block(p, rngs) for _ in range(LAYERS)])
        self.norm = nnx.LayerNorm(WIDTH, epsilon=1e-5, rngs=rngs)
        self.head = nnx.Linear(WIDTH, VOCABULARY, use_bias=False, rngs=rngs)

    def __call__(self, tokens):
        x = self.dropout(self.tokens(tokens) + self.positions(jnp.arange(tokens.shape[1])))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def build(weights, p=0.0):
    return nnx_weights.fill(GPT(p, nnx.Rngs(0)), weights)


def loss(model, tokens, targets):
    return optax.softmax_cross_entropy_with_integer_labels(model(tokens), targets).mean()
