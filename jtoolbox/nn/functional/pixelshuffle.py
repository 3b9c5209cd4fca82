"""Channels exchanged for resolution, and channels exchanged between groups."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jtoolbox.engine import Array, op

__all__ = ["channel_shuffle", "native_channel_shuffle", "pixel_shuffle", "pixel_unshuffle"]


def _check(name: str, setting: str, x: Any, factor: int) -> None:
    if x.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {x.ndim} "
            f"dimension(s): {list(x.shape)}"
        )
    if factor < 1:
        raise RuntimeError(f"{name} expects a positive {setting}, but got {factor}")


@op(saves="none")
def pixel_shuffle(input: Array, upscale_factor: int) -> Array:
    """Turns r² channels into r times the resolution: (*, C r², H, W) to (*, C, H r, W r).

    Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional
    Neural Network, https://arxiv.org/abs/1609.05158. Raises RuntimeError where r² does not divide
    the channels.
    """
    x, r = jnp.asarray(input), upscale_factor
    _check("pixel_shuffle", "upscale_factor", x, r)
    *lead, channels, height, width = x.shape
    if channels % r**2:
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square "
            f"of upscale_factor, but input.size(-3)={channels} is not divisible by {r**2}"
        )
    x = x.reshape(*lead, channels // r**2, r, r, height, width)
    n = len(lead)
    x = x.transpose(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
    return x.reshape(*lead, channels // r**2, height * r, width * r)


@op(saves="none")
def pixel_unshuffle(input: Array, downscale_factor: int) -> Array:
    """The inverse of `pixel_shuffle`: (*, C, H r, W r) to (*, C r², H, W).

    Raises RuntimeError where r does not divide height and width.
    """
    x, r = jnp.asarray(input), downscale_factor
    _check("pixel_unshuffle", "downscale_factor", x, r)
    *lead, channels, height, width = x.shape
    for dim, what, size in ((-2, "height", height), (-1, "width", width)):
        if size % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but "
                f"input.size({dim})={size} is not divisible by {r}"
            )
    x = x.reshape(*lead, channels, height // r, r, width // r, r)
    n = len(lead)
    x = x.transpose(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
    return x.reshape(*lead, channels * r**2, height // r, width // r)


@op(saves="none")
def channel_shuffle(input: Array, groups: int) -> Array:
    """Deals the channels of each group out over all groups: channel (g, c) becomes (c, g).

    Shapes: input (N, C, *), the result the same. ShuffleNet, https://arxiv.org/abs/1707.01083.
    Raises RuntimeError where the groups do not divide the channels.
    """
    x = jnp.asarray(input)
    if x.ndim < 3:
        raise RuntimeError(
            f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(x.shape)}"
        )
    if groups < 1:
        raise RuntimeError(
            f"Number of groups to divide channels in must be positive. Value of groups:{groups}"
        )
    n, channels = x.shape[:2]
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} "
            "groups."
        )
    grouped = x.reshape(n, groups, channels // groups, *x.shape[2:])
    return grouped.swapaxes(1, 2).reshape(x.shape)


def native_channel_shuffle(input: Array, groups: int) -> Array:
    """The same as `channel_shuffle`."""
    return channel_shuffle(input, groups)
