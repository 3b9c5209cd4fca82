"""Padding with a constant, a reflection, the border's value, or the other end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.engine.record import spread

__all__ = ["pad"]

_COMBINATIONS = (
    "Padding size {size} is not supported for {ndim}D input tensor.\n"
    "Supported combinations for non-constant padding:\n"
    "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
    "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
    "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
)


def _part(x: Any, axis: int, start: int, count: int) -> Any:
    return lax.slice_in_dim(x, start, start + count, axis=axis)


def _reflected(x: Any, axis: int, low: int, high: int) -> list[Any]:
    size = x.shape[axis]
    if max(low, high) >= size:
        raise RuntimeError(
            "Padding size should be less than the corresponding input dimension, but got: padding "
            f"({low}, {high}) at dimension {axis} of input {list(x.shape)}"
        )
    before, after = _part(x, axis, 1, low), _part(x, axis, size - 1 - high, high)
    return [lax.rev(before, (axis,)), x, lax.rev(after, (axis,))]


def _replicated(x: Any, axis: int, low: int, high: int) -> list[Any]:
    size = x.shape[axis]

    def repeated(edge: int, count: int) -> Any:
        shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
        return jnp.broadcast_to(spread(_part(x, axis, edge, 1), shape), shape)

    return [repeated(0, low), x, repeated(size - 1, high)]


def _wrapped(x: Any, axis: int, low: int, high: int) -> list[Any]:
    size = x.shape[axis]
    if max(low, high) > size:
        raise RuntimeError(
            f"Padding value causes wrapping around more than once. Got the padding ({low}, {high}) "
            f"at dimension {axis} of input {list(x.shape)}"
        )
    return [_part(x, axis, size - low, low), x, _part(x, axis, 0, high)]


_MODES: dict[str, Callable[..., list[Any]]] = {
    "reflect": _reflected,
    "replicate": _replicated,
    "circular": _wrapped,
}


def _cropped(x: Any, axis: int, low: int, high: int) -> Any:
    """Without what negative amounts take away."""
    start = max(-low, 0)
    return _part(x, axis, start, x.shape[axis] - start - max(-high, 0))


def _extended(x: Any, axis: int, low: int, high: int, mode: str) -> Any:
    if x.shape[axis] + low + high < 1:
        raise RuntimeError(
            f"input (size {x.shape[axis]} at dimension {axis}) is too small for the padding "
            f"({low}, {high}). Calculated output size: {x.shape[axis] + low + high}"
        )
    # As in PyTorch, a circle closes after cropping, a reflection comes before it.
    if mode == "circular":
        x = _cropped(x, axis, low, high)
    if low > 0 or high > 0:
        x = lax.concatenate(_MODES[mode](x, axis, max(low, 0), max(high, 0)), axis)
    return x if mode == "circular" else _cropped(x, axis, low, high)


def _amounts(pad: Sequence[int], ndim: int) -> list[tuple[int, int]]:
    """(before, after) for each padded dimension, the last dimension first."""
    if isinstance(pad, int) or not all(hasattr(p, "__index__") for p in pad):
        raise TypeError(f"pad(): argument 'pad' must be tuple of ints, got {pad!r}")
    if len(pad) % 2:
        raise RuntimeError(f"Padding length must be divisible by 2, got {len(pad)} numbers: {pad}")
    if len(pad) > 2 * ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got "
            f"padding length {len(pad)} and input of dimension {ndim}"
        )
    return list(zip(pad[::2], pad[1::2], strict=True))


def _constant(x: Any, amounts: list[tuple[int, int]], value: float | None) -> Any:
    config = [(0, 0, 0)] * x.ndim
    for i, (low, high) in enumerate(amounts):
        axis = x.ndim - 1 - i
        cropped = x.shape[axis] + min(low, 0) + min(high, 0)
        if cropped < 0 or x.shape[axis] + low + high < 0:
            raise RuntimeError(
                f"narrow(): length must be non-negative. The padding ({low}, {high}) takes more "
                f"than the {x.shape[axis]} elements of dimension {axis} of input {list(x.shape)}"
            )
        config[axis] = (low, high, 0)
    value = 0 if value is None else value
    dtypes.check_number(value, x.dtype)
    return lax.pad(x, jnp.asarray(value).astype(x.dtype), config)


@op(saves="none", name="pad")
def pad_with(input: Array, pad: Sequence[int], value: Any) -> Array:
    """`pad` in mode "constant", whose value keeps its type."""
    x = jnp.asarray(input)
    return _constant(x, _amounts(pad, x.ndim), value)


def _check_mode(x: Any, size: int, mode: str, value: float | None) -> None:
    if mode not in _MODES:
        raise NotImplementedError(
            f"Unrecognised padding mode {mode}; there are constant, {', '.join(_MODES)}"
        )
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if size // 2 not in (x.ndim - 1, x.ndim - 2) or size not in (2, 4, 6):
        raise NotImplementedError(_COMBINATIONS.format(size=size, ndim=x.ndim))
    sizes = x.shape[x.ndim - size // 2 - 1 :]
    if 0 in sizes:
        raise RuntimeError(
            "Expected a tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(x.shape)}"
        )


@op(saves="none")
def pad(
    input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Array:
    """Extends the last dimensions at both ends, or crops them where a number is negative.

    `pad` is (before, after) of the last dimension, then of the one before it, and so on. Modes:
    "constant" fills with `value` (0) along any dimensions; "reflect" mirrors at the border element,
    "replicate" repeats it, "circular" continues at the other end, all along the last 1, 2 or 3
    dimensions of an input with one or two more. Raises RuntimeError where the input is too short,
    NotImplementedError for an unknown mode or another number of dimensions.

        >>> F.pad(torch.ones(2, 3), (1, 1)).shape
        torch.Size([2, 5])
    """
    x = jnp.asarray(input)
    amounts = _amounts(pad, x.ndim)
    if mode == "constant":  # `value` is a float in PyTorch, which no unsigned type takes below 0
        return _constant(x, amounts, float(value) if isinstance(value, int) else value)
    _check_mode(x, len(pad), mode, value)
    for i, (low, high) in enumerate(amounts):
        x = _extended(x, x.ndim - 1 - i, low, high, mode)
    return x
