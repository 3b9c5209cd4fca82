"""`torch.autocast`: inside, products run in bfloat16 or float16 and losses in float32.

Which operation does what is in `jtoolbox/engine/autocast.py`.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine.autocast import Policy
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.modes import mode

__all__ = [
    "autocast",
    "autocast_decrement_nesting",
    "autocast_increment_nesting",
    "clear_autocast_cache",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "get_autocast_gpu_dtype",
    "is_autocast_available",
    "is_autocast_cache_enabled",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
    "set_autocast_cache_enabled",
    "set_autocast_cpu_dtype",
    "set_autocast_cpu_enabled",
    "set_autocast_dtype",
    "set_autocast_enabled",
    "set_autocast_gpu_dtype",
]

NOT_A_STRING = "Expected `device_type` of type `str`, got: `{kind}`"
WRONG_DTYPE = (
    "In {device} autocast, but the target dtype {dtype} is not supported. Disabling autocast. It "
    "supports dtypes of torch.bfloat16, torch.float16 only."
)
NO_DEVICE = "User provided device_type of '{device}', but there is none here. Disabling autocast."


class Settings(threading.local):
    """The thread's low-precision type of each kind of device, how deep autocast is nested, and
    whether the cache, which means nothing here, is said to be on."""

    def __init__(self) -> None:
        self.dtypes: dict[str, Any] = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.nesting = 0
        self.cache = True


_settings = Settings()


def _checked(device_type: Any) -> str:
    """A device type as autocast knows it; PyTorch's errors for what is none."""
    if not isinstance(device_type, str):
        raise ValueError(NOT_A_STRING.format(kind=type(device_type)))
    return devices.device(device_type).type


def is_autocast_available(device_type: str) -> bool:
    """Whether there is an autocast for this kind of device: for the CPU and accelerators."""
    return _checked(device_type) != "meta"


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The type that autocast casts to on this kind of device, unless it is given one."""
    return _settings.dtypes.get(_checked(device_type), dtypes.bfloat16)


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Sets the type that autocast casts to on this kind of device."""
    kind = _checked(device_type)
    _settings.dtypes[kind] = dtype
    if is_autocast_enabled(kind):
        set_autocast_enabled(kind, True)


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on for operations on this kind of device, in this thread."""
    kind = _checked(device_type)
    state = (mode.autocast,) if isinstance(mode.autocast, Policy) else mode.autocast or ()
    return any(policy.device == kind for policy in state)


def set_autocast_enabled(device_type: str | bool, enabled: bool | None = None) -> None:
    """Switches autocast on or off for a kind of device ("cuda" when only `enabled` is given)."""
    if enabled is None:
        device_type, enabled = "cuda", bool(device_type)
    kind = _checked(device_type)
    state = (mode.autocast,) if isinstance(mode.autocast, Policy) else mode.autocast or ()
    left = [policy for policy in state if policy.device != kind]
    if enabled:
        left.append(Policy(kind, np.dtype(get_autocast_dtype(kind).dtype)))
    mode.autocast = tuple(sorted(left, key=lambda policy: policy.device)) or None


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on for the CPU."""
    return is_autocast_enabled("cpu")


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """Switches autocast on or off for the CPU."""
    set_autocast_enabled("cpu", enabled)


def get_autocast_cpu_dtype() -> dtypes.dtype:
    """The type that autocast casts to on the CPU."""
    return get_autocast_dtype("cpu")


def set_autocast_cpu_dtype(dtype: dtypes.dtype) -> None:
    """Sets the type that autocast casts to on the CPU."""
    set_autocast_dtype("cpu", dtype)


def get_autocast_gpu_dtype() -> dtypes.dtype:
    """The type that autocast casts to on GPUs."""
    return get_autocast_dtype("cuda")


def set_autocast_gpu_dtype(dtype: dtypes.dtype) -> None:
    """Sets the type that autocast casts to on GPUs."""
    set_autocast_dtype("cuda", dtype)


def is_autocast_cache_enabled() -> bool:
    """What was set: a cast that is needed twice is computed once by XLA in any case."""
    return _settings.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Accepted; means nothing here."""
    _settings.cache = bool(enabled)


def clear_autocast_cache() -> None:
    """Accepted: no cast is kept from one program to the next."""


def autocast_increment_nesting() -> int:
    """Counts one more autocast around this line."""
    _settings.nesting += 1
    return _settings.nesting


def autocast_decrement_nesting() -> int:
    """Counts one autocast less around this line."""
    _settings.nesting -= 1
    return _settings.nesting


def _there(kind: str) -> bool:
    return kind == "cpu" or kind == devices.accelerator_type()


class autocast:
    """Inside, operations cast float32 operands: products and convolutions to `dtype`, losses and
    decompositions to float32.

        with torch.autocast("cuda", dtype=torch.bfloat16):
            loss = criterion(model(x), y)
        loss.backward()

    `device_type` is "cpu", "cuda" or "tpu"; operations on other devices are left alone. `dtype` is
    bfloat16 or float16, by default bfloat16 on CPU and TPU and float16 on GPUs. Also a decorator.
    As in PyTorch, a device that is not here or another type switches it off with a warning. The
    casts are part of the recorded program, where XLA computes repeated ones once, so
    `cache_enabled` means nothing. float64 is never cast.
    """

    def __init__(
        self,
        device_type: str,
        dtype: dtypes.dtype | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ):
        self.device = _checked(device_type)
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        if enabled and not _there(self.device):
            warnings.warn(NO_DEVICE.format(device=device_type), stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            message = WRONG_DTYPE.format(device=self.device.upper(), dtype=self.fast_dtype)
            warnings.warn(message, stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._before: list[tuple[Any, Any]] = []

    def __enter__(self) -> autocast:
        self._before.append((mode.autocast, _settings.dtypes.get(self.device)))
        _settings.dtypes[self.device] = self.fast_dtype
        set_autocast_enabled(self.device, self._enabled)
        autocast_increment_nesting()
        return self

    def __exit__(self, *exception: Any) -> None:
        autocast_decrement_nesting()
        mode.autocast, known = self._before.pop()
        if known is None:
            del _settings.dtypes[self.device]
        else:
            _settings.dtypes[self.device] = known

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return inside


def _cast(value: Any, device_type: str, dtype: dtypes.dtype) -> Any:
    """Tensors of floats on that kind of device, also inside lists and dicts, in another type."""

    def convert(leaf: Any) -> Any:
        if not isinstance(leaf, Handle):
            return leaf
        tensor: Any = leaf
        chosen = tensor.is_floating_point() and tensor.dtype is not dtypes.float64
        return tensor.to(dtype) if chosen and tensor.device.type == device_type else tensor

    return jax.tree.map(convert, value, is_leaf=lambda v: isinstance(v, Handle))


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: dtypes.dtype | None = None,
) -> Any:
    """Decorates the `forward` of an `autograd.Function` that is called under autocast.

    With `cast_inputs`, float inputs are cast to that type and `forward` runs without autocast.
    Otherwise it runs with autocast as it is. `custom_bwd` makes `backward` run in the same way.
    """
    kind = _checked(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def forward(*args: Any, **kwargs: Any) -> Any:
        args[0]._dtype = get_autocast_dtype(kind)
        on = is_autocast_enabled(kind)
        if cast_inputs is None or not on:
            args[0]._fwd_used_autocast = on
            return fwd(*args, **kwargs)
        args[0]._fwd_used_autocast = False
        with autocast(kind, enabled=False):
            given = [_cast(a, kind, cast_inputs) for a in args[1:]]
            return fwd(args[0], *given, **_cast(kwargs, kind, cast_inputs))

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorates the `backward` of an `autograd.Function`: autocast is as `forward` had it."""
    kind = _checked(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)

    @functools.wraps(bwd)
    def backward(*args: Any, **kwargs: Any) -> Any:
        with autocast(kind, dtype=args[0]._dtype, enabled=args[0]._fwd_used_autocast):
            return bwd(*args, **kwargs)

    return backward
