"""`torch._foreach_add` and its kind, which optimizers and averages use: one call for a list.

Their names begin with an underscore, and programs use them all the same. What is recorded for a
list is one program in any case.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from jtoolbox import linalg
from jtoolbox.tensor import Tensor

__all__ = ["PREFIX", "find"]

PREFIX = "_foreach_"
_NAMES = """
    abs acos add asin atan ceil clamp_max clamp_min clone cos cosh div erf erfc exp expm1 floor frac
    lerp lgamma log log10 log1p log2 max maximum minimum mm mul neg pow reciprocal round rsqrt
    sigmoid sign sin sinh sqrt sub tan tanh trunc
"""
_LENGTHS = "Tensor lists must have the same number of tensors, got {first} and {other}"


def _addcdiv(x: Tensor, a: Tensor, b: Tensor, value: Any = 1) -> Tensor:
    return x.addcdiv(a, b, value=value)


def _addcmul(x: Tensor, a: Tensor, b: Tensor, value: Any = 1) -> Tensor:
    return x.addcmul(a, b, value=value)


# What each gives for one tensor, and in place: the result of the first is copied into the tensor.
_NEW: dict[str, Callable[..., Any]] = {
    **{name: getattr(Tensor, name) for name in _NAMES.split()},
    "addcdiv": _addcdiv,
    "addcmul": _addcmul,
    "norm": linalg.vector_norm,
}
_ONLY_IN_PLACE = {name: getattr(Tensor, name) for name in ("copy_", "zero_")}
_NEVER_IN_PLACE = ("clone_", "max_", "mm_", "norm_")


@functools.cache
def find(name: str) -> Callable[..., Any] | None:
    """The function of this name, "_foreach_add" or "_foreach_add_"; None if there is none."""
    rest = name.removeprefix(PREFIX)
    if rest in _ONLY_IN_PLACE:
        return _over_lists(name, _ONLY_IN_PLACE[rest], True)
    new = _NEW.get(rest.removesuffix("_"))
    if new is None or rest in _NEVER_IN_PLACE:
        return None
    if not rest.endswith("_"):
        return _over_lists(name, new, False)
    return _over_lists(name, lambda x, *rest, **named: x.copy_(new(x, *rest, **named)), True)


def _over_lists(name: str, function: Callable[..., Any], in_place: bool) -> Callable[..., Any]:
    def call(self: Any, *others: Any, **named: Any) -> Any:
        """The function of each tensor, and of what stands at its place in the other lists."""
        for other in (*others, *named.values()):
            if isinstance(other, (list, tuple)) and len(other) != len(self):
                raise RuntimeError(_LENGTHS.format(first=len(self), other=len(other)))
        results = tuple(
            function(x, *[_at(o, i) for o in others], **{k: _at(o, i) for k, o in named.items()})
            for i, x in enumerate(self)
        )
        return self if in_place else results

    call.__name__ = call.__qualname__ = name
    return call


def _at(value: Any, i: int) -> Any:
    return value[i] if isinstance(value, (list, tuple)) else value
