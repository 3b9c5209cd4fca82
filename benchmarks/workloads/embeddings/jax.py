"""The two tables by hand in JAX."""

import optax

from benchmarks.workloads.layouts import int32 as batch  # noqa: F401


def params(weights):
    return weights


def forward(params, word, context):
    return (params["words.weight"][word] * params["contexts.weight"][context]).sum(-1)


def loss(params, word, context, label):
    return optax.sigmoid_binary_cross_entropy(forward(params, word, context), label).mean()
