"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.nnx import *  # noqa: F403
