"""The transformer of `gpt` with dropout of 0.1: random, so that only its first loss is compared."""

from benchmarks.workloads.gpt import BATCHES, OPTIMIZER, batches, weights  # noqa: F401

RANDOM = True
P = 0.1
