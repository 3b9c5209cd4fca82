"""`torch.sym_int` and its like: arithmetic on sizes, which are plain numbers here."""

from __future__ import annotations

import builtins
import math
from typing import Any

__all__ = [
    *("sym_float", "sym_int", "sym_ite", "sym_max", "sym_min", "sym_not", "sym_sqrt", "sym_sum"),
]


def sym_int(a: Any) -> int:
    """A number without its fraction."""
    return math.trunc(a)


def sym_float(a: Any) -> float:
    """A number as a float."""
    return builtins.float(a)


def sym_not(a: Any) -> bool:
    """The opposite of a truth value."""
    return not a


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """`t` if `b` is true, else `f`."""
    return t if b else f


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers; a float when one of them is."""
    return _joined(builtins.max(a, b), a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers; a float when one of them is."""
    return _joined(builtins.min(a, b), a, b)


def _joined(chosen: Any, a: Any, b: Any) -> Any:
    some = builtins.any(isinstance(value, builtins.float) for value in (a, b))
    return builtins.float(chosen) if some else chosen


def sym_sqrt(a: Any) -> float:
    """The square root."""
    return math.sqrt(a)


def sym_sum(args: Any) -> Any:
    """The sum of a list of numbers."""
    return builtins.sum(args)
