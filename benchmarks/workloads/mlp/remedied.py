"""The perceptron by hand: no remedy changes its text."""

from benchmarks.workloads.mlp.jax import batch, forward, loss, params  # noqa: F401
