"""`torch.accelerator`: the GPU or TPU that JAX runs on by default."""

from __future__ import annotations

import jax

from jtoolbox import devices
from jtoolbox.engine.realize import synchronize

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]


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
