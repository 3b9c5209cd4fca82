"""`torch.backends`: switches that programs set and that mean nothing to XLA, kept as attributes."""

from __future__ import annotations

from types import SimpleNamespace

from jtoolbox import cuda as _cuda

cudnn = SimpleNamespace(
    benchmark=False,
    deterministic=False,
    enabled=True,
    allow_tf32=True,
    is_available=_cuda.is_available,
    version=lambda: None,
)
mps = SimpleNamespace(is_available=lambda: False, is_built=lambda: False)
cuda = SimpleNamespace(matmul=SimpleNamespace(allow_tf32=False), is_built=_cuda.is_available)
mkldnn = SimpleNamespace(enabled=False, is_available=lambda: False)
