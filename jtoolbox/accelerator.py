"""`torch.accelerator`: the GPU or TPU that JAX runs on by default."""

from __future__ import annotations

from typing import Any

import jax

from jtoolbox import devices
from jtoolbox.cuda import memory
from jtoolbox.cuda.device import get_device_capability as _capability
from jtoolbox.engine.realize import synchronize as _synchronize
from jtoolbox.streams import Stream
from jtoolbox.streams import current_stream as _current_stream

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "empty_host_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]

NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether JAX runs on a GPU or TPU by default."""
    return devices.accelerator_type() is not None


def current_accelerator(check_available: bool = False) -> devices.device | None:
    """Its device, without an index; None when there is none."""
    kind = devices.accelerator_type()
    return None if kind is None else devices.device(kind)


def device_count() -> int:
    """How many there are."""
    return len(jax.local_devices()) if is_available() else 0


def _here(index: Any = None) -> devices.device:
    """An accelerator; RuntimeError when there is none."""
    kind = devices.accelerator_type()
    if kind is None:
        raise RuntimeError(NONE)
    if isinstance(index, int):
        return devices.device(kind, index)
    return devices.default_device() if index is None else devices.device(index)


def current_device_index() -> int:
    """The number of the default accelerator; RuntimeError when there is none."""
    return _here().index or 0


def set_device_index(device: Any) -> None:
    """Makes an accelerator the place of new tensors; RuntimeError when there is none."""
    devices.set_default_device(_here(device))


current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index:
    """An accelerator chosen for the block: `with torch.accelerator.device_index(1):`."""

    def __init__(self, device: int | None):
        self._chosen = None if device is None else _here(device)

    def __enter__(self) -> None:
        if self._chosen is not None:
            self._chosen.__enter__()

    def __exit__(self, *exception: Any) -> None:
        if self._chosen is not None:
            self._chosen.__exit__(*exception)


def synchronize(device: Any = None) -> None:
    """Runs what is pending and waits for it; RuntimeError when there is no accelerator."""
    _here(device)
    _synchronize()


def current_stream(device: Any = None) -> Stream:
    """The stream of the accelerator; RuntimeError when there is none."""
    return _current_stream(_here(device))


def set_stream(stream: Stream) -> None:
    """Nothing: all streams are one. RuntimeError when there is no accelerator."""
    _here()


def get_device_capability(device: Any = None) -> dict[str, Any]:
    """What the accelerator is: its compute capability under "version"."""
    return {"version": _capability(_here(device))}


def empty_cache() -> None:
    """Nothing: JAX manages the device's memory itself. RuntimeError when there is none."""
    _here()


empty_host_cache = empty_cache


def memory_allocated(device: Any = None) -> int:
    """Bytes in use; RuntimeError when there is no accelerator."""
    return memory.memory_allocated(_here(device))


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that were in use since the start."""
    return memory.max_memory_allocated(_here(device))


def memory_reserved(device: Any = None) -> int:
    """Bytes that JAX has taken."""
    return memory.memory_reserved(_here(device))


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that JAX has taken."""
    return memory.max_memory_reserved(_here(device))


def memory_stats(device: Any = None) -> Any:
    """Bytes in use, now and at most, under PyTorch's names."""
    return memory.memory_stats(_here(device))


def get_memory_info(device: Any = None) -> tuple[int, int]:
    """(free, total) bytes."""
    return memory.mem_get_info(_here(device))


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing: JAX's allocator keeps the peak since the start."""
    _here(device)


reset_accumulated_memory_stats = reset_peak_memory_stats
