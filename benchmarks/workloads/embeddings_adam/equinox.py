"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.equinox import batch, build, forward, loss  # noqa: F401
