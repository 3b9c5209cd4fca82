"""Moving a module to a device and casting it to a dtype: this part of `Module`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np

from jtoolbox import dtypes
from jtoolbox.devices import device as device_of
from jtoolbox.engine import no_grad
from jtoolbox.engine.graph import NO_DATA
from jtoolbox.ops.creation import empty_like
from jtoolbox.tensor import Tensor

_COMPLEX = (
    "Complex modules are a new feature; some modules may not work as expected with complex "
    "parameters or buffers."
)
_SHARE_MEMORY = (
    "share_memory() is not supported: JAX arrays cannot live in memory shared by processes. Send "
    "the state_dict() to the other process and load it there"
)


class Conversion:
    """The part of `Module` that changes where and as what its values are held."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    children: Callable[[], Iterator[Any]]

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the values of all parameters, their gradients and buffers by `fn` of them.

        Parameters stay the same objects, so an optimizer that holds them follows.
        """
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for param in self._parameters.values():
                if param is not None:
                    _convert(param, fn)
            for name, buffer in self._buffers.items():
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Moves to a device, casts floating-point values to a dtype, or both, in place.

        `to(device)`, `to(dtype)`, `to(device, dtype)`, `to(tensor)`. Integer buffers keep their
        dtype. `non_blocking` and `memory_format` are accepted and change nothing: transfers are
        asynchronous anyway, and the layout of memory is the compiler's. Raises TypeError for an
        integer dtype.
        """
        device, dtype = _parse_to(*args, **kwargs)
        if dtype is not None:
            if not (dtype.is_floating_point or dtype.is_complex):
                raise TypeError(
                    "nn.Module.to only accepts floating point or complex dtypes, "
                    f"but got desired dtype={dtype}"
                )
            if dtype.is_complex:
                warnings.warn(_COMPLEX, stacklevel=2)
        if device is not None and device_of(device).type != "meta":
            _check_values(self)
        return self._apply(lambda t: t.to(device, dtype if _is_inexact(t) else None))

    def cuda(self, device: Any = None) -> Self:
        """Moves all parameters and buffers to the GPU."""
        return self._apply(lambda t: t.cuda(device))

    def cpu(self) -> Self:
        """Moves all parameters and buffers to the CPU."""
        return self._apply(lambda t: t.cpu())

    def type(self, dst_type: Any) -> Self:
        """Casts all parameters and buffers, integer ones too."""
        return self._apply(lambda t: t.type(dst_type))

    def float(self) -> Self:
        """Casts floating-point parameters and buffers to float32."""
        return self._apply(lambda t: t.float() if t.is_floating_point() else t)

    def double(self) -> Self:
        """Casts floating-point parameters and buffers to float64."""
        return self._apply(lambda t: t.double() if t.is_floating_point() else t)

    def half(self) -> Self:
        """Casts floating-point parameters and buffers to float16."""
        return self._apply(lambda t: t.half() if t.is_floating_point() else t)

    def bfloat16(self) -> Self:
        """Casts floating-point parameters and buffers to bfloat16."""
        return self._apply(lambda t: t.bfloat16() if t.is_floating_point() else t)

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Moves to a device without the values: what the parameters hold then is arbitrary."""

        def moved(t: Any) -> Any:
            return empty_like(t, device=device) if t.is_meta else t.to(device)

        return self._apply(moved, recurse)

    def share_memory(self) -> Self:
        """Not supported; raises RuntimeError that says what to do."""
        raise RuntimeError(_SHARE_MEMORY)


def _check_values(module: Any) -> None:
    """NotImplementedError where a module on the meta device is to be moved to another one."""
    if any(t.is_meta for t in (*module.parameters(), *module.buffers())):
        raise NotImplementedError(
            f"{NO_DATA} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() when "
            "moving module from meta to a different device."
        )


def _convert(param: Tensor, fn: Callable[[Tensor], Tensor]) -> None:
    grad, value = param.grad, fn(param)
    if value is not param:
        param.data = value
    if grad is not None:
        param.grad = fn(grad).requires_grad_(grad.requires_grad)


def _is_inexact(t: Tensor) -> bool:
    return t.is_floating_point() or t.is_complex()


def _parse_to(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    tensor: Tensor | None = None,
    non_blocking: bool = False,
    memory_format: Any = None,
) -> tuple[Any, Any]:
    """The device and dtype that `to(...)` asks for; None for what it leaves alone."""
    for value in args if tensor is None else (tensor, *args):
        if isinstance(value, Tensor):
            device, dtype = value.device, value.dtype
        elif isinstance(value, (dtypes.dtype, np.dtype)) or (
            isinstance(value, type) and value is not bool
        ):
            dtype = value
        elif isinstance(value, bool) or value is None:
            continue  # non_blocking, or a device left alone
        else:
            device = value
    return device, None if dtype is None else dtypes.from_numpy(dtypes.as_numpy(dtype))
