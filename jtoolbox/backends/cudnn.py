"""`torch.backends.cudnn`: attributes to set. XLA chooses convolution algorithms by itself.

`deterministic` is accepted: XLA's programs on CPU repeat exactly, and on GPUs the flag
XLA_FLAGS=--xla_gpu_deterministic_ops=true makes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jtoolbox.cuda import is_available

__all__ = [
    "allow_tf32",
    "benchmark",
    "benchmark_limit",
    "deterministic",
    "enabled",
    "flags",
    "is_available",
    "version",
]

enabled = True
benchmark = False
benchmark_limit = 10
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def version() -> int | None:
    """None: cuDNN is JAX's."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether the tensor lies on a GPU."""
    return tensor.is_cuda


@contextmanager
def flags(**settings: Any) -> Iterator[None]:
    """Sets attributes of this module for the block."""
    before = {name: globals()[name] for name in settings}
    globals().update(settings)
    try:
        yield
    finally:
        globals().update(before)
