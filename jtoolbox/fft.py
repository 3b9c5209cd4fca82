"""Discrete Fourier transforms under PyTorch's `torch.fft` names."""

# ruff: noqa: F403
from jtoolbox.ops import fourier
from jtoolbox.ops.fourier import *

__all__ = fourier.__all__
