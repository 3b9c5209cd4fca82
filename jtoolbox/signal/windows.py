"""Windows of M values under PyTorch's `torch.signal.windows` names.

In the formulas i counts from 0 to M - 1, and n is M - 1 for symmetric windows (`sym`) and M for
periodic ones, which are meant for Fourier transforms. ValueError for a negative M, RuntimeError for
a dtype that is no float.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jtoolbox.ops.windows import made_window

__all__ = [
    *("bartlett", "blackman", "cosine", "exponential", "gaussian", "general_cosine"),
    *("general_hamming", "hamming", "hann", "kaiser", "nuttall"),
]


def _made(
    kind: str, count: int, sym: bool, settings: tuple[Any, ...], dtype: Any, device: Any,
    requires_grad: bool, layout: Any,
) -> Any:  # fmt: skip
    if count < 0:
        raise ValueError(f"{kind} requires non-negative window length, got M={count}")
    return made_window(kind, count, not sym, settings, dtype, device, requires_grad, layout)


def bartlett(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """A triangle: 1 - |2 i / n - 1|."""
    return _made("bartlett", M, sym, (), dtype, device, requires_grad, layout)


def blackman(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.42 - 0.5 cos(2 pi i / n) + 0.08 cos(4 pi i / n)."""
    return _made("blackman", M, sym, (0.42, 0.5, 0.08), dtype, device, requires_grad, layout)


def cosine(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """sin(pi (i + 1/2) / (n + 1)): half a wave."""
    return _made("cosine", M, sym, (), dtype, device, requires_grad, layout)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """exp(-|i - center| / tau). `center` may be given for periodic windows only."""
    if center is not None and sym:
        raise ValueError("Center must be None for symmetric windows")
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    return _made("exponential", M, sym, (center, tau), dtype, device, requires_grad, layout)


def gaussian(
    M: int,
    *,
    std: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """exp(-(i - n / 2)^2 / (2 std^2))."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    return _made("gaussian", M, sym, (std,), dtype, device, requires_grad, layout)


def general_cosine(
    M: int,
    *,
    a: Iterable[float],
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """a[0] - a[1] cos(2 pi i / n) + a[2] cos(4 pi i / n) - ..."""
    return _made("general_cosine", M, sym, tuple(a), dtype, device, requires_grad, layout)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """alpha - (1 - alpha) cos(2 pi i / n)."""
    return _made(
        "general_hamming", M, sym, (alpha, 1 - alpha), dtype, device, requires_grad, layout
    )


def hamming(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.54 - 0.46 cos(2 pi i / n)."""
    return _made("hamming", M, sym, (0.54, 0.46), dtype, device, requires_grad, layout)


def hann(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """0.5 - 0.5 cos(2 pi i / n)."""
    return _made("hann", M, sym, (0.5, 0.5), dtype, device, requires_grad, layout)


def kaiser(
    M: int,
    *,
    beta: float = 12.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """I0(beta sqrt(1 - (2 i / n - 1)^2)) / I0(beta), with I0 the Bessel function."""
    return _made("kaiser", M, sym, (beta,), dtype, device, requires_grad, layout)


def nuttall(
    M: int,
    *,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Nuttall's sum of four cosines, smooth at its ends."""
    return _made(
        "nuttall",
        M,
        sym,
        (0.3635819, 0.4891775, 0.1365995, 0.0106411),
        dtype,
        device,
        requires_grad,
        layout,
    )
