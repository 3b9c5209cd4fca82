"""`torch.mps`: Apple GPUs, which JAX does not run here: `is_available` says so."""

from __future__ import annotations

from jtoolbox.cuda.device import manual_seed

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed",
    "seed",
    "synchronize",
]

ABSENT = "there is no MPS backend here: `jtoolbox.mps.is_available()` says so before."


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """0."""
    return 0


def seed() -> None:
    """Raises RuntimeError: there is no such device."""
    raise RuntimeError(ABSENT)


synchronize = empty_cache = seed
