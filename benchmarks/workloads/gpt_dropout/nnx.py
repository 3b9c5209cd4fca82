"""The transformer with dropout in Flax NNX."""

from benchmarks.workloads.gpt import nnx as plain
from benchmarks.workloads.gpt_dropout import P

batch, loss = plain.batch, plain.loss


def build(weights):
    return plain.build(weights, P)
