"""`torch.cuda`: answers for JAX's GPUs, so that `cuda.is_available()` chooses as in PyTorch."""

from __future__ import annotations

from typing import Any

import jax

from jtoolbox import devices, random
from jtoolbox.engine.realize import synchronize as _synchronize

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "is_available",
    "is_bf16_supported",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "memory_allocated",
    "set_device",
    "synchronize",
]


def _gpus() -> list[Any]:
    try:
        return jax.local_devices(backend="gpu")
    except RuntimeError:
        return []


def is_available() -> bool:
    """Whether JAX has a GPU here."""
    return bool(_gpus())


def device_count() -> int:
    """How many GPUs JAX has here."""
    return len(_gpus())


def current_device() -> int:
    """The number of the default GPU; RuntimeError when there is none."""
    devices.find("cuda")
    chosen = devices.default_device()
    return chosen.index or 0 if chosen.type == "cuda" else 0


def set_device(device: Any) -> None:
    """Makes a GPU the place of new tensors."""
    devices.set_default_device(
        devices.device("cuda", device) if isinstance(device, int) else device
    )


def get_device_name(device: Any = None) -> str:
    """The kind of a GPU, as its maker names it."""
    return devices.find("cuda" if device is None else device).device_kind


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether bfloat16 can be computed with: always, when there is a GPU."""
    return is_available()


def manual_seed(seed: int) -> None:
    """Seeds the generator, which is one for all devices."""
    random.manual_seed(seed)


manual_seed_all = manual_seed


def synchronize(device: Any = None) -> None:
    """Runs what is pending and waits for it."""
    _synchronize()


def empty_cache() -> None:
    """Nothing: JAX manages the device's memory itself."""


def _memory(name: str, device: Any) -> int:
    stats = devices.find("cuda" if device is None else device).memory_stats() or {}
    return int(stats.get(name, 0))


def memory_allocated(device: Any = None) -> int:
    """Bytes in use on a GPU."""
    return _memory("bytes_in_use", device)


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use on a GPU."""
    return _memory("peak_bytes_in_use", device)
