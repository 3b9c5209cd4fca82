"""`torch.nn.attention`: the choice of a kernel for attention, which here is XLA's.

`scaled_dot_product_attention` has one formula; XLA compiles it for the device at hand. So choices
are checked and then change nothing, and kernels of other projects cannot be plugged in.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = [
    "WARN_FOR_UNFUSED_KERNELS",
    "SDPBackend",
    "activate_flash_attention_impl",
    "current_flash_attention_impl",
    "list_flash_attention_impls",
    "register_flash_attention_impl",
    "restore_flash_attention_impl",
    "sdpa_kernel",
]

WARN_FOR_UNFUSED_KERNELS = False
_BACKEND = "Backend must be an instance of SDPBackend or a list of SDPBackend instances, got {kind}"
_NONE = "No available kernel. Aborting execution. sdpa_kernel was given an empty list of backends."
_UNKNOWN = (
    "Unknown flash attention impl '{impl}'. Available implementations: []. XLA chooses the kernels "
    "of scaled_dot_product_attention; leave this call away."
)
_REGISTER = (
    "kernels of PyTorch cannot run here: flash attention impl '{impl}' is not registered. XLA "
    "chooses the kernels of scaled_dot_product_attention; leave this call away."
)


class SDPBackend(enum.Enum):
    """PyTorch's kernels for attention, by name: to be given to `sdpa_kernel`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __int__(self) -> int:
        return self.value


@contextmanager
def sdpa_kernel(
    backends: list[SDPBackend] | SDPBackend, set_priority: bool = False
) -> Iterator[dict[str, Any]]:
    """Accepts a choice of kernels for `scaled_dot_product_attention`, and changes nothing.

    A context manager, and a decorator. XLA chooses the kernel; results do not depend on it beyond
    rounding. Raises AssertionError for what is no `SDPBackend` or list of them, RuntimeError for an
    empty list, with which PyTorch can compute no attention.
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    if not isinstance(chosen, list):
        raise AssertionError(_BACKEND.format(kind=type(backends).__name__))
    for backend in chosen:
        if not isinstance(backend, SDPBackend):
            raise AssertionError(_BACKEND.format(kind=f"a list with {type(backend).__name__}"))
    if not chosen:
        raise RuntimeError(_NONE)
    yield {}


def register_flash_attention_impl(impl: str, *, register_fn: Callable[..., Any]) -> None:
    """Raises NotImplementedError: XLA chooses the kernels."""
    raise NotImplementedError(_REGISTER.format(impl=impl))


def activate_flash_attention_impl(impl: str) -> None:
    """Raises ValueError: there is no implementation to activate, since XLA chooses the kernels."""
    raise ValueError(_UNKNOWN.format(impl=impl))


def list_flash_attention_impls() -> list[str]:
    """The implementations that can be activated: none."""
    return []


def current_flash_attention_impl() -> str | None:
    """The implementation activated: None."""
    return None


def restore_flash_attention_impl() -> None:
    """Changes nothing: nothing else than the default can have been active."""
