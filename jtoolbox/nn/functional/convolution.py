"""How a convolution is computed: XLA's own, or on the CPU a faster equivalent where there is one.

NOTE: routes on the CPU. XLA's convolution is fast on the CPU in one case: one group, one or two
dimensions, the input not dilated. Forward and gradients of the rest, in milliseconds of processor
time on two cores, XLA's convolution against the route taken here (benchmarks/convolutions.py):

    depthwise 3x3, 16x128x28x28                          390     19   sum of shifted products
    4 groups, 3x3, 16x128x14x14                          430     19   a convolution per group
    32 groups, 3x3, 16x128x14x14                       2,600     33   products per window position
    3 dimensions, 3x3x3, 4x32x8x16x16                    120     29   2-d convolutions, summed
    kernel = stride = 16, 4x3x224x224                    150     14   matrix product of patches
    transposed 4x4, stride 2, 16x128x16x16 to 64         890     83   product, then overlap-add

Kernels of one element are products, which do not care where the channels stand: the programs of a
training step have them last (`engine.layouts`). Space-to-depth for strides made no clear
difference. All routes need the compiler option that turns YNN fusion of convolutions off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from jtoolbox.nn.functional.checks import wide
from jtoolbox.nn.functional.windows import materialized, offsets, pad_axes, resized, strided

__all__ = ["convolve", "convolve_transposed"]

Sizes = Sequence[int]
Pads = Sequence[tuple[int, int]]

# Above these the number of slices or small convolutions costs more to compile than it saves.
_MOST_OFFSETS = 64
_MOST_SEPARATE_GROUPS = 8


def convolve(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """x (N, C, *sizes) correlated with w (O, C / groups, *kernel)."""
    cpu = jax.default_backend() == "cpu"
    route = _cpu_route(w.shape, stride, pads, dilation, groups) if cpu else _xla
    if route is not _xla:  # halves are summed in float32, as XLA's convolution does by itself
        x, w, dtype = wide(x), wide(w), x.dtype
        return route(x, w, stride, pads, dilation, groups).astype(dtype)
    return _xla(x, w, stride, pads, dilation, groups)


def _cpu_route(shape: Sizes, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    kernel = tuple(shape[2:])
    few = math.prod(kernel) <= _MOST_OFFSETS
    if groups > 1:
        if shape[1] == 1 and few:
            return _depthwise
        return _by_offset if few and groups > _MOST_SEPARATE_GROUPS else _by_group
    if max(kernel) == 1 and not any(low or high for low, high in pads):
        return _pointwise
    apart = kernel == tuple(stride) and max(kernel) > 1 and max(dilation) == 1
    if apart and not any(low or high for low, high in pads):
        return _patches
    return _by_depth if len(kernel) == 3 else _xla


def _xla(
    x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int, spread: Any = None
) -> Any:
    return lax.conv_general_dilated(
        x,
        w,
        window_strides=tuple(stride),
        padding=list(pads),
        lhs_dilation=spread,
        rhs_dilation=tuple(dilation),
        feature_group_count=groups,
    )


def _shifted(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, first: int) -> Any:
    """For each window position: the elements of x that meet it (spatial axes from `first` on)."""
    axes = range(first, first + len(stride))
    x = pad_axes(materialized(x), 0, axes, pads)
    for offset in offsets(w.shape[2:]):
        seen = x
        for axis, i, k, s, d in zip(axes, offset, w.shape[2:], stride, dilation, strict=True):
            count = (x.shape[axis] - d * (k - 1) - 1) // s + 1
            seen = strided(seen, axis, i * d, count, s)
        yield offset, seen


def _depthwise(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """One input channel per group: a sum of shifted inputs, each times one weight a channel."""
    if w.shape[0] != groups:
        x = jnp.repeat(x, w.shape[0] // groups, axis=1)
    # Weights are taken apart first and broadcast without a reshape, so that the gradients by them
    # come one after the other in a backward pass: `engine.sums` computes them together.
    weights = {k: w[(slice(None), 0, *k)] for k in offsets(w.shape[2:])}
    products = (
        seen * lax.broadcast_in_dim(weights[k], seen.shape, (1,))
        for k, seen in _shifted(x, w, stride, pads, dilation, 2)
    )
    return materialized(sum(products))


def _pointwise(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """A window of one element: a product at each position."""
    for axis, s in enumerate(stride, 2):
        x = strided(x, axis, 0, -(-x.shape[axis] // s), s) if s > 1 else x
    y = lax.dot_general(x, w.reshape(w.shape[:2]), (((1,), (1,)), ((), ())))
    return jnp.moveaxis(y, -1, 1)


def _by_group(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    parts = zip(jnp.split(x, groups, 1), jnp.split(w, groups, 0), strict=True)
    return jnp.concatenate([convolve(a, b, stride, pads, dilation, 1) for a, b in parts], 1)


def _by_offset(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """For each window position one product per group, all groups at once; summed."""
    n, channels = x.shape[:2]
    w = w.reshape(groups, -1, *w.shape[1:])
    sizes: Sizes = ()
    y: Any = 0
    for offset, seen in _shifted(jnp.moveaxis(x, 1, -1), w[0], stride, pads, dilation, 1):
        sizes = seen.shape[1:-1]
        rows = seen.reshape(n * math.prod(sizes), groups, channels // groups)
        y = y + jnp.einsum("mgc,goc->gmo", rows, w[(..., *offset)])
    y = jnp.moveaxis(y.reshape(groups, n, *sizes, -1), 0, -2)
    return jnp.moveaxis(y.reshape(n, *sizes, -1), -1, 1)


def _patches(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """Windows side by side: x is cut into patches, which meet the filters in one product."""
    d = len(stride)
    counts = [size // k for size, k in zip(x.shape[2:], stride, strict=True)]
    x = resized(x, range(2, d + 2), [0] * d, [c * k for c, k in zip(counts, stride, strict=True)])
    x = x.reshape(*x.shape[:2], *[v for pair in zip(counts, stride, strict=True) for v in pair])
    patch = [1, *range(3, 2 * d + 2, 2)]
    y = lax.dot_general(x, w, ((patch, list(range(1, d + 2))), ((), ())))
    return jnp.moveaxis(y, -1, 1)


def _by_depth(x: Any, w: Any, stride: Sizes, pads: Pads, dilation: Sizes, groups: int) -> Any:
    """Three dimensions: per position in the filter's depth a 2-d convolution of all slices."""
    n, channels = x.shape[:2]
    depth = w[:, :, :, :1, :1]
    y: Any = 0
    for (i, _, _), seen in _shifted(
        x, depth, (stride[0], 1, 1), (pads[0], (0, 0), (0, 0)), (dilation[0], 1, 1), 2
    ):
        slices = jnp.moveaxis(seen, 2, 1).reshape(n * seen.shape[2], channels, *seen.shape[3:])
        y = y + convolve(slices, w[:, :, i], stride[1:], pads[1:], dilation[1:], 1)
    return jnp.moveaxis(y.reshape(n, -1, *y.shape[1:]), 1, 2)


# --- transposed ----------------------------------------------------------------------------------


def convolve_transposed(
    x: Any, w: Any, stride: Sizes, padding: Sizes, outputs: Sizes, dilation: Sizes, groups: int
) -> Any:
    """x (N, C, *sizes) spread by w (C, O / groups, *kernel) to (N, O, *outputs)."""
    d = len(stride)
    apart = max(stride) > 1 or max(x.shape[2:], default=1) == 1
    spans = [e * (k - 1) + 1 for k, e in zip(w.shape[2:], dilation, strict=True)]
    blocks = math.prod(-(-span // s) for span, s in zip(spans, stride, strict=True))
    cpu = jax.default_backend() == "cpu" and x.size
    if cpu and apart and blocks <= _MOST_OFFSETS:
        y = _overlap_add(wide(x), wide(w), stride, padding, outputs, dilation, groups)
        return y.astype(x.dtype)
    each, kernel = w.shape[1], w.shape[2:]
    w = w.reshape(groups, w.shape[0] // groups, each, *kernel).swapaxes(1, 2)
    w = jnp.flip(w.reshape(groups * each, w.shape[2], *kernel), range(2, d + 2))
    pads = [
        (span - 1 - p, out - 1 + p - (size - 1) * s)
        for span, p, out, size, s in zip(spans, padding, outputs, x.shape[2:], stride, strict=True)
    ]
    ones = (1,) * d
    if cpu and max(stride) > 1:
        # XLA takes minutes to compile the gradient of a grouped, dilated, spread convolution.
        x = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0)] * 2 + [(0, 0, s - 1) for s in stride])
    if cpu or max(stride) == 1:
        return convolve(x, w, ones, pads, dilation, groups)
    return _xla(x, w, ones, pads, dilation, groups, spread=tuple(stride))


def _overlap_add(
    x: Any, w: Any, stride: Sizes, padding: Sizes, outputs: Sizes, dilation: Sizes, groups: int
) -> Any:
    """One product gives each element's filter; they are added where they overlap.

    The kernel is cut into blocks as long as the stride, so that adding needs no scatter: block i of
    every element lands i places further.
    """
    n, d = x.shape[0], len(stride)
    sizes, axes = x.shape[2:], range(2, len(stride) + 2)
    if max(dilation) > 1:
        holes = [(0, 0, 0)] * 2 + [(0, 0, e - 1) for e in dilation]
        w = lax.pad(w, jnp.zeros((), w.dtype), holes)
    blocks = [-(-k // s) for k, s in zip(w.shape[2:], stride, strict=True)]
    w = resized(w, axes, [0] * d, [b * s for b, s in zip(blocks, stride, strict=True)])
    spread = _product(x, w, groups)
    pairs = [v for pair in zip(blocks, stride, strict=True) for v in pair]
    spread = spread.reshape(n, *sizes, -1, *pairs)
    y: Any = 0
    for offset in offsets(blocks):
        within = [v for i in offset for v in (i, slice(None))]
        block = spread[(*[slice(None)] * (d + 2), *within)]
        shift = [(i, b - 1 - i) for i, b in zip(offset, blocks, strict=True)]
        y = y + pad_axes(block, 0, range(1, d + 1), shift)
    order = [0, d + 1] + [v for i in range(d) for v in (i + 1, d + 2 + i)]
    lengths = [(m + b - 1) * s for m, b, s in zip(sizes, blocks, stride, strict=True)]
    y = y.transpose(order).reshape(n, -1, *lengths)
    return materialized(resized(y, axes, padding, outputs))


def _product(x: Any, w: Any, groups: int) -> Any:
    """(N, C, *sizes) times (C, O / groups, *kernel): (N * sizes, O * kernel), group by group."""
    n, channels = x.shape[:2]
    rows = jnp.moveaxis(x, 1, -1).reshape(n * math.prod(x.shape[2:]), channels)
    if groups == 1:
        return rows @ w.reshape(channels, -1)
    rows = rows.reshape(-1, groups, channels // groups)
    return jnp.einsum("mgc,gck->mgk", rows, w.reshape(groups, channels // groups, -1))
