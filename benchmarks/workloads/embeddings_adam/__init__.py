"""The tables of `embeddings` under Adam, which moves every row at every step."""

from benchmarks.workloads.embeddings import BATCHES, batches, weights  # noqa: F401

OPTIMIZER = ("Adam", {"lr": 0.001})
