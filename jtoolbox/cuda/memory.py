"""The memory of a GPU, as JAX's allocator reports it. 0 where there is none."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any

import jax

from jtoolbox import devices

__all__ = [
    "OutOfMemoryError",
    "empty_cache",
    "get_per_process_memory_fraction",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "reset_accumulated_memory_stats",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]

# XLA has one type for what goes wrong while a program runs; running out of memory is one case.
OutOfMemoryError = jax.errors.JaxRuntimeError

PEAK = (
    "JAX's allocator cannot reset its peaks: `max_memory_allocated` counts on from the start "
    "of the process. Measure what you compare in processes of their own."
)
FRACTION = (
    "the share of a GPU's memory is fixed when JAX starts: set the environment variable "
    "XLA_PYTHON_CLIENT_MEM_FRACTION={fraction} for the process"
)


def _stats(device: Any) -> dict[str, int]:
    kind = "cuda" if device is None else device
    kind = f"cuda:{kind}" if isinstance(kind, int) else kind
    if device is None and devices.accelerator_type() is None:
        return {}
    return devices.find(kind).memory_stats() or {}


def memory_allocated(device: Any = None) -> int:
    """Bytes in use on a GPU."""
    return int(_stats(device).get("bytes_in_use", 0))


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use on a GPU since the start; it cannot be reset."""
    return int(_stats(device).get("peak_bytes_in_use", 0))


def memory_reserved(device: Any = None) -> int:
    """Bytes that JAX has taken from a GPU."""
    stats = _stats(device)
    return int(stats.get("bytes_reserved", 0) or stats.get("pool_bytes", memory_allocated(device)))


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that JAX has taken from a GPU."""
    stats = _stats(device)
    return int(stats.get("peak_pool_bytes", 0)) or max_memory_allocated(device)


memory_cached, max_memory_cached = memory_reserved, max_memory_reserved


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes that JAX may use on a GPU; RuntimeError when there is none."""
    devices.find("cuda" if device is None else device)
    total = int(_stats(device).get("bytes_limit", 0))
    return total - memory_allocated(device), total


def memory_stats(device: Any = None) -> OrderedDict[str, Any]:
    """Bytes in use, now and at most, under PyTorch's names; empty where there is no GPU."""
    stats = _stats(device)
    found: OrderedDict[str, Any] = OrderedDict()
    if stats:
        found["allocated_bytes.all.current"] = memory_allocated(device)
        found["allocated_bytes.all.peak"] = max_memory_allocated(device)
        found["reserved_bytes.all.current"] = memory_reserved(device)
        found["reserved_bytes.all.peak"] = max_memory_reserved(device)
    return found


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """What JAX's allocator reports of a GPU, a line each."""
    return "\n".join(f"{name}: {value}" for name, value in _stats(device).items())


def empty_cache() -> None:
    """Nothing: JAX manages the device's memory itself."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Warns that JAX's allocator keeps the peak since the start; RuntimeError without a GPU."""
    devices.find("cuda" if device is None else device)
    warnings.warn(PEAK, stacklevel=2)


reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats
reset_accumulated_memory_stats = reset_peak_memory_stats


def set_per_process_memory_fraction(fraction: float, device: Any = None) -> None:
    """Not there: raises NotImplementedError, which names the environment variable to set."""
    raise NotImplementedError(FRACTION.format(fraction=fraction))


def get_per_process_memory_fraction(device: Any = None) -> float:
    """Not there: raises NotImplementedError, which names the environment variable to set."""
    raise NotImplementedError(FRACTION.format(fraction="0.75"))
