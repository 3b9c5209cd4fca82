"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.jax import *  # noqa: F403
