"""The two tables, whatever the optimizer."""

from benchmarks.workloads.embeddings.equinox import *  # noqa: F403
