"""The language model by hand in JAX: a scan a layer, its products with the input taken before."""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from benchmarks.workloads import layouts
from benchmarks.workloads.jax_layers import linear
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.lstm import HIDDEN, LAYERS


def params(weights):
    return layouts.kernels(weights, tables=("embedding",))


def layer(params, i, x):
    """From (T, N, inputs) to (T, N, HIDDEN)."""
    recurrent = params[f"lstm.weight_hh_l{i}"]
    bias = params[f"lstm.bias_ih_l{i}"] + params[f"lstm.bias_hh_l{i}"]

    def step(state, projected):
        h, c = state
        i, f, g, o = jnp.split(projected + h @ recurrent, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((x.shape[1], HIDDEN))
    return lax.scan(step, (zeros, zeros), x @ params[f"lstm.weight_ih_l{i}"] + bias)[1]


def forward(params, tokens):
    x = params["embedding.weight"][tokens.T]
    for i in range(LAYERS):
        x = layer(params, i, x)
    return linear(x.swapaxes(0, 1), params, "head")


def loss(params, tokens, targets):
    logits = forward(params, tokens)
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()
