"""Evenly spaced numbers: arange, linspace, logspace."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.creation import array_type, default_type, finished, with_out

__all__ = [
    *("arange", "linspace", "logspace", "range"),
]


def _number(x: Any) -> Any:
    """A Python number from a number or a tensor of one element."""
    return x.item() if hasattr(x, "item") else x


def _steps(start: Any, end: Any, step: Any) -> int:
    """How many numbers there are from start up to, not including, end."""
    if step == 0:
        raise RuntimeError("step must be nonzero")
    for bound in (start, end):
        if isinstance(bound, float) and not math.isfinite(bound):
            raise RuntimeError(f"unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(
            "upper bound and lower bound inconsistent with step sign, got "
            f"arange({start}, {end}, {step})"
        )
    if all(isinstance(x, int) for x in (start, end, step)):
        return -((start - end) // step)
    return math.ceil((end - start) / step)


@op(creates=True, saves="none", name="arange")
def _arange(start: Array, step: Array, length: int, dtype: Any, device: Any) -> Array:
    d = array_type(dtype)
    wide = dtypes.canonical(np.float64 if dtypes.kind(d) == 2 else np.int64)
    first, step = (jnp.asarray(x).astype(wide) for x in (start, step))
    return (first + step * jnp.arange(length, dtype=wide)).astype(d)


def _sequence_type(numbers: Sequence[Any], dtype: Any) -> Any:
    if dtype is not None:
        dtypes.refuse("arange", np.empty(0, array_type(dtype)), "bool", "complex")
        return dtype
    whole = all(isinstance(x, int) for x in numbers)
    return dtypes.int64 if whole else dtypes.get_default_dtype()


@with_out
def arange(
    start: Any = None,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """start, start + step, ... up to, not including, end; `arange(n)` starts at 0.

    The type is int64 if all three are integers, else the default float. start and step are data: a
    moving range of one length compiles once.
    """
    if start is None and end is None:
        raise TypeError("arange() needs an end: arange(end) or arange(start, end)")
    if start is None or end is None:
        start, end = 0, start if end is None else end
    start, end, step = _number(start), _number(end), _number(step)
    bounded = math.isfinite(start) and math.isfinite(end)
    kind: Any = None if dtype is None or not bounded else dtypes.as_numpy(dtype)
    whole = kind is not None and kind.kind in "iu"
    if kind == np.int64:  # as PyTorch, which counts the smaller types by their fractions
        start, end, step = int(start), int(end), int(step)
    length = _steps(start, end, step)
    if whole:
        start, step = int(start), int(step)
    dtype = _sequence_type((start, end, step), dtype)
    return finished(
        _arange(start, step, length, dtype, devices.placement(device)), requires_grad, layout
    )


@with_out
def range(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """start, start + step, ... up to and including end, as floats; deprecated, use `arange`."""
    warnings.warn(
        "torch.range is deprecated because its behavior is inconsistent with Python's range "
        "builtin. Instead, use torch.arange, which produces values in [start, end).",
        UserWarning,
        stacklevel=2,
    )
    if end is None:
        start, end = 0, start
    start, end, step = _number(start), _number(end), _number(step)
    _steps(start, end, step)
    length = math.floor((end - start) / step) + 1
    place = devices.placement(device)
    return finished(_arange(start, step, length, default_type(dtype), place), requires_grad, layout)


def _between(start: Array, end: Array, steps: int, dtype: np.dtype, cast: bool = True) -> Array:
    """Evenly spaced numbers, computed in double precision from the nearer end.

    For an integer type both ends lose their fractions first.
    """
    wide = dtypes.canonical(np.float64)
    first, last = (jnp.asarray(x).astype(wide) for x in (start, end))
    if dtype.kind in "iu":
        first, last = jnp.trunc(first), jnp.trunc(last)
    place = jnp.arange(steps, dtype=wide)
    step = (last - first) / max(steps - 1, 1)
    near = first + step * place
    far = last - step * (steps - 1 - place)
    numbers = jnp.where(place < steps // 2 if steps > 1 else True, near, far)
    return numbers.astype(dtype) if cast else numbers


@op(creates=True, saves="none", name="linspace")
def _linspace(start: Array, end: Array, steps: int, dtype: Any, device: Any) -> Array:
    return _between(start, end, steps, array_type(dtype))


@op(creates=True, saves="none", name="logspace")
def _logspace(start: Array, end: Array, base: Array, steps: int, dtype: Any, device: Any) -> Array:
    exponent = _between(start, end, steps, array_type(dtype), False)
    return (jnp.asarray(base).astype(exponent.dtype) ** exponent).astype(array_type(dtype))


def _check_steps(name: str, start: Any, end: Any, steps: int) -> None:
    if not isinstance(steps, (int, np.integer)):
        raise TypeError(f"{name}(): argument 'steps' must be int, not {type(steps).__name__}")
    if steps < 0:
        raise RuntimeError(f"number of steps must be non-negative, got {steps}")
    ranks = [getattr(x, "ndim", 0) for x in (start, end)]
    if any(ranks):
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got start with "
            f"{ranks[0]} dimension(s) and end with {ranks[1]} dimension(s)."
        )


@with_out
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` evenly spaced numbers from start to end, both included."""
    _check_steps("linspace", start, end, steps)
    result = _linspace(start, end, int(steps), default_type(dtype), devices.placement(device))
    return finished(result, requires_grad, layout)


@with_out
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` numbers from base^start to base^end whose logarithms are evenly spaced."""
    _check_steps("logspace", start, end, steps)
    place = devices.placement(device)
    result = _logspace(start, end, base, int(steps), default_type(dtype), place)
    return finished(result, requires_grad, layout)
