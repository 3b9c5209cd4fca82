"""Compiler options, each beside the measurement that justifies it. Off where they do not help."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

# NOTE: convolutions on CPU. XLA of JAX 0.10 sends them into a fusion (YNN) that is up to five times
# slower than its Eigen path; this keeps the fusion for matrix products and for sums in the programs
# that hold a convolution. Without it for sums, one over N, H, W of 32x64x32x32 takes 1.0 ms in
# place of 0.12. Measure again with `python -m benchmarks.remedies`.
FUSION = "xla_cpu_experimental_ynn_fusion_type"
KEPT = "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT,LIBRARY_FUSION_TYPE_REDUCE"

CPU_OPTIONS: dict[str, dict[str, Any]] = {"convolution": {FUSION: KEPT}}
KNOWING = "0.10."  # the releases of JAX that are known to know them: asking takes 20 ms

# How large a piece of temporary memory may be, in bytes: used by `pieces`.
PIECES = "xla_multiheap_size_constraint_per_heap"


@functools.cache
def _accepted(tag: str) -> bool:
    """Whether this version of XLA knows the options of a tag."""
    if jax.__version__.startswith(KNOWING):
        return True
    (name,) = CPU_OPTIONS[tag]
    try:
        jax.jit(lambda x: x, compiler_options=CPU_OPTIONS[tag])(jnp.zeros(()))
    except Exception as error:  # XLA raises its own types; only an unknown option is expected
        if name not in str(error):
            raise
        return False
    return True


def compiler_options(tags: Iterable[str]) -> dict[str, Any] | None:
    """The options for a program whose operations have these tags, on the present backend."""
    if jax.default_backend() != "cpu":
        return None
    found: dict[str, Any] = {}
    for tag in tags:
        if tag in CPU_OPTIONS and _accepted(tag):
            found.update(CPU_OPTIONS[tag])
    return found or None
