"""`torch.__config__`: what runs the operations, as text."""

from __future__ import annotations

import os

import jax

__all__ = ["parallel_info", "show"]


def show() -> str:
    """What this is built on. No library of PyTorch's own build is named, as none is there."""
    return f"jtoolbox built with:\n  - JAX {jax.__version__} and its XLA\n"


def parallel_info() -> str:
    """How many threads there are."""
    return f"XLA's own threads, on {os.cpu_count()} cores\n"
