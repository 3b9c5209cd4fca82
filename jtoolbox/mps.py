"""`torch.mps`: Apple GPUs, which JAX does not run here: `is_available` says so."""

from jtoolbox.cuda.device import manual_seed, manual_seed_all, seed, synchronize
from jtoolbox.cuda.memory import empty_cache

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
