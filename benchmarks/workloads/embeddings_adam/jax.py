"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.jax import batch, forward, loss, params  # noqa: F401
