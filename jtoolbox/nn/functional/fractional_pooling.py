"""Max-pooling over windows that lie at random, a fractional step apart on average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes, random
from jtoolbox.engine import Array, Key, op
from jtoolbox.nn.functional.checks import require_float
from jtoolbox.nn.functional.pooling_input import results_of
from jtoolbox.nn.functional.window_maximum import first_greatest
from jtoolbox.nn.functional.windows import Ints, expand

__all__ = [
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]

_AXES = {2: ("height", "width"), 3: ("time", "height", "width")}
_SETTING = (
    "fractional_max_pool{dims}d: {setting} must either be a single Int or tuple of {dims} Ints, "
    "got {{value}}"
)


def _setting(n: int, setting: str, value: Any) -> tuple[int, ...]:
    return expand(value, n, _SETTING.format(dims=n, setting=setting))


def _check_input(n: int, x: Any, kernel: tuple[int, ...], counts: tuple[int, ...]) -> None:
    name = f"fractional_max_pool{n}d()"
    if x.ndim not in (n + 1, n + 2):
        raise RuntimeError(
            f"{name}: Expected {n + 1}D or {n + 2}D tensor, but got: {list(x.shape)}"
        )
    for dim in range(x.ndim - n - 1, x.ndim):
        if x.shape[dim] == 0:
            raise RuntimeError(
                f"{name}: Expected input to have non-zero size for non-batch dimensions, but got "
                f"{list(x.shape)} with dimension {dim} being empty."
            )
    require_float(name[:-2], x)
    for axis, size, k, count in zip(_AXES[n], x.shape[-n:], kernel, counts, strict=True):
        if k < 1 or count < 0:
            raise RuntimeError(
                f"{name}: pool {axis} {k} and output {axis} {count}: a window has at least one "
                "element, and no number of windows is negative"
            )
        if count + k - 1 > size:
            raise RuntimeError(
                f"{name}: pool {axis} {k} too large relative to input {axis} {size}: {count} "
                f"windows of {k} do not fit"
            )


def _check_samples(n: int, x: Any, samples: Any) -> None:
    batch, channels = x.shape[:2]
    if samples.dtype != x.dtype:
        raise RuntimeError(
            f"Expect _random_samples to have the same dtype as input, got {samples.dtype} and "
            f"{x.dtype}"
        )
    if samples.ndim != 3:
        raise RuntimeError(f"Expect _random_samples to have 3 dimensions, got {samples.ndim}")
    if samples.shape[0] < batch:
        raise RuntimeError(
            f"Expect _random_samples.size(0) no less then input batch size, got {samples.shape[0]} "
            f"for {batch}"
        )
    if samples.shape[1] != channels:
        raise RuntimeError(
            f"Expect _random_samples.size(1) equals to input channel size, got {samples.shape[1]} "
            f"for {channels}"
        )
    if samples.shape[2] != n:
        raise RuntimeError(f"Expect _random_samples.size(2) equals to {n}; got {samples.shape[2]}.")


def _starts(sample: Any, size: int, kernel: int, count: int) -> Any:
    """Where the windows of one dimension begin: (N, C) samples to (N, C, count) places."""
    if count == 1:
        return jnp.full((*sample.shape, 1), size - kernel, np.int32)
    step = jnp.asarray((size - kernel) / (count - 1), sample.dtype)
    i = jnp.arange(count - 1).astype(sample.dtype)
    places = jnp.floor((i + sample[..., None]) * step) - jnp.floor(sample * step)[..., None]
    last = jnp.full((*sample.shape, 1), size - kernel, np.int32)
    return jnp.concatenate([places.astype(np.int32), last], -1)


@op(name="fractional_max_pool", saves="none", differentiable=False)
def _draw(input: Array, n: int, key: Key = None) -> Array:
    """One number in [0, 1) for each image, channel and dimension."""
    batch = input.shape[0] if input.ndim == n + 2 else 1
    bits = random.uniform_bits(key, (batch, input.shape[-n - 1], n))
    # The eight highest bits fit every float type, so that none of them rounds up to 1.
    wide = dtypes.from_numpy(input.dtype).itemsize > 2
    shift = 8 if wide else 24
    return ((bits >> shift).astype(np.float32) * 2.0 ** (shift - 32)).astype(input.dtype)


@op(name="fractional_max_pool")
def _fractional_max_pool(
    input: Array,
    samples: Array,
    kernel: tuple[int, ...],
    counts: tuple[int, ...],
    return_indices: bool,
) -> Array:
    x, n = jnp.asarray(input), len(kernel)
    batched = x.ndim == n + 2
    x = x if batched else x[None]
    samples = jnp.asarray(samples)
    _check_samples(n, x, samples)
    samples = samples[: x.shape[0]]
    if 0 in counts:
        empty = (jnp.zeros((*x.shape[:2], *counts), t) for t in (x.dtype, dtypes.index_dtype()))
        return results_of(tuple(empty)[: 1 + return_indices], batched)
    # PyTorch's samples of a volume are in the order of its axes, those of an image are not.
    order = range(n) if n == 3 else reversed(range(n))
    flat: Any = jnp.zeros((*x.shape[:2], *[1] * 2 * n), np.int32)
    for i, source in enumerate(order):
        starts = _starts(samples[..., source], x.shape[2 + i], kernel[i], counts[i])
        seen = starts[..., None] + np.arange(kernel[i], dtype=np.int32)
        shape = [1] * 2 * n
        shape[i], shape[n + i] = counts[i], kernel[i]
        flat = flat * x.shape[2 + i] + seen.reshape(*x.shape[:2], *shape)
    lead, window = x.shape[:2], math.prod(kernel)
    flat = flat.reshape(*lead, *counts, window)
    plane = x.reshape(*lead, math.prod(x.shape[2:]))
    places = flat.reshape(*lead, math.prod(counts) * window)
    values = jnp.take_along_axis(plane, places, 2, mode="clip")
    candidates = (values.reshape(flat.shape), flat)
    best = first_greatest(candidates[: 1 + return_indices], 2 + n)
    results = (best[0], *(b.astype(dtypes.index_dtype()) for b in best[1:]))
    return results_of(results, batched)


def _pooled(
    n: int,
    input: Any,
    kernel_size: Ints,
    output_size: Ints | None,
    output_ratio: float | Sequence[float] | None,
    return_indices: bool,
    samples: Any,
) -> Any:
    if output_size is None:
        if output_ratio is None:
            raise ValueError(
                f"fractional_max_pool{n}d requires specifying either an output_size or an "
                "output_ratio"
            )
        ratios = tuple(output_ratio) if isinstance(output_ratio, Sequence) else (output_ratio,) * n
        if len(ratios) != n:
            raise IndexError(f"output_ratio must have {n} elements, got {list(ratios)}")
        sizes = tuple(input.shape)[-n:]
        output_size = tuple(int(s * r) for s, r in zip(sizes, ratios, strict=True))
    kernel = _setting(n, "kernel_size", kernel_size)
    counts = _setting(n, "output_size", output_size)
    _check_input(n, input, kernel, counts)
    samples = _draw(input, n) if samples is None else samples
    return _fractional_max_pool(input, samples, kernel, counts, return_indices)


def fractional_max_pool2d(
    input: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
) -> Array:
    """The greatest element of `output_size` windows that lie at random, in equal steps on average.

    Window i of a dimension starts at floor((i + u) s) - floor(u s), where u is drawn from [0, 1)
    for each image, channel and dimension, and s is (H - kernel) / (H' - 1). Shapes: input
    (N, C, H, W) or (C, H, W); the result (N, C, H', W'), of `output_size` or floor(`output_ratio`
    of the old). With `return_indices` positions are returned as of `max_pool2d`. `_random_samples`
    (N, C, 2) gives u; drawn ones are not PyTorch's. Raises RuntimeError where windows do not fit.
    Paper: Fractional Max-Pooling, https://arxiv.org/abs/1412.6071.
    """
    settings = (output_size, output_ratio, return_indices, _random_samples)
    return _pooled(2, input, kernel_size, *settings)


def fractional_max_pool3d(
    input: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
) -> Array:
    """`fractional_max_pool2d` for volumes (N, C, T, H, W) or (C, T, H, W); u is (N, C, 3)."""
    settings = (output_size, output_ratio, return_indices, _random_samples)
    return _pooled(3, input, kernel_size, *settings)


def fractional_max_pool2d_with_indices(
    input: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
) -> tuple[Array, Array]:
    """`fractional_max_pool2d` with `return_indices`, whatever is given for it."""
    return _pooled(2, input, kernel_size, output_size, output_ratio, True, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Array,
    kernel_size: Ints,
    output_size: Ints | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Array | None = None,
) -> tuple[Array, Array]:
    """`fractional_max_pool3d` with `return_indices`, whatever is given for it."""
    return _pooled(3, input, kernel_size, output_size, output_ratio, True, _random_samples)
