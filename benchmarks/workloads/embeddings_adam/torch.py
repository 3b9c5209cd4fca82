"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.torch import build, loss  # noqa: F401
