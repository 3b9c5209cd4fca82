"""`torch.cuda.amp`: mixed precision on GPUs, under its older name, with PyTorch's warnings."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from jtoolbox import amp, dtypes
from jtoolbox.cuda.device import is_available

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

_OLD = "`torch.cuda.amp.{name}` is deprecated. Please use `torch.amp.{name}` with {device} instead."


def _warn(name: str, device: str = "'cuda' as its first argument") -> None:
    warnings.warn(_OLD.format(name=name, device=device), FutureWarning, stacklevel=3)


class autocast(amp.autocast):
    """`torch.autocast("cuda", ...)`."""

    def __init__(
        self,
        enabled: bool = True,
        dtype: dtypes.dtype = dtypes.float16,
        cache_enabled: bool = True,
    ):
        _warn("autocast")
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`torch.amp.GradScaler("cuda", ...)`."""

    def __init__(
        self,
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        _warn("GradScaler")
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )


@functools.wraps(amp.custom_fwd)
def custom_fwd(*args: Any, **kwargs: Any) -> Callable[..., Any]:
    _warn("custom_fwd", "device_type='cuda'")
    return amp.custom_fwd(*args, device_type="cuda", **kwargs)


@functools.wraps(amp.custom_bwd)
def custom_bwd(*args: Any, **kwargs: Any) -> Callable[..., Any]:
    _warn("custom_bwd", "device_type='cuda'")
    return amp.custom_bwd(*args, device_type="cuda", **kwargs)


def amp_definitely_not_available() -> bool:
    """Whether there is no GPU."""
    return not is_available()
