"""`torch.profiler`, on JAX's profiler."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from jtoolbox import devices
from jtoolbox.autograd.profiler import profile, record_function

__all__ = [
    "ProfilerAction",
    "ProfilerActivity",
    "profile",
    "record_function",
    "kineto_available",
    "schedule",
    "supported_activities",
    "tensorboard_trace_handler",
]


class ProfilerActivity(enum.Enum):
    """What to observe; accepted and not needed: JAX's profiler sees host and device."""

    CPU = 0
    CUDA = 1
    XPU = 2


def supported_activities() -> set[ProfilerActivity]:
    """The CPU, and GPUs where JAX has them."""
    gpu = {ProfilerActivity.CUDA} if devices.accelerator_type() == "cuda" else set()
    return {ProfilerActivity.CPU} | gpu


def kineto_available() -> bool:
    """False: the profiler is JAX's."""
    return False


class ProfilerAction(enum.Enum):
    """What a schedule says of a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, **_: Any
) -> Callable[[int], ProfilerAction]:
    """What to do at each step, in cycles of `wait`, `warmup` and `active` steps.

    `profile` accepts it and traces the whole block.
    """

    def action(step: int) -> ProfilerAction:
        cycle = wait + warmup + active
        step -= skip_first
        if step < 0 or (repeat and step // cycle >= repeat):
            return ProfilerAction.NONE
        place = step % cycle
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == cycle - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


class tensorboard_trace_handler:
    """Where `profile(on_trace_ready=...)` writes the trace: a folder that TensorBoard reads."""

    def __init__(self, dir_name: str, worker_name: str | None = None, use_gzip: bool = False):
        self.folder = dir_name

    def __call__(self, profiler: Any) -> None:
        """Nothing: the trace is already there."""
