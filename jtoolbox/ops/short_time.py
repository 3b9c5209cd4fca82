"""The short-time Fourier transform and its inverse."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jtoolbox.engine import Array, op
from jtoolbox.engine.graph import Handle
from jtoolbox.engine.record import node_of
from jtoolbox.ops.reinterpret import view_as_real

__all__ = ["istft", "stft"]

_PADDINGS = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}
_NEEDED = (
    "stft requires the return_complex parameter be given for real inputs, and will further require "
    "that return_complex=True in a future PyTorch release."
)


def _settings(name: str, n_fft: int, hop: int | None, width: int | None) -> tuple[int, int]:
    hop = n_fft // 4 if hop is None else hop
    width = n_fft if width is None else width
    if hop <= 0:
        raise RuntimeError(f"{name}: expected hop_length > 0, but got hop_length={hop}")
    if not 0 < width <= n_fft:
        raise RuntimeError(
            f"{name}: expected 0 < win_length <= n_fft, but got win_length={width}, n_fft={n_fft}"
        )
    return hop, width


def _window(name: str, window: Array | None, width: int, n_fft: int, dtype: Any) -> Array:
    """The window in the middle of n_fft samples; ones where none is given."""
    if window is None:
        window = jnp.ones(width, dtype)
    if window.ndim != 1 or window.shape[0] != width:
        raise RuntimeError(
            f"{name}: expected a 1D window tensor of size equal to win_length={width}, but got "
            f"window with size {list(window.shape)}"
        )
    left = (n_fft - width) // 2
    return jnp.pad(window, (left, n_fft - width - left))


@op(name="stft", refuses=("bool", "int", "half"))
def _stft(
    input: Array, window: Array | None, n_fft: int, hop: int, width: int, center: bool,
    pad_mode: str, normalized: bool, onesided: bool,
) -> Array:  # fmt: skip
    x = input
    if center:
        pad = [(0, 0)] * (x.ndim - 1) + [(n_fft // 2, n_fft // 2)]
        x = jnp.pad(x, pad, mode=_PADDINGS[pad_mode])
    if not 0 < n_fft <= x.shape[-1]:
        raise RuntimeError(
            f"stft: expected 0 < n_fft <= {x.shape[-1]} samples, but got n_fft={n_fft}"
        )
    starts = np.arange(0, x.shape[-1] - n_fft + 1, hop)
    real = jnp.zeros((), x.dtype).real.dtype
    frames = x[..., starts[:, None] + np.arange(n_fft)]
    frames = frames * _window("stft", window, width, n_fft, real)
    transform = jnp.fft.rfft if onesided else jnp.fft.fft
    spectrum = transform(frames, norm="ortho" if normalized else None)
    return jnp.swapaxes(spectrum, -1, -2)


def stft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    """The transform of windowed frames of a signal (..., samples): (..., frequencies, frames).

    Frame t holds the n_fft samples from t * hop_length (n_fft // 4 if not given), times `window`
    of `win_length` values in their middle. With `center`, the signal is padded by n_fft // 2 on
    either side, so that frame t is centred on sample t * hop_length. `normalized` divides by
    sqrt(n_fft). Real signals give n_fft // 2 + 1 frequencies unless `onesided=False`. Without
    `return_complex` the parts come as a last dimension of 2.
    """
    if input.ndim not in (1, 2):
        raise RuntimeError(f"stft: expected a 1D or 2D tensor, got {list(input.shape)}")
    if align_to_window is not None and center:
        raise RuntimeError("stft: align_to_window should only be set when center = false.")
    is_complex = "complex" in str(input.dtype)
    if return_complex is None and not is_complex:
        raise RuntimeError(_NEEDED)
    if pad_mode not in _PADDINGS:
        raise NotImplementedError(f"Unrecognised padding mode {pad_mode}: {list(_PADDINGS)}")
    if window is None:
        warnings.warn(
            "A window was not provided. A rectangular window will be applied, which is known to "
            "cause spectral leakage. Pass window=torch.hann_window(win_length), for instance.",
            UserWarning,
            stacklevel=2,
        )
    if center and pad_mode == "reflect" and n_fft // 2 >= input.shape[-1]:
        raise RuntimeError(
            f"stft: reflecting {n_fft // 2} samples needs more than that many, got "
            f"{input.shape[-1]}. Use another pad_mode or a smaller n_fft."
        )
    hop, width = _settings("stft", n_fft, hop_length, win_length)
    half = not is_complex if onesided is None else onesided
    if half and is_complex:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    out = _stft(input, window, n_fft, hop, width, center, pad_mode, normalized, half)
    return view_as_real(out) if return_complex is False else out


def _overlapped(frames: Array, hop: int) -> Array:
    """Frames (..., count, n) added up, each `hop` after the one before."""
    count, n = frames.shape[-2:]
    places = hop * np.arange(count)[:, None] + np.arange(n)
    out = jnp.zeros((*frames.shape[:-2], n + hop * (count - 1)), frames.dtype)
    return out.at[..., places].add(frames)


def _kept(n_fft: int, hop: int, count: int, center: bool, length: int | None) -> tuple[int, int]:
    """The first sample and the number of samples that the inverse returns."""
    total = n_fft + hop * (count - 1)
    start = n_fft // 2 if center else 0
    end = total - start if length is None else start + length
    return start, end - start


def _known(window: Any) -> Any:
    """The values of a window where they are known on the host, else None."""
    value = node_of(window).value if isinstance(window, Handle) else window
    whole = isinstance(value, (np.ndarray, jax.Array)) and not isinstance(value, Tracer)
    return np.asarray(value) if whole else None


def _check_envelope(
    window: Any, width: int, n_fft: int, hop: int, count: int, kept: tuple[int, int]
) -> None:
    """RuntimeError where the squared windows add up to nothing."""
    values = np.ones(width) if window is None else _known(window)
    if values is None or values.shape != (width,):
        return  # not known yet: zeros divide to infinities and NaN
    left = (n_fft - width) // 2
    square = np.pad(np.abs(values) ** 2, (left, n_fft - width - left))
    total = np.zeros(n_fft + hop * (count - 1))
    for t in range(count):
        total[t * hop : t * hop + n_fft] += square
    start, size = kept
    if not (total[start : start + max(size, 0)] > 1e-11).all():
        raise RuntimeError(
            "istft: window overlap add min is not above 1e-11: some samples lie under no part of "
            "the window. Use a smaller hop_length or center=True."
        )


@op(name="istft")
def _istft(
    input: Array, window: Array | None, n_fft: int, hop: int, width: int, center: bool,
    normalized: bool, length: int | None, return_complex: bool,
) -> Array:  # fmt: skip
    real = jnp.zeros((), input.dtype).real.dtype
    weights = _window("istft", window, width, n_fft, real)
    spectrum = jnp.swapaxes(input, -1, -2)
    norm = "ortho" if normalized else None
    if return_complex:
        frames = jnp.fft.ifft(spectrum, norm=norm)
    else:  # of a two-sided spectrum PyTorch reads the first half as well
        frames = jnp.fft.irfft(spectrum[..., : n_fft // 2 + 1], n_fft, norm=norm)
    signal = _overlapped(frames * weights, hop)
    envelope = _overlapped(jnp.broadcast_to(weights * weights, frames.shape[-2:]), hop)
    start, size = _kept(n_fft, hop, frames.shape[-2], center, length)
    out = signal[..., start : start + size] / envelope[start : start + size]
    return jnp.pad(out, [(0, 0)] * (out.ndim - 1) + [(0, max(0, size - out.shape[-1]))])


def istft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    """The signal (..., samples) whose `stft` with the same settings is (..., frequencies, frames).

    The least-squares inverse (Griffin and Lim): windowed frames are added up and divided by the
    sum of the squared windows, which must not vanish (RuntimeError, where the window is known).
    `length` cuts the signal or fills it up with zeros.
    """
    if "complex" not in str(input.dtype):
        raise RuntimeError("istft requires a complex-valued input tensor matching the output of "
                           "stft with return_complex=True.")  # fmt: skip
    if input.ndim not in (2, 3) or 0 in input.shape:
        raise RuntimeError(
            "istft: expected a tensor with 2 or 3 dimensions, frequencies and frames last, got "
            f"{list(input.shape)}"
        )
    hop, width = _settings("istft", n_fft, hop_length, win_length)
    half = input.shape[-2] != n_fft if onesided is None else onesided
    expected = n_fft // 2 + 1 if half else n_fft
    if input.shape[-2] != expected:
        raise RuntimeError(
            "istft: expected the frequency dimension (3rd to the last) of the input tensor to "
            f"match n_fft {'/ 2 + 1 ' if half else ''}when onesided={half}, but got "
            f"{input.shape[-2]}"
        )
    if return_complex and half:
        raise RuntimeError("cannot have onesided input and return_complex=True together")
    kept = _kept(n_fft, hop, input.shape[-1], center, length)
    _check_envelope(window, width, n_fft, hop, input.shape[-1], kept)
    return _istft(input, window, n_fft, hop, width, center, normalized, length, return_complex)
