"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.nnx import batch, build, loss  # noqa: F401
