"""The language model in Equinox, whose cells have one bias where PyTorch's have two.

The one bias is the sum of the two, and moves half as fast: later losses differ a little.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.lstm import EMBEDDING, HIDDEN, LAYERS, VOCABULARY


class Model(eqx.Module):
    embedding: eqx.nn.Embedding
    cells: list
    head: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, LAYERS + 2)
        sizes = [EMBEDDING] + [HIDDEN] * (LAYERS - 1)
        self.embedding = eqx.nn.Embedding(VOCABULARY, EMBEDDING, key=keys[-2])
        self.cells = [
            eqx.nn.LSTMCell(n, HIDDEN, key=k) for n, k in zip(sizes, keys[:LAYERS], strict=True)
        ]
        self.head = eqx.nn.Linear(HIDDEN, VOCABULARY, key=keys[-1])

    def __call__(self, tokens):
        x = jax.vmap(self.embedding)(tokens)
        for cell in self.cells:

            def step(state, x, cell=cell):
                state = cell(x, state)
                return state, state[0]

            zeros = jnp.zeros(HIDDEN)
            _, x = jax.lax.scan(step, (zeros, zeros), x)
        return jax.vmap(self.head)(x)


def build(weights):
    named = {name: weights[name] for name in ("embedding.weight", "head.weight", "head.bias")}
    for i in range(LAYERS):
        for kind in ("weight_ih", "weight_hh"):
            named[f"cells.{i}.{kind}"] = weights[f"lstm.{kind}_l{i}"]
        bias = weights[f"lstm.bias_ih_l{i}"] + weights[f"lstm.bias_hh_l{i}"]
        named[f"cells.{i}.bias"] = bias
    return equinox_weights.fill(Model(jax.random.key(0)), named)


def forward(model, tokens):
    return jax.vmap(model)(tokens)


def loss(model, tokens, targets):
    logits = forward(model, tokens)
    return optax.softmax_cross_entropy_with_integer_labels(logits, targets).mean()
