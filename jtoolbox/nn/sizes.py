"""Settings given as one number or as one per dimension."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["ntuple"]


def ntuple(value: Any, n: int) -> tuple[Any, ...]:
    """One number `n` times, or the numbers given as a tuple."""
    return tuple(value) if isinstance(value, Iterable) else (value,) * n
