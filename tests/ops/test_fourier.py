"""Fourier transforms, windows and short-time transforms agree with PyTorch, gradients too."""

import warnings

import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import fft, signal
from jtoolbox.ops import short_time as ours
from tests.ops.cases import floats, integers
from tests.reference import assert_same, compare, same_error

X = floats(3, 6, dtype=np.float64)
Z = (floats(3, 6, dtype=np.float64) + 1j * floats(3, 6, dtype=np.float64, seed=1)).astype(
    np.complex128
)


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "irfft", "hfft"])
def test_transforms_of_one_dimension(name, norm):
    f, g = getattr(fft, name), getattr(torch.fft, name)
    compare(f, g, Z, norm=norm)
    compare(f, g, Z, n=5, dim=0, norm=norm)


@pytest.mark.parametrize("name", ["rfft", "ihfft", "fft"])
def test_transforms_of_real_signals(name):
    f, g = getattr(fft, name), getattr(torch.fft, name)
    compare(f, g, X)
    compare(f, g, X, n=8, dim=-2, norm="ortho")
    compare(f, g, integers(4), grad=False)


@pytest.mark.parametrize("name", ["fftn", "ifftn", "rfftn", "irfftn", "hfftn", "ihfftn"])
def test_transforms_of_several_dimensions(name):
    x = X if name in ("rfftn", "ihfftn") else Z
    f, g = getattr(fft, name), getattr(torch.fft, name)
    compare(f, g, x)
    compare(f, g, x, s=(4, 4), dim=(1, 0), norm="ortho")
    compare(f, g, x, s=(-1,))
    two = name[:-1] + "2"
    compare(getattr(fft, two), getattr(torch.fft, two), x, grad=False)


def test_frequencies_and_shifts():
    for n in (4, 5):
        assert_same(fft.fftfreq(n, 0.5), torch.fft.fftfreq(n, 0.5))
        assert_same(fft.rfftfreq(n), torch.fft.rfftfreq(n))
    compare(fft.fftshift, torch.fft.fftshift, X)
    compare(fft.ifftshift, torch.fft.ifftshift, X, dim=1)


ERRORS = [
    ("fft", (X,), {"n": 0}, r"Invalid number of data points \(0\)"),
    ("fft", (X,), {"norm": "other"}, "Invalid normalization mode"),
    ("rfft", (Z,), {}, "expects a real input tensor"),
    ("fft", (X,), {"dim": 5}, "Dimension out of range"),
    ("fftn", (X,), {"s": (2, 2), "dim": (0,)}, "must have the same length"),
    ("fftn", (X,), {"dim": (0, 0)}, "must be unique"),
    ("fft", (X.astype(np.float16),), {}, "Unsupported dtype"),
]


@pytest.mark.parametrize(("name", "inputs", "settings", "message"), ERRORS)
def test_errors(name, inputs, settings, message):
    same_error(getattr(fft, name), getattr(torch.fft, name), *inputs, match=message, **settings)


WINDOWS = [
    *("bartlett", "blackman", "cosine", "exponential", "gaussian", "hamming", "hann", "kaiser"),
    *("nuttall", "general_hamming"),
]


@pytest.mark.parametrize("sym", [True, False])
@pytest.mark.parametrize("name", WINDOWS)
def test_windows(name, sym):
    for m in (0, 1, 7, 8):
        made = getattr(signal.windows, name)(m, sym=sym, dtype=jtoolbox.float64)
        expected = getattr(torch.signal.windows, name)(m, sym=sym, dtype=torch.float64)
        assert_same(made, expected, atol=1e-12, rtol=1e-9)


def test_windows_with_settings():
    for name, kwargs in [
        ("general_cosine", {"a": [0.4, 0.3, 0.2, 0.1]}),
        ("general_hamming", {"alpha": 0.6}),
        ("gaussian", {"std": 2.0}),
        ("exponential", {"tau": 3.0, "center": 1.0, "sym": False}),
        ("kaiser", {"beta": 5.0}),
    ]:
        made = getattr(signal.windows, name)(9, **kwargs)
        assert_same(made, getattr(torch.signal.windows, name)(9, **kwargs))
    with pytest.raises(ValueError, match="Center must be None"):
        signal.windows.exponential(5, center=1.0)
    with pytest.raises(ValueError, match="non-negative"):
        signal.windows.hann(-1)


S = floats(2, 40, dtype=np.float64)
W = floats(8, dtype=np.float64, low=0.5, high=1.0, seed=2)
STFT = [
    {"n_fft": 8, "return_complex": True},
    {"n_fft": 10, "hop_length": 3, "win_length": 8, "return_complex": True},
    {"n_fft": 8, "hop_length": 3, "center": False, "return_complex": True},
    {"n_fft": 8, "normalized": True, "pad_mode": "constant", "return_complex": True},
    {"n_fft": 8, "onesided": False, "return_complex": True, "hop_length": 4},
]


@pytest.mark.parametrize("settings", STFT)
def test_stft_and_its_inverse(settings):
    compare(
        lambda x, w: ours.stft(x, window=w, **settings),
        lambda x, w: torch.stft(x, window=w, **settings),
        S,
        W,
    )
    rest = {k: v for k, v in settings.items() if k not in ("pad_mode", "return_complex")}
    z = np.asarray(torch.stft(torch.from_numpy(S), window=torch.from_numpy(W), **settings))
    compare(
        lambda x, w: ours.istft(x, window=w, **rest),
        lambda x, w: torch.istft(x, window=w, **rest),
        z,
        W,
        grad="onesided" not in rest,
    )
    if settings.get("center", True):
        back = ours.istft(jtoolbox.tensor(z), window=jtoolbox.tensor(W), length=40, **rest)
        np.testing.assert_allclose(back.numpy(), S, atol=1e-9)


def test_stft_as_a_method_and_its_remarks():
    x = jtoolbox.tensor(S[0])
    with pytest.warns(UserWarning, match="window was not provided"):
        parts = x.stft(8, return_complex=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_same(parts, torch.from_numpy(S[0]).stft(8, return_complex=False))
    window = jtoolbox.hann_window(8, dtype=jtoolbox.float64)
    assert x.stft(8, window=window, return_complex=True).istft(8, window=window).shape == (40,)
    with pytest.raises(RuntimeError, match="return_complex parameter"):
        x.stft(8, window=window)
    z = x.stft(8, window=window, return_complex=True)
    with pytest.raises(RuntimeError, match="window overlap add min"):
        z.istft(8, window=window, center=False)
    with pytest.raises(RuntimeError, match="complex-valued input"):
        x.istft(8)
    with pytest.raises(RuntimeError, match="0 < win_length <= n_fft"):
        x.stft(8, win_length=9, window=window, return_complex=True)
