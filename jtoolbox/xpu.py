"""`torch.xpu`: Intel GPUs, which JAX does not run here: `is_available` says so."""

from jtoolbox.mps import (
    device_count,
    empty_cache,
    is_available,
    manual_seed,
    manual_seed_all,
    seed,
    synchronize,
)

__all__ = [
    "device_count",
    "empty_cache",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "synchronize",
]
