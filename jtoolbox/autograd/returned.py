"""What a Function's `backward` returned: a gradient for each argument, of the argument's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["fitted", "listed"]

COUNT = (
    "function {name}Backward returned an incorrect number of gradients (expected {want}, got {got})"
)
NO_TENSOR = "expected Variable or None (got {got}): gradient {place} of {name}Backward"
SHAPE = (
    "Function {name}Backward returned an invalid gradient at index {place} - got {got} but "
    "expected shape compatible with {want}"
)


def listed(name: str, returned: Any, count: int) -> list[Any]:
    """The gradients of `count` arguments; RuntimeError for fewer, or for more that are not None."""
    found = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if len(found) < count or any(f is not None for f in found[count:]):
        raise RuntimeError(COUNT.format(name=name, want=count, got=len(found)))
    return found[:count]


def fitted(name: str, place: int, gradient: Any, shape: Sequence[int]) -> Any:
    """The gradient (a Tensor or an array) summed over the dimensions by which it is broadcast."""
    if not hasattr(gradient, "shape"):
        got = type(gradient).__name__
        raise RuntimeError(NO_TENSOR.format(got=got, place=place, name=name))
    got, want = tuple(gradient.shape), tuple(shape)
    if got == want:
        return gradient
    extra = len(got) - len(want)
    if extra < 0 or any(n not in (1, m) for n, m in zip(want, got[extra:], strict=True)):
        text = SHAPE.format(name=name, place=place, got=list(got), want=list(want))
        raise RuntimeError(text)
    axes = tuple(extra + i for i, n in enumerate(want) if n != got[extra + i])
    return gradient.sum((*range(extra), *axes)).reshape(want)
