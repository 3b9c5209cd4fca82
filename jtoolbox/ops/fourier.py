"""Discrete Fourier transforms, of one dimension and of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox import devices, dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.creation import array_type, default_type, finished, with_out
from jtoolbox.ops.dims import canonical_dim

__all__ = [
    *("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2"),
    *("hfft2", "ihfft2", "fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"),
    *("fftfreq", "rfftfreq", "fftshift", "ifftshift"),
]

_HALF = (jnp.float16, jnp.bfloat16)


def _prepared(name: str, x: Array, norm: str | None, real: bool = False) -> Array:
    """The input as float or complex, after the checks that all transforms share."""
    if norm not in (None, "forward", "backward", "ortho"):
        raise RuntimeError(f"Invalid normalization mode: {norm!r}: forward, backward or ortho")
    if real and jnp.issubdtype(x.dtype, jnp.complexfloating):
        raise RuntimeError(f"{name} expects a real input tensor, but got {x.dtype}")
    if x.dtype in _HALF:
        raise RuntimeError(f"Unsupported dtype {x.dtype} in {name}: use .float()")
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        return x.astype(dtypes.canonical(dtypes.default_float()))
    return x


def _has_dimensions(x: Array, dim: int) -> None:
    if not x.ndim:
        raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def _length(n: int | None, default: int) -> int:
    size = default if n is None or n == -1 else n
    if size < 1:
        raise RuntimeError(f"Invalid number of data points ({size}) specified")
    return size


def _one(function: Callable[..., Array], name: str, x: Array, n: Any, dim: int, norm: Any) -> Array:
    """A transform of one dimension; `n` cuts the input or fills it up with zeros."""
    x = _prepared(name, x, norm, real=name in ("rfft", "ihfft"))
    _has_dimensions(x, dim)
    dim = canonical_dim(dim, x.ndim)
    size = x.shape[dim]
    default = 2 * (size - 1) if name in ("irfft", "hfft") else size
    return function(x, _length(n, default), dim, norm)


@op(saves="none", name="fft_c2c")
def fft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """The transform X[k] = sum over j of x[j] exp(-2 pi i j k / n) along `dim`.

    `n` cuts the input or fills it up with zeros. `norm` divides by n ("forward"), by sqrt(n)
    ("ortho") or not at all ("backward", the default, whose inverse divides by n).
    """
    return _one(jnp.fft.fft, "fft", input, n, dim, norm)


@op(saves="none", name="fft_c2c")
def ifft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """The inverse of `fft`."""
    return _one(jnp.fft.ifft, "ifft", input, n, dim, norm)


@op(saves="none", name="fft_r2c")
def rfft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """The first n // 2 + 1 values of `fft` of a real signal; the others are their conjugates."""
    return _one(jnp.fft.rfft, "rfft", input, n, dim, norm)


@op(saves="none", name="fft_c2r")
def irfft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """The inverse of `rfft`, a real signal of n values (2 (size - 1) if not given)."""
    return _one(jnp.fft.irfft, "irfft", input, n, dim, norm)


@op(saves="none", name="fft_c2r")
def hfft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """`fft` of a signal given by its first half, the rest being conjugates: a real result."""
    return _one(jnp.fft.hfft, "hfft", input, n, dim, norm)


@op(saves="none", name="fft_r2c")
def ihfft(input: Array, n: int | None = None, dim: int = -1, norm: str | None = None) -> Array:
    """The inverse of `hfft`."""
    return _one(jnp.fft.ihfft, "ihfft", input, n, dim, norm)


def _axes(x: Array, s: Sequence[int] | None, dim: Any) -> tuple[list[int], list[int | None]]:
    """The dimensions to transform and the length of each, None for the input's own."""
    if isinstance(dim, int):
        dim = (dim,)
    if dim is None:
        dim = range(x.ndim) if s is None else range(x.ndim - len(s), x.ndim)
    for d in dim:
        _has_dimensions(x, d)
    dims = [canonical_dim(d, x.ndim) for d in dim]
    if len(set(dims)) != len(dims):
        raise RuntimeError("FFT dims must be unique")
    if s is not None and len(s) != len(dims):
        raise RuntimeError(
            "When given, dim and shape arguments must have the same length, got "
            f"{len(dims)} dimensions and {len(s)} sizes"
        )
    return dims, [None] * len(dims) if s is None else list(s)


def _many(x: Array, s: Any, dim: Any, norm: Any, inner: Any, outer: Any, last_first: bool) -> Array:
    """`inner` along the last dimension asked for and `outer` along the others."""
    dims, lengths = _axes(x, s, dim)
    if not dims:
        return x
    steps = [(outer, n, d) for n, d in zip(lengths[:-1], dims[:-1], strict=True)]
    last = (inner, lengths[-1], dims[-1])
    for transform, n, d in [last, *steps] if last_first else [*steps, last]:
        x = transform(x, n, d, norm)
    return x


@op(saves="none", name="fft_c2c")
def fftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """`fft` along several dimensions: those in `dim`, or the last len(s), or all."""
    return _many(input, s, dim, norm, fft, fft, True)


@op(saves="none", name="fft_c2c")
def ifftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """The inverse of `fftn`."""
    return _many(input, s, dim, norm, ifft, ifft, True)


@op(saves="none", name="fft_r2c")
def rfftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """`fftn` of a real signal, of which the last dimension keeps its first half."""
    return _many(input, s, dim, norm, rfft, fft, True)


@op(saves="none", name="fft_c2r")
def irfftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """The inverse of `rfftn`."""
    return _many(input, s, dim, norm, irfft, ifft, False)


@op(saves="none", name="fft_c2r")
def hfftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """`fftn` of a signal given by the first half of its last dimension: a real result."""
    return _many(input, s, dim, norm, hfft, fft, False)


@op(saves="none", name="fft_r2c")
def ihfftn(input: Array, s: Any = None, dim: Any = None, norm: str | None = None) -> Array:
    """The inverse of `hfftn`."""
    return _many(input, s, dim, norm, ihfft, ifft, True)


@numpy_names
def fft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`fftn` along the last two dimensions."""
    return fftn(input, s, dim, norm)


@numpy_names
def ifft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`ifftn` along the last two dimensions."""
    return ifftn(input, s, dim, norm)


@numpy_names
def rfft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`rfftn` along the last two dimensions."""
    return rfftn(input, s, dim, norm)


@numpy_names
def irfft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`irfftn` along the last two dimensions."""
    return irfftn(input, s, dim, norm)


@numpy_names
def hfft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`hfftn` along the last two dimensions."""
    return hfftn(input, s, dim, norm)


@numpy_names
def ihfft2(input: Array, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Array:
    """`ihfftn` along the last two dimensions."""
    return ihfftn(input, s, dim, norm)


@op(creates=True, saves="none", name="fftfreq")
def _frequencies(n: int, d: float, half: bool, dtype: Any, device: Any) -> Array:
    function = jnp.fft.rfftfreq if half else jnp.fft.fftfreq
    return function(n, d).astype(array_type(dtype))


@with_out
def fftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The frequencies of `fft` of n samples at steps of d: 0, 1, ..., -2, -1, each / (n d)."""
    place = devices.placement(device)
    return finished(_frequencies(n, d, False, default_type(dtype), place), requires_grad, layout)


@with_out
def rfftfreq(
    n: int,
    d: float = 1.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The frequencies of `rfft` of n samples at steps of d: 0, 1, ..., n // 2, each / (n d)."""
    place = devices.placement(device)
    return finished(_frequencies(n, d, True, default_type(dtype), place), requires_grad, layout)


@op(saves="none")
def fftshift(input: Array, dim: Any = None) -> Array:
    """Frequency 0 moved from the front to the middle, along `dim` (all if not given)."""
    return jnp.fft.fftshift(input, dim)


@op(saves="none")
def ifftshift(input: Array, dim: Any = None) -> Array:
    """The inverse of `fftshift`."""
    return jnp.fft.ifftshift(input, dim)
