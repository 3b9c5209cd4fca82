"""Images, sequences and volumes in other sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import is_float, type_name, warn_user, wide
from jtoolbox.nn.functional.pooling import adaptive_avg_pool
from jtoolbox.nn.functional.resampling import (
    Axis,
    Taps,
    antialiased,
    cubic,
    linear,
    nearest,
    resample,
)

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

Size = int | Sequence[int]
Factor = float | Sequence[float]

_ALIGNED = ("linear", "bilinear", "bicubic", "trilinear", "lanczos")
_ANTIALIASED = ("bilinear", "bicubic", "lanczos")
_RANKS = {"linear": 3, "bilinear": 4, "trilinear": 5}
_MODES = {
    3: ("nearest", "nearest-exact", "area", "linear"),
    4: ("nearest", "nearest-exact", "area", "bilinear", "bicubic", "lanczos"),
    5: ("nearest", "nearest-exact", "area", "trilinear"),
}
_NO_ALIGNMENT = (
    "align_corners option can only be set with the interpolating modes: linear | bilinear | "
    "bicubic | trilinear; leave it None for mode='{mode}'"
)
_WRONG_RANK = "Got {got}D input, but {mode} mode needs {want}D input"
_WRONG_MODE = (
    "Input Error: Only 3D, 4D and 5D input Tensors supported (got {ndim}D) for the modes: nearest "
    "| linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
)
_SIZES = (
    "Input and output must have the same number of spatial dimensions, but got input with spatial "
    "dimensions of {spatial} and output size of {value}. Please provide input tensor in (N, C, d1, "
    "d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
)
_FACTORS = (
    "Input and scale_factor must have the same number of spatial dimensions, but got input with "
    "spatial dimensions of {spatial} and scale_factor of shape {value}. Please provide input "
    "tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
)
_INTEGER_SIZES = (
    "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], but "
    "got size with types {types}"
)
_DEPRECATED = (
    "`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead. It takes the "
    "same input; bilinear as here is mode='bilinear', align_corners=True."
)


def _sizes_of(x: Any, size: Any) -> tuple[list[int], list[None]]:
    """The wanted sizes per dimension as given by `size`."""
    spatial = list(x.shape[2:])
    if not isinstance(size, (tuple, list)):
        size = [size] * len(spatial)
    elif len(size) != len(spatial):
        raise ValueError(_SIZES.format(spatial=spatial, value=size))
    if any(isinstance(s, bool) or not hasattr(s, "__index__") for s in size):
        raise TypeError(_INTEGER_SIZES.format(types=[type(s) for s in size]))
    return [int(s) for s in size], [None] * len(spatial)


def _scaled_sizes(x: Any, factor: Any) -> tuple[list[int], list[float]]:
    """The sizes that scale factors give, and the factors per dimension."""
    spatial = list(x.shape[2:])
    if not isinstance(factor, (tuple, list)):
        factor = [factor] * len(spatial)
    elif len(factor) != len(spatial):
        raise ValueError(_FACTORS.format(spatial=spatial, value=factor))
    if any(isinstance(f, (str, bytes)) or not hasattr(f, "__float__") for f in factor):
        raise TypeError(f"expected scale_factor to be one or several numbers, got {factor!r}")
    factors = [float(f) for f in factor]
    return [math.floor(s * f) for s, f in zip(spatial, factors, strict=True)], factors


def _check_mode(x: Any, mode: str, align_corners: bool | None, antialias: bool) -> None:
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(_NO_ALIGNMENT.format(mode=mode))
    if antialias and not (mode in _ANTIALIASED and x.ndim == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires "
            f"a 4-D tensor as input; got mode='{mode}' and {x.ndim} dimensions"
        )
    if x.ndim in _MODES and mode in _RANKS and x.ndim != _RANKS[mode]:
        raise NotImplementedError(_WRONG_RANK.format(got=x.ndim, mode=mode, want=_RANKS[mode]))
    if mode not in _MODES.get(x.ndim, ()):
        raise NotImplementedError(_WRONG_MODE.format(ndim=x.ndim, mode=mode))
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    if mode == "lanczos" and align_corners:
        raise ValueError("Lanczos mode does not support align_corners=True")


def _check_input(x: Any, sizes: Sequence[int], mode: str, antialias: bool) -> None:
    if min(*x.shape[2:], *sizes) <= 0:
        raise RuntimeError(
            "Input and output sizes should be greater than 0, but got input "
            f"{_named(x.shape[2:])} output {_named(sizes)}"
        )
    if 0 in x.shape[1:]:
        raise RuntimeError(
            f"Non-empty {x.ndim}D data tensor expected but got a tensor with sizes {list(x.shape)}"
        )
    half = antialias and x.dtype.itemsize == 2
    bytes_ = x.dtype == np.uint8 and mode in ("nearest", "nearest-exact")
    if half or not (is_float(x) or bytes_):
        raise NotImplementedError(
            f"\"interpolate\" with mode='{mode}' not implemented for '{type_name(x)}': call "
            ".float() on the input first, and round what comes out as you need it"
        )


def _named(sizes: Sequence[int]) -> str:
    names = "DHW"[-len(sizes) :] if len(sizes) > 1 else "W"
    return "(" + ", ".join(f"{n}: {s}" for n, s in zip(names, sizes, strict=True)) + ")"


def _taps(axis: Axis, mode: str, antialias: bool) -> Taps:
    if antialias:
        return antialiased(axis, mode)
    if mode in ("nearest", "nearest-exact"):
        return nearest(axis, mode == "nearest-exact")
    return cubic(axis) if mode == "bicubic" else linear(axis)


@op
def interpolate(
    input: Array,
    size: Size | None = None,
    scale_factor: Factor | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Resizes the spatial dimensions of (N, C, L), (N, C, H, W) or (N, C, D, H, W).

    The new sizes are `size`, or floor(old * `scale_factor`). Modes: "nearest" (the old element at
    floor(i old / new)), "nearest-exact" (pixel centres, as other libraries do), "linear" (3-d),
    "bilinear" and "bicubic" (4-d), "trilinear" (5-d), "area" (means, as adaptive pooling), and
    "lanczos" (4-d, with `antialias`). With `align_corners` the first and last elements stay at the
    ends; `antialias` widens the filter when reducing. Old positions follow the given scale factor
    unless `recompute_scale_factor`. Raises ValueError or NotImplementedError where mode, sizes and
    dimensions do not fit.

    Bytes (uint8) are resized by the nearest modes alone: elsewhere PyTorch has fixed-point
    arithmetic and here is an error. With `antialias` PyTorch 2.13 treats the only column of a
    result of width 1 as no column of a wider one; here they are treated alike. Its gradient of the
    nearest modes ignores a factor that keeps the size (1.1 of 7); here it is the derivative.

        >>> F.interpolate(torch.ones(1, 3, 8, 8), scale_factor=2, mode="bilinear").shape
        torch.Size([1, 3, 16, 16])
    """
    x = jnp.asarray(input)
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(_NO_ALIGNMENT.format(mode=mode))
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is None and scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if size is not None:
        sizes, factors = _sizes_of(x, size)
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    else:
        sizes, factors = _scaled_sizes(x, scale_factor)
    if recompute_scale_factor:
        factors = [None] * len(sizes)
    _check_mode(x, mode, align_corners, antialias)
    if mode == "area":
        return adaptive_avg_pool(x.ndim - 2, x, tuple(sizes))
    _check_input(x, sizes, mode, antialias)
    y, precision = wide(x), np.float64 if x.dtype == np.float64 else np.float32
    for i, (new, factor) in enumerate(zip(sizes, factors, strict=True)):
        axis = Axis(x.shape[i + 2], new, factor, bool(align_corners), precision)
        # PyTorch copies an axis of unchanged size, whatever the factor; the cubic filter does not.
        if axis.size != new or (mode in ("bicubic", "nearest", "nearest-exact") and not antialias):
            y = resample(y, i + 2, _taps(axis, mode, antialias))
    return y.astype(x.dtype)


def upsample(
    input: Array,
    size: Size | None = None,
    scale_factor: Factor | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Array:
    """The deprecated name of `interpolate`: warns, and does the same."""
    warn_user(_DEPRECATED.format(name="upsample"))
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Array, size: Size | None = None, scale_factor: Factor | None = None
) -> Array:
    """Deprecated: `interpolate` with mode "nearest"."""
    warn_user(_DEPRECATED.format(name="upsample_nearest"))
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Array, size: Size | None = None, scale_factor: Factor | None = None
) -> Array:
    """Deprecated: `interpolate` with mode "bilinear" and `align_corners`."""
    warn_user(_DEPRECATED.format(name="upsample_bilinear"))
    return interpolate(input, size, scale_factor, "bilinear", True)
