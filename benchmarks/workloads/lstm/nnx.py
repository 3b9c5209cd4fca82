"""The language model in Flax NNX, whose cells have one bias where PyTorch's have two.

The one bias is the sum of the two, and moves half as fast: later losses differ a little.
"""

import optax
from flax import nnx

from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.lstm import EMBEDDING, HIDDEN, LAYERS, VOCABULARY


class Model(nnx.Module):
    def __init__(self, rngs):
        self.embedding = nnx.Embed(VOCABULARY, EMBEDDING, rngs=rngs)
        sizes = [EMBEDDING] + [HIDDEN] * (LAYERS - 1)
        self.layers = nnx.List(
            [nnx.RNN(nnx.OptimizedLSTMCell(n, HIDDEN, rngs=rngs), rngs=rngs) for n in sizes]
        )
        self.head = nnx.Linear(HIDDEN, VOCABULARY, rngs=rngs)

    def __call__(self, tokens):
        x = self.embedding(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


def build(weights):
    model = Model(nnx.Rngs(0))
    model.embedding.embedding[...] = weights["embedding.weight"]
    for i, layer in enumerate(model.layers):
        layer.cell.dense_i.kernel[...] = weights[f"lstm.weight_ih_l{i}"].T
        layer.cell.dense_h.kernel[...] = weights[f"lstm.weight_hh_l{i}"].T
        bias = weights[f"lstm.bias_ih_l{i}"] + weights[f"lstm.bias_hh_l{i}"]
        layer.cell.dense_h.bias[...] = bias
    model.head.kernel[...] = weights["head.weight"].T
    model.head.bias[...] = weights["head.bias"]
    return model


def loss(model, tokens, targets):
    return optax.softmax_cross_entropy_with_integer_labels(model(tokens), targets).mean()
