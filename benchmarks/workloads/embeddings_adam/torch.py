"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.torch import *  # noqa: F403
