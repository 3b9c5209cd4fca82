"""`torch.xpu`: Intel GPUs, which JAX does not run here: `is_available` says so."""

from __future__ import annotations

from typing import Any

from jtoolbox.cuda.device import manual_seed, manual_seed_all, seed
from jtoolbox.cuda.memory import empty_cache
from jtoolbox.mps import device_count, is_available

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "synchronize",
]


def synchronize(device: Any = None) -> None:
    """Raises RuntimeError: there is no such device."""
    raise RuntimeError("there is no XPU here: `jtoolbox.xpu.is_available()` says so before.")
