"""`torch.utils.hooks`: the handle that registering a hook returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jtoolbox.engine.handles import RemovableHandle

__all__ = ["RemovableHandle", "unserializable_hook"]


def unserializable_hook(f: Callable[..., Any]) -> Callable[..., Any]:
    """Marks a hook that may be lost when its tensor is saved; hooks of tensors never are saved."""
    f.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return f
