"""`torch.mps`: Apple GPUs, which JAX does not run here: `is_available` says so."""

from __future__ import annotations

from typing import Any

from jtoolbox import random
from jtoolbox.engine.realize import synchronize as _synchronize

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "synchronize",
]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seeds the generator, which is one for all devices."""
    random.manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Gives the generator a seed of the operating system."""
    random.seed()


def synchronize(device: Any = None) -> None:
    """Runs what is pending and waits for it."""
    _synchronize()


def empty_cache() -> None:
    """Nothing: JAX manages memory itself."""
