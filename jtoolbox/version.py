"""`torch.version`: what programs ask for. There is no CUDA build: JAX brings its own."""

from __future__ import annotations

__all__ = ["cuda", "debug", "git_version", "hip", "xpu"]

# The version of PyTorch whose behaviour is the reference.
torch = "2.13.0"
debug = False
git_version = "unknown"
cuda: str | None = None
hip: str | None = None
xpu: str | None = None
rocm: str | None = None
__version__ = torch
