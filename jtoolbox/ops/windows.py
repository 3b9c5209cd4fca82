"""Window functions of signal processing: Hann, Hamming, Blackman, Bartlett, Kaiser and others."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.creation import array_type, default_type, finished

__all__ = [
    *("bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"),
]


def _cosines(n: int, length: int, *weights: float) -> np.ndarray:
    """The sum of weights[k] * (-1)^k * cos(2 pi k i / length) at i = 0 ... n - 1."""
    angle = 2 * np.pi * np.arange(n) / length
    return np.sum([(-1) ** k * w * np.cos(k * angle) for k, w in enumerate(weights)], 0)


def _shape_of_window(kind: str, n: int, length: int, settings: tuple[Any, ...]) -> np.ndarray:
    place = 2 * np.arange(n) / length - 1
    if kind == "bartlett":
        return 1 - np.abs(place)
    if kind == "kaiser":
        return np.i0(settings[0] * np.sqrt(1 - place**2)) / np.i0(settings[0])
    if kind == "cosine":
        return np.sin(np.pi * (np.arange(n) + 0.5) / (length + 1))
    if kind == "gaussian":
        return np.exp(-(((np.arange(n) - length / 2) / settings[0]) ** 2) / 2)
    if kind == "exponential":
        center, tau = settings
        return np.exp(-np.abs(np.arange(n) - (length / 2 if center is None else center)) / tau)
    return _cosines(n, length, *settings)


@op(creates=True, saves="none", name="window")
def _window(
    kind: str, n: int, periodic: bool, settings: tuple[Any, ...], dtype: Any, device: Any
) -> Array:
    if n <= 1:
        return jnp.ones(n, array_type(dtype))
    length = n if periodic else n - 1
    return jnp.asarray(_shape_of_window(kind, n, length, settings), array_type(dtype))


def made_window(
    kind: str, n: int, periodic: bool, settings: tuple[Any, ...], dtype: Any, device: Any,
    requires_grad: bool, layout: Any,
) -> Any:  # fmt: skip
    if n < 0:
        raise RuntimeError(f"{kind}_window requires non-negative window_length, got {n}")
    if dtype is not None and dtypes.kind(array_type(dtype)) != 2:
        raise RuntimeError(f"{kind}_window expects floating point dtypes, got: {dtype}")
    place = devices.placement(device)
    result = _window(kind, n, bool(periodic), settings, default_type(dtype), place)
    return finished(result, requires_grad, layout)


def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.5 - 0.5 cos(2 pi i / n)."""
    return made_window(
        "hann", window_length, periodic, (0.5, 0.5), dtype, device, requires_grad, layout
    )


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """alpha - beta cos(2 pi i / n)."""
    settings = (float(alpha), float(beta))
    return made_window(
        "hamming", window_length, periodic, settings, dtype, device, requires_grad, layout
    )


def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.42 - 0.5 cos(2 pi i / n) + 0.08 cos(4 pi i / n)."""
    settings = (0.42, 0.5, 0.08)
    return made_window(
        "blackman", window_length, periodic, settings, dtype, device, requires_grad, layout
    )


def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A triangle from 0 to 1 and back."""
    return made_window(
        "bartlett", window_length, periodic, (), dtype, device, requires_grad, layout
    )


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """I0(beta sqrt(1 - (2i/n - 1)^2)) / I0(beta), with I0 the Bessel function."""
    settings = (float(beta),)
    return made_window(
        "kaiser", window_length, periodic, settings, dtype, device, requires_grad, layout
    )
