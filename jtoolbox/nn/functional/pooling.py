"""Pooling: the greatest element, the mean or the p-norm of every window, and its inverse."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import require_float, type_name
from jtoolbox.nn.functional.window_maximum import adaptive_maximum, window_maximum
from jtoolbox.nn.functional.window_sum import adaptive_mean, window_mean
from jtoolbox.nn.functional.windows import Ints, expand, window_count

__all__ = [
    *("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"),
    *("adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"),
    *("avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"),
    *("max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d", "max_unpool2d", "max_unpool3d"),
]

_AXES = {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}
_SETTING = "{name}: {setting} must either be a single int, or a tuple of {n} ints, got {value}"
_RANK = (
    "{name}: Expected {least}D or {most}D (batch mode) tensor with optional 0 dim batch size for "
    "input, but got:{shape}. The axes are {axes}, the batch may be left out."
)


def _expand(name: str, setting: str, value: Any, n: int) -> tuple[int, ...]:
    message = _SETTING.replace("{name}", name).replace("{setting}", setting)
    return expand(value, n, message)


def _check_positive(setting: str, values: Sequence[int]) -> None:
    if setting == "stride" and min(values) == 0:
        raise RuntimeError("stride should not be zero")
    if min(values) < 1:
        raise RuntimeError(f"{setting} should be greater than zero, but got {list(values)}")


def _window(
    name: str, n: int, kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints = 1
) -> tuple[tuple[int, ...], ...]:
    """kernel, stride, padding and dilation per dimension, checked."""
    kernel = _expand(name, "kernel_size", kernel_size, n)
    strides = kernel if stride is None or stride == () else _expand(name, "stride", stride, n)
    pads = _expand(name, "padding", padding, n)
    dilations = _expand(name, "dilation", dilation, n)
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
    return kernel, strides, pads, dilations


def _with_batch(name: str, n: int, input: Any) -> tuple[Any, bool]:
    """The input with a batch, and whether it had one."""
    x = jnp.asarray(input)
    if x.ndim not in (n + 1, n + 2) or 0 in x.shape[x.ndim - n - 1 :]:
        raise RuntimeError(
            _RANK.format(name=name, least=n + 1, most=n + 2, shape=list(x.shape), axes=_AXES[n])
        )
    return (x, True) if x.ndim == n + 2 else (x[None], False)


def _counts(x: Any, window: tuple[tuple[int, ...], ...], ceil_mode: bool) -> list[int]:
    """How many windows fit per dimension."""
    settings = zip(x.shape[2:], *window, strict=True)
    counts = [window_count(*setting, ceil_mode) for setting in settings]
    if min(counts) < 1:
        given = "x".join(str(v) for v in x.shape[1:])
        result = "x".join(str(v) for v in (x.shape[1], *counts))
        raise RuntimeError(
            f"Given input size: ({given}). Calculated output size: ({result}). Output size is too "
            f"small: the kernel {window[0]} does not fit"
        )
    return counts


# --- maximum -------------------------------------------------------------------------------------


def _results(results: tuple[Any, ...], batched: bool) -> Any:
    results = results if batched else tuple(r[0] for r in results)
    return results if len(results) > 1 else results[0]


def _max_pool(
    n: int,
    input: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    name = f"max_pool{n}d"
    x, batched = _with_batch(name, n, input)
    if x.dtype == np.bool_:
        raise NotImplementedError(f"\"{name}\" not implemented for '{type_name(x)}'")
    window = _window(name, n, kernel_size, stride, padding, dilation)
    counts = _counts(x, window, ceil_mode)
    return _results(window_maximum(x, *window, counts, return_indices), batched)


@op
def max_pool1d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of one dimension.

    Shapes: input (N, C, L) or (C, L); the result is (N, C, L') with L' = (L + 2 padding - dilation
    (kernel_size - 1) - 1) // stride + 1, rounded up instead of down with `ceil_mode`. `stride` is
    `kernel_size` unless given. The padding never wins. With `return_indices` the positions along L
    are returned as well. The gradient goes to the first of the greatest elements. Raises
    RuntimeError where the window does not fit.
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@op
def max_pool2d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of two dimensions.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, H', W'). Positions count row by
    row through a plane (h W + w). Settings as in `max_pool1d`, as numbers or one per dimension.

        >>> F.max_pool2d(torch.ones(1, 3, 8, 8), 2).shape
        torch.Size([1, 3, 4, 4])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@op
def max_pool3d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Array:
    """The greatest element of every window of three dimensions.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, D', H', W'). Settings as in
    `max_pool1d`, as numbers or one per dimension.
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# --- mean ----------------------------------------------------------------------------------------


def _avg_pool(
    n: int,
    input: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Any:
    name = f"avg_pool{n}d"
    x, batched = _with_batch(name, n, input)
    if divisor_override == 0:
        raise RuntimeError("divisor must be not zero")
    window = _window(name, n, kernel_size, stride, padding)
    counts = _counts(x, window, ceil_mode)
    y = window_mean(x, *window[:3], counts, count_include_pad, divisor_override)
    return y if batched else y[0]


@op
def avg_pool1d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of every window of one dimension.

    Shapes: input (N, C, L) or (C, L); the result is (N, C, L') with L' = (L + 2 padding -
    kernel_size) // stride + 1, rounded up instead of down with `ceil_mode`. `stride` is
    `kernel_size` unless given. With `count_include_pad` the padding's zeros count as elements; what
    `ceil_mode` adds never does. Raises RuntimeError where the window does not fit.
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad)


@op
def avg_pool2d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of every window of two dimensions.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, H', W'). Settings as in
    `avg_pool1d`, as numbers or one per dimension; `divisor_override` divides every window's sum
    instead of its number of elements.

        >>> F.avg_pool2d(torch.ones(1, 3, 8, 8), 3, stride=2, padding=1).shape
        torch.Size([1, 3, 4, 4])
    """
    return _avg_pool(
        2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


@op
def avg_pool3d(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean of every window of three dimensions.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, D', H', W'). Settings as in
    `avg_pool2d`.
    """
    return _avg_pool(
        3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def _lp_pool(
    n: int, input: Any, norm_type: float, kernel_size: Ints, stride: Ints | None, ceil_mode: bool
) -> Any:
    x = jnp.asarray(input)
    powers = x ** (int(norm_type) if float(norm_type).is_integer() else norm_type)
    size = math.prod(_expand(f"lp_pool{n}d", "kernel_size", kernel_size, n))
    mean = _avg_pool(n, powers, kernel_size, stride, 0, ceil_mode, True)
    return jnp.power(mean * size, 1 / norm_type)


@op
def lp_pool1d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm without absolute values of every window of one dimension: (sum x^p)^(1/p).

    Shapes: input (N, C, L) or (C, L), sizes as in `avg_pool1d`. A window that `ceil_mode` adds
    counts as if its missing elements were its mean. A sum of zero has no gradient (NaN).
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


@op
def lp_pool2d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm of every window of two dimensions: see `lp_pool1d`.

    Shapes: input (N, C, H, W) or (C, H, W).
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


@op
def lp_pool3d(
    input: Array,
    norm_type: float,
    kernel_size: Ints,
    stride: Ints | None = None,
    ceil_mode: bool = False,
) -> Array:
    """The p-norm of every window of three dimensions: see `lp_pool1d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W).
    """
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# --- adaptive ------------------------------------------------------------------------------------


def _adaptive(name: str, n: int, input: Any, output_size: Any) -> tuple[Any, list[int], bool]:
    """The input with a batch, how many windows per dimension, and whether it had a batch."""
    x, batched = _with_batch(name, n, input)
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


def _adaptive_avg_pool(n: int, input: Any, output_size: Any) -> Any:
    x, counts, batched = _adaptive(f"adaptive_avg_pool{n}d", n, input, output_size)
    empty = 0 in counts
    y = jnp.zeros((*x.shape[:2], *counts), x.dtype) if empty else adaptive_mean(x, counts)
    return y if batched else y[0]


@op
def adaptive_avg_pool1d(input: Array, output_size: Ints) -> Array:
    """The mean of `output_size` windows that divide one dimension as evenly as they can.

    Window i reaches from floor(i L / L') to ceil((i + 1) L / L'). Shapes: input (N, C, L) or
    (C, L); the result is (N, C, L'). Raises RuntimeError for another rank or a negative size.
    """
    return _adaptive_avg_pool(1, input, output_size)


@op
def adaptive_avg_pool2d(input: Array, output_size: int | Sequence[int | None]) -> Array:
    """The mean of windows that divide two dimensions as evenly as they can.

    Shapes: input (N, C, H, W) or (C, H, W); the result is (N, C, *output_size), where a None keeps
    the input's size. Windows as in `adaptive_avg_pool1d`.

        >>> F.adaptive_avg_pool2d(torch.ones(1, 3, 8, 8), (5, None)).shape
        torch.Size([1, 3, 5, 8])
    """
    return _adaptive_avg_pool(2, input, output_size)


@op
def adaptive_avg_pool3d(input: Array, output_size: int | Sequence[int | None]) -> Array:
    """The mean of windows that divide three dimensions as evenly as they can.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); the result is (N, C, *output_size), where a None
    keeps the input's size. Windows as in `adaptive_avg_pool1d`.
    """
    return _adaptive_avg_pool(3, input, output_size)


def _adaptive_max_pool(n: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x, counts, batched = _adaptive(f"adaptive_max_pool{n}d", n, input, output_size)
    if 0 in counts:
        shape = (*x.shape[:2], *counts)
        results = (jnp.zeros(shape, x.dtype), jnp.zeros(shape, dtypes.index_dtype()))
        return _results(results[: 1 + return_indices], batched)
    return _results(adaptive_maximum(x, counts, return_indices), batched)


@op
def adaptive_max_pool1d(input: Array, output_size: Ints, return_indices: bool = False) -> Array:
    """The greatest element of `output_size` windows over one dimension.

    Shapes and windows as in `adaptive_avg_pool1d`; positions and ties as in `max_pool1d`.
    """
    return _adaptive_max_pool(1, input, output_size, return_indices)


@op
def adaptive_max_pool2d(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Array:
    """The greatest element of windows that divide two dimensions as evenly as they can.

    Shapes and windows as in `adaptive_avg_pool2d`; positions and ties as in `max_pool2d`.
    """
    return _adaptive_max_pool(2, input, output_size, return_indices)


@op
def adaptive_max_pool3d(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> Array:
    """The greatest element of windows that divide three dimensions as evenly as they can.

    Shapes and windows as in `adaptive_avg_pool3d`; positions and ties as in `max_pool2d`.
    """
    return _adaptive_max_pool(3, input, output_size, return_indices)


# --- the inverse of max-pooling ------------------------------------------------------------------


def _check_positions(input: Any, indices: Any, output_size: tuple[int, ...]) -> None:
    if not isinstance(indices, np.ndarray) or not indices.size:
        return
    low, high = int(indices.min()), int(indices.max())
    if low < 0 or high >= math.prod(output_size):
        sizes = "x".join(str(v) for v in output_size)
        raise RuntimeError(
            f"Found an invalid max index: {low if low < 0 else high} (output volumes are of size "
            f"{sizes}): give the output_size that the indices were made for"
        )


@op(name="max_unpool", check=_check_positions)
def _max_unpool(input: Array, indices: Array, output_size: tuple[int, ...]) -> Array:
    x, indices = jnp.asarray(input), jnp.asarray(indices)
    n, size = len(output_size), math.prod(output_size)
    if indices.dtype != dtypes.index_dtype():
        raise RuntimeError(
            f"elements in indices should be type int64 but got: {type_name(indices)}"
        )
    if indices.shape != x.shape:
        raise RuntimeError(
            "Expected shape of indices to be same as that of the input tensor "
            f"({list(x.shape)}) but got indices tensor with shape: {list(indices.shape)}"
        )
    lead = x.shape[: x.ndim - n]
    places = indices.reshape(math.prod(lead), -1)
    planes = np.arange(math.prod(lead))[:, None]
    y = jnp.zeros((math.prod(lead), size), x.dtype)
    y = y.at[planes, places].set(x.reshape(places.shape), mode="drop", unique_indices=True)
    if jnp.issubdtype(x.dtype, jnp.inexact):
        y = jnp.where(((places < 0) | (places >= size)).any(), jnp.nan, y)
    return y.reshape(*lead, *output_size)


def _unpooled_size(
    n: int, input: Any, kernel_size: Ints, stride: Ints | None, padding: Ints, output_size: Any
) -> tuple[int, ...]:
    """The size that was pooled: the one given, if it is possible, or the smallest usual one."""
    name = f"max_unpool{n}d"
    if len(input.shape) not in (n + 1, n + 2):
        raise RuntimeError(
            f"Input to {name} should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with "
            f"{len(input.shape)} dimensions."
        )
    kernel = _expand(name, "kernel_size", kernel_size, n)
    strides = kernel if stride is None else _expand(name, "stride", stride, n)
    pads = _expand(name, "padding", padding, n)
    settings = zip(input.shape[len(input.shape) - n :], kernel, strides, pads, strict=True)
    usual = tuple((size - 1) * s - 2 * p + k for size, k, s, p in settings)
    if output_size is None:
        return usual
    given = tuple(output_size)[2:] if len(output_size) == n + 2 else tuple(output_size)
    if len(given) != n:
        raise ValueError(
            f"output_size should be a sequence containing {n} or {n + 2} elements, but it has a "
            f"length of '{len(given)}'"
        )
    for i, (size, middle, s) in enumerate(zip(given, usual, strides, strict=True)):
        if not middle - s < size < middle + s:
            raise ValueError(
                f'invalid output_size "{given}" (dim {i} must be between {middle - s} and '
                f"{middle + s})"
            )
    return given


def max_unpool1d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool1d` back to their positions, zeros elsewhere.

    Shapes: input and indices (N, C, L') or (C, L'); the result is (N, C, L) with L = (L' - 1)
    stride - 2 padding + kernel_size, or the `output_size` given, which must be less than a stride
    away. Raises RuntimeError for an index outside; where the indices cannot be looked at, the
    result is NaN.
    """
    size = _unpooled_size(1, input, kernel_size, stride, padding, output_size)
    return _max_unpool(input, indices, size)


def max_unpool2d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool2d` back to their positions: see `max_unpool1d`.

    Shapes: input and indices (N, C, H', W') or (C, H', W').
    """
    size = _unpooled_size(2, input, kernel_size, stride, padding, output_size)
    return _max_unpool(input, indices, size)


def max_unpool3d(
    input: Array,
    indices: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Array:
    """Puts the results of `max_pool3d` back to their positions: see `max_unpool1d`.

    Shapes: input and indices (N, C, D', H', W') or (C, D', H', W').
    """
    size = _unpooled_size(3, input, kernel_size, stride, padding, output_size)
    return _max_unpool(input, indices, size)
