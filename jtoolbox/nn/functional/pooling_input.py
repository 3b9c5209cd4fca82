"""What all pooling functions check first: the input's axes, the window's settings, the counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox.nn.functional.checks import require_float
from jtoolbox.nn.functional.windows import Ints, Window, expand, window_count

__all__ = [
    "adaptive_counts",
    "expand_setting",
    "pooling_window",
    "results_of",
    "window_counts",
    "with_batch",
]

_AXES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
_SETTING = "{name}: {setting} must either be a single int, or a tuple of {n} ints, got {value}"
_RANK = (
    "{name}: Expected {least}D or {most}D (batch mode) tensor with optional 0 dim batch size for "
    "input, but got:{shape}. The axes are {axes}, the batch may be left out."
)


def expand_setting(name: str, setting: str, value: Any, n: int) -> tuple[int, ...]:
    """A setting of the function `name` for each of `n` dimensions."""
    message = _SETTING.replace("{name}", name).replace("{setting}", setting)
    return expand(value, n, message)


def _check_positive(setting: str, values: Sequence[int]) -> None:
    if setting == "stride" and min(values) == 0:
        raise RuntimeError("stride should not be zero")
    if min(values) < 1:
        raise RuntimeError(f"{setting} should be greater than zero, but got {list(values)}")


def pooling_window(
    name: str, n: int, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints = 1
) -> Window:
    """The settings per dimension, checked."""
    kernel = expand_setting(name, "kernel_size", kernel_size, n)
    if stride is None or stride == ():
        strides = kernel
    else:
        strides = expand_setting(name, "stride", stride, n)
    pads = expand_setting(name, "padding", padding, n)
    dilations = expand_setting(name, "dilation", dilation, n)
    _check_positive("stride", strides)
    _check_positive("kernel size", kernel)
    _check_positive("dilation", dilations)
    for p, k, d in zip(pads, kernel, dilations, strict=True):
        if p < 0:
            raise RuntimeError(f"pad must be non-negative, but got pad: {p}")
        if p > (d * (k - 1) + 1) // 2:
            raise RuntimeError(
                f"pad should be at most half of effective kernel size, but got pad={p}, "
                f"kernel_size={k} and dilation={d}"
            )
    return Window(kernel, strides, pads, dilations)


def with_batch(name: str, n: int, input: Any) -> tuple[Any, bool]:
    """The input with a batch, and whether it had one."""
    x = jnp.asarray(input)
    if x.ndim not in (n + 1, n + 2) or 0 in x.shape[x.ndim - n - 1 :]:
        raise RuntimeError(
            _RANK.format(name=name, least=n + 1, most=n + 2, shape=list(x.shape), axes=_AXES[n])
        )
    return (x, True) if x.ndim == n + 2 else (x[None], False)


def window_counts(x: Any, window: Window, ceil_mode: bool) -> list[int]:
    """How many windows fit per dimension."""
    settings = zip(x.shape[2:], *window, strict=True)
    counts = [window_count(*setting, ceil_mode) for setting in settings]
    if min(counts) < 1:
        given = "x".join(str(v) for v in x.shape[1:])
        result = "x".join(str(v) for v in (x.shape[1], *counts))
        raise RuntimeError(
            f"Given input size: ({given}). Calculated output size: ({result}). Output size is too "
            f"small: the kernel {window.kernel} does not fit"
        )
    return counts


def results_of(results: tuple[Any, ...], batched: bool) -> Any:
    """Values, or values and positions, without the batch that the input did not have."""
    results = results if batched else tuple(r[0] for r in results)
    return results[0] if len(results) == 1 else results


def adaptive_counts(name: str, n: int, input: Any, output_size: Any) -> tuple[Any, list[int], bool]:
    """The input with a batch, how many windows per dimension, and whether it had a batch."""
    least = 1 if n == 1 else n + 1
    if isinstance(output_size, Sequence) and input.ndim < least:
        raise ValueError(
            f"Input dimension should be at least {least}, got {input.ndim}: the axes are {_AXES[n]}"
        )
    x, batched = with_batch(name, n, input)
    require_float(name, x)
    wanted = tuple(output_size) if isinstance(output_size, Sequence) else (output_size,) * n
    if len(wanted) != n:
        raise RuntimeError(f"{name}: output_size must be {n}, got {list(wanted)}")
    counts = [size if w is None else w for w, size in zip(wanted, x.shape[2:], strict=True)]
    if min(counts) < 0:
        raise RuntimeError(
            f"{name}: elements of output_size must be greater than or equal to 0 but received "
            f"{list(wanted)}"
        )
    return x, counts, batched
