"""The transformer by hand in JAX."""

import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import layouts
from benchmarks.workloads.gpt import HEADS, LAYERS
from benchmarks.workloads.jax_layers import dropout, layer_norm, linear
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


def params(weights):
    return layouts.kernels(weights, tables=("tokens", "positions"))


def attention(params, name, x, key, p):
    N, T, C = x.shape
    q, k, v = (
        y.reshape(N, T, HEADS, C // HEADS)
        for y in jnp.split(linear(x, params, f"{name}.qkv"), 3, axis=-1)
    )
    if not p:
        y = jax.nn.dot_product_attention(q, k, v, is_causal=True)
    else:
        scores = jnp.einsum("nthc,nshc->nhts", q, k) / (C // HEADS) ** 0.5
        scores = jnp.where(jnp.tril(jnp.ones((T, T), bool)), scores, -jnp.inf)
        y = jnp.einsum("nhts,nshc->nthc", dropout(jax.nn.softmax(scores), key, p), v)
    return linear(y.reshape(N, T, C), params, f"{name}.out")


def forward(params, tokens, key=None, p=0.0):
    keys = iter(jax.random.split(key, 3 * LAYERS + 1) if p else [None] * (3 * LAYERS + 1))
    x = params["tokens.weight"][tokens] + params["positions.weight"][: tokens.shape[1]]
    x = dropout(x, next(keys), p)
    for i in range(LAYERS):
        name = f"blocks.{i}"
        y = attention(params, name, layer_norm(x, params, f"{name}.norm1"), next(keys), p)
        x = x + dropout(y, next(keys), p)
        y = linear(layer_norm(x, params, f"{name}.norm2"), params, f"{name}.up")
        y = linear(jax.nn.gelu(y, approximate=False), params, f"{name}.down")
        x = x + dropout(y, next(keys), p)
    return layer_norm(x, params, "norm") @ params["head.weight"]


def cross_entropy(logits, targets):
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()


def loss(params, tokens, targets):
    return cross_entropy(forward(params, tokens), targets)
