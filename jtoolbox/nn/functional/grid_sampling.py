"""Images and volumes read at the places that a grid names, and grids of affine maps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import is_float, require_float, size, type_name, warn_user
from jtoolbox.nn.functional.resampling import cubic_weights

__all__ = ["affine_grid", "grid_sample"]

MODES = ("bilinear", "nearest", "bicubic")
PADDING_MODES = ("zeros", "border", "reflection")

_MODE = (
    "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: "
    "'{mode}'"
)
_PADDING_MODE = (
    "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
    "but got: '{mode}'"
)
_ALIGNMENT = (
    "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. "
    "Please specify align_corners=True if the old behavior is desired. See the documentation of "
    "grid_sample for details."
)
_UNIT_SIZE = (
    "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
    "align_corners=True. This is not an intended use case of affine_grid. See the documentation of "
    "affine_grid for details."
)
_MATRICES = (
    "Expected a batch of {n}D affine matrices of shape Nx{n}x{m} for size {size}. Got {shape}."
)

# --- sampling ------------------------------------------------------------------------------------


def _check(x: Any, grid: Any, mode: str) -> None:
    n = x.ndim - 2
    shapes = f"input with sizes {list(x.shape)} and grid with sizes {list(grid.shape)}"
    if x.shape[0] != grid.shape[0]:
        raise RuntimeError(
            f"grid_sampler(): expected grid and input to have same batch size, but got {shapes}"
        )
    if x.ndim not in (4, 5) or grid.ndim != x.ndim:
        rank = f"{x.ndim}D" if x.ndim in (4, 5) else "4D or 5D"
        raise RuntimeError(
            f"grid_sampler(): expected {rank} input and grid with same number of dimensions, but "
            f"got {shapes}"
        )
    if grid.shape[-1] != n:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {n} in last dimension, but got grid with "
            f"sizes {list(grid.shape)}"
        )
    for dim, length in enumerate(x.shape[2:], 2):
        if length == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input "
                f"has sizes {list(x.shape)} with dimension {dim} being empty"
            )
    if mode == "bicubic" and n == 3:
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if x.dtype != grid.dtype:
        raise RuntimeError(f"expected scalar type {type_name(x)} but found {type_name(grid)}")
    require_float("grid_sampler", x)


def _unnormalized(place: Any, length: int, align_corners: bool) -> Any:
    """From [-1, 1] to pixels: the ends are the outer centres if aligned, else the outer edges."""
    if align_corners:
        return (place + 1) / 2 * (length - 1)
    return ((place + 1) * length - 1) / 2


def _clipped(place: Any, length: int) -> Any:
    """Within the first and last pixel; the gradient is 0 from the ends on, as PyTorch's."""
    last = jnp.asarray(length - 1, place.dtype)
    return jnp.where(place > 0, jnp.where(place < last, place, last), jnp.zeros((), place.dtype))


def _reflected(place: Any, length: int, align_corners: bool) -> Any:
    """Folded at the outer centres if aligned, else at the outer edges."""
    low, span = (0.0, length - 1) if align_corners else (-0.5, length)
    if span == 0:
        return jnp.zeros_like(place)
    distance = jnp.where(place < low, low - place, place - low)
    turns = lax.stop_gradient(jnp.floor(distance / span))
    rest = distance - turns * span
    return jnp.where(turns % 2 == 0, rest + low, span - rest + low)


def _padded(place: Any, length: int, padding_mode: str, align_corners: bool) -> Any:
    if padding_mode == "reflection":
        place = _reflected(place, length, align_corners)
    return place if padding_mode == "zeros" else _clipped(place, length)


def _taps(place: Any, length: int, mode: str, padding_mode: str, align: bool) -> tuple[Any, Any]:
    """The pixels along one dimension, as floats, and their weights, on a new first axis."""
    if mode == "bicubic":
        first = lax.stop_gradient(jnp.floor(place))
        offsets = np.arange(-1, 3).reshape(-1, *[1] * place.ndim).astype(place.dtype)
        weights = cubic_weights(place - first - offsets, -0.75, jnp)
        return _padded(first + offsets, length, padding_mode, align), weights
    place = _padded(place, length, padding_mode, align)
    if mode == "nearest":
        return lax.stop_gradient(jnp.round(place))[None], jnp.ones((1, *place.shape), place.dtype)
    first = lax.stop_gradient(jnp.floor(place))
    share = place - first
    return jnp.stack([first, first + 1]), jnp.stack([1 - share, share])


def _read(x: Any, pixels: Sequence[Any]) -> Any:
    """The elements of x (N, C, ...) at whole coordinates (T, N, ...): (T, N, C, ...), 0 outside."""
    flat, inside = jnp.zeros((), np.int32), True
    for pixel, length in zip(pixels, x.shape[2:], strict=True):
        found = (pixel >= 0) & (pixel <= length - 1)
        flat = flat * length + jnp.where(found, pixel, 0).astype(np.int32)
        inside = inside & found
    n, channels = x.shape[:2]
    (taps, _, *places), planes = flat.shape, x.reshape(n, channels, math.prod(x.shape[2:]))
    order = jnp.moveaxis(flat, 0, 1).reshape(n, 1, taps * math.prod(places))
    values = jnp.take_along_axis(planes, order, 2, mode="clip")
    values = values.reshape(n, channels, taps, *places)
    inside = jnp.moveaxis(inside, 0, 1)[:, None]
    return jnp.where(inside, values, jnp.zeros((), x.dtype))


@op(name="grid_sampler")
def sample_grid(input: Array, grid: Array, mode: str, padding_mode: str, align: bool) -> Array:
    """`grid_sample` after its warning and the checks of its words."""
    x, grid = jnp.asarray(input), jnp.asarray(grid)
    _check(x, grid, mode)
    n = x.ndim - 2
    pixels: list[Any] = []
    weight: Any = jnp.ones((1, *grid.shape[:-1]), x.dtype)
    for i, length in enumerate(x.shape[2:]):
        # The grid's last axis is (x, y, z), the input's are (z, y, x).
        place = _unnormalized(grid[..., n - 1 - i], length, align)
        pixel, share = _taps(place, length, mode, padding_mode, align)
        # One axis of taps for all dimensions, so that there is one gather, and one scatter back.
        pixels = [jnp.repeat(p, pixel.shape[0], 0) for p in pixels]
        pixels.append(jnp.tile(pixel, (weight.shape[0], *[1] * place.ndim)))
        taps = weight.shape[0] * share.shape[0]
        weight = (weight[:, None] * share).reshape(taps, *place.shape)
    values = _read(x, pixels)
    return (values * jnp.moveaxis(weight, 0, 1)[:, None]).sum(2)


def grid_sample(
    input: Array,
    grid: Array,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Array:
    """Reads the input at the places of a grid: out[n, :, h, w] = input[n, :] at grid[n, h, w].

    Shapes: input (N, C, H, W) and grid (N, H', W', 2) give (N, C, H', W'); input (N, C, D, H, W)
    and grid (N, D', H', W', 3) give (N, C, D', H', W'). Places are (x, y) or (x, y, z), from -1 to
    1: the centres of the outer pixels with `align_corners`, else their outer edges. Modes:
    "bilinear", "nearest", "bicubic" (4-d). Outside lie zeros, the "border", or the "reflection".
    Raises RuntimeError or ValueError where these do not fit; warns without `align_corners`. Paper:
    Spatial Transformer Networks, https://arxiv.org/abs/1506.02025.
    """
    if mode not in MODES:
        raise ValueError(_MODE.format(mode=mode))
    if padding_mode not in PADDING_MODES:
        raise ValueError(_PADDING_MODE.format(mode=padding_mode))
    if align_corners is None:
        warn_user(_ALIGNMENT)
    return sample_grid(input, grid, mode, padding_mode, bool(align_corners))


# --- grids ---------------------------------------------------------------------------------------


def _check_affine(theta: Any, wanted: tuple[int, ...]) -> None:
    if not is_float(theta):
        raise ValueError(
            f"Expected theta to have floating point type, but got {type_name(theta)} of shape "
            f"{list(theta.shape)}"
        )
    n = len(wanted) - 2
    if n not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {list(wanted)}."
        )
    if theta.ndim != 3 or theta.shape[1:] != (n, n + 1):
        raise ValueError(_MATRICES.format(n=n, m=n + 1, size=list(wanted), shape=size(theta)))
    if min(wanted) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {list(wanted)}")
    if theta.shape[0] != wanted[0]:
        raise RuntimeError(
            f"Expected size for first two dimensions of batch2 tensor to be: [{wanted[0]}, "
            f"{n + 1}] but got: [{theta.shape[0]}, {n + 1}]: one matrix for each image of the size"
        )


def _coordinates(length: int, align_corners: bool) -> np.ndarray:
    """From -1 to 1 in equal steps; 0 for a single one."""
    steps = np.linspace(-1, 1, length) if length > 1 else np.zeros(1)
    return steps if align_corners else steps * (length - 1) / length


@op(name="affine_grid_generator")
def affine_places(theta: Array, size: tuple[int, ...], align: bool) -> Array:
    """`affine_grid` after its warning."""
    theta = jnp.asarray(theta)
    _check_affine(theta, size)
    axes = [_coordinates(length, align) for length in size[2:]]
    places = np.meshgrid(*axes, indexing="ij")[::-1]
    base = np.stack([*places, np.ones(size[2:])], -1).astype(theta.dtype)
    return jnp.einsum("...j,nij->n...i", base, theta, precision=lax.Precision.HIGHEST)


def affine_grid(theta: Array, size: Sequence[int], align_corners: bool | None = None) -> Array:
    """The grid for `grid_sample` that affine maps of the output's places make.

    grid[n, h, w] = theta[n] @ (x_w, y_h, 1). Shapes: theta (N, 2, 3) and size (N, C, H, W) give
    (N, H, W, 2); theta (N, 3, 4) and size (N, C, D, H, W) give (N, D, H, W, 3). `align_corners` as
    in `grid_sample`. Raises ValueError, NotImplementedError or RuntimeError for other shapes.

        >>> F.affine_grid(torch.ones(1, 2, 3), (1, 3, 4, 5), align_corners=False).shape
        torch.Size([1, 4, 5, 2])
    """
    if align_corners is None:
        warn_user(_ALIGNMENT)
    elif align_corners and 1 in tuple(size)[2:]:
        warn_user(_UNIT_SIZE)
    return affine_places(theta, tuple(size), bool(align_corners))
