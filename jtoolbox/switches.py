"""Switches of PyTorch's runtime: determinism, threads, precision of products, warnings.

Several are promises that hold anyway; they are kept and read back, so that a program that sets them
runs as it is.
"""

from __future__ import annotations

import os
import warnings
from typing import Any

import jax

from jtoolbox import devices

__all__ = [
    *("are_deterministic_algorithms_enabled", "compiled_with_cxx11_abi"),
    *("get_default_device", "get_deterministic_debug_mode", "get_device"),
    *("get_float32_matmul_precision", "get_num_interop_threads", "get_num_threads"),
    *("is_deterministic_algorithms_warn_only_enabled", "is_warn_always_enabled"),
    *("is_vulkan_available", "set_deterministic_debug_mode", "set_float32_matmul_precision"),
    *("set_flush_denormal", "set_num_interop_threads", "set_num_threads", "set_warn_always"),
    "use_deterministic_algorithms",
]

_MODES = {"default": 0, "warn": 1, "error": 2}
_PRECISIONS = {"highest": "float32", "high": "tensorfloat32", "medium": "bfloat16"}
_state: dict[str, Any] = {"deterministic": 0, "warn_always": False, "precision": "highest"}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted and remembered: the same program on the same device gives the same bits anyway.

    On GPUs scatter-adds may differ in their order of summation; set
    XLA_FLAGS=--xla_gpu_deterministic_ops=true before the start to have them ordered.
    """
    _state["deterministic"] = (1 if warn_only else 2) if mode else 0
    if mode and devices.accelerator_type() == "cuda":
        warnings.warn(
            "on GPUs, programs are deterministic only with the environment variable "
            "XLA_FLAGS=--xla_gpu_deterministic_ops=true, set before the start",
            UserWarning,
            stacklevel=2,
        )


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was given last."""
    return _state["deterministic"] > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was called with `warn_only`."""
    return _state["deterministic"] == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by name or number: "default" 0, "warn" 1, "error" 2."""
    mode = _MODES.get(debug_mode, -1) if isinstance(debug_mode, str) else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError(
            "invalid value of debug_mode, expected 0 ('default'), 1 ('warn') or 2 ('error'), but "
            f"got {debug_mode}"
        )
    use_deterministic_algorithms(mode > 0, warn_only=mode == 1)


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2, as `set_deterministic_debug_mode` takes them."""
    return _state["deterministic"]


def set_float32_matmul_precision(precision: str) -> None:
    """How exact products of float32 are: "highest", "high" (TF32) or "medium" (bfloat16).

    Sets `jax_default_matmul_precision`, which counts on GPUs and TPUs; the CPU is always exact.
    """
    if precision not in _PRECISIONS:
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current "
            "setFloat32MatmulPrecision call has no effect.",
            UserWarning,
            stacklevel=2,
        )
        return
    _state["precision"] = precision
    jax.config.update("jax_default_matmul_precision", _PRECISIONS[precision])


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given last: "highest" at the start."""
    return _state["precision"]


def get_default_device() -> devices.device:
    """The device of tensors made without one."""
    return devices.default_device()


def get_device(input: Any) -> int:
    """The index of the accelerator that a tensor lies on, -1 on the CPU."""
    return input.get_device()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def get_num_threads() -> int:
    """How many threads the CPU's programs may use: the cores that this process was given."""
    return _state.get("threads", _cores())


def set_num_threads(int: int, /) -> None:
    """Remembered for `get_num_threads`; XLA's pool is fixed at the start, by the process's cores.

    Start the process with `taskset` or the environment variable NPROC to give it fewer.
    """
    if int <= 0:
        raise RuntimeError("set_num_threads expects a positive integer")
    _state["threads"] = int


def get_num_interop_threads() -> int:
    """How many operations may run side by side."""
    return _state.get("interop", _cores())


def set_num_interop_threads(int: int, /) -> None:
    """Remembered for `get_num_interop_threads`; XLA decides what runs side by side."""
    if int <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _state["interop"] = int


def set_flush_denormal(mode: bool, /) -> bool:
    """False: XLA decides about denormal numbers itself, which PyTorch would call unsupported."""
    return False


def set_warn_always(b: bool, /) -> None:
    """Remembered for `is_warn_always_enabled`; Python's warning filters decide what repeats."""
    _state["warn_always"] = bool(b)


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was given last."""
    return _state["warn_always"]


def is_vulkan_available() -> bool:
    """False."""
    return False


def compiled_with_cxx11_abi() -> bool:
    """True: there is no other C++ code here."""
    return True
