"""`torch.backends.cuda`: attributes to set, and questions about attention kernels.

The precision of products on GPUs is JAX's: `jax.config.update("jax_default_matmul_precision",
"float32")` forbids TF32, or `torch.set_float32_matmul_precision`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from jtoolbox.cuda import is_available

__all__ = [
    "allow_fp16_bf16_reduction_math_sdp",
    "cudnn_sdp_enabled",
    "enable_cudnn_sdp",
    "enable_flash_sdp",
    "enable_math_sdp",
    "enable_mem_efficient_sdp",
    "flash_sdp_enabled",
    "fp16_bf16_reduction_math_sdp_allowed",
    "is_built",
    "is_flash_attention_available",
    "math_sdp_enabled",
    "matmul",
    "mem_efficient_sdp_enabled",
    "preferred_blas_library",
    "preferred_linalg_library",
    "sdp_kernel",
]

matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
cufft_plan_cache = SimpleNamespace(size=0, max_size=0, clear=lambda: None)
DEPRECATED_KERNEL = (
    "`torch.backends.cuda.sdp_kernel()` is deprecated: `torch.nn.attention.sdpa_kernel()` is the "
    "new context manager."
)
_libraries = {"linalg": "default", "blas": "default"}
_sdp = {"reduced": False, "flash": True, "math": True, "mem_efficient": True, "cudnn": True}


def is_built() -> bool:
    """Whether JAX was installed for GPUs that are there."""
    return is_available()


def is_flash_attention_available() -> bool:
    """False: attention is XLA's."""
    return False


def enable_flash_sdp(enabled: bool) -> None:
    """Remembers the choice; attention is the same for all of them."""
    _sdp["flash"] = bool(enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Remembers the choice; attention is the same for all of them."""
    _sdp["math"] = bool(enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Remembers the choice; attention is the same for all of them."""
    _sdp["mem_efficient"] = bool(enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Remembers the choice; attention is the same for all of them."""
    _sdp["cudnn"] = bool(enabled)


def flash_sdp_enabled() -> bool:
    """What was chosen."""
    return _sdp["flash"]


def math_sdp_enabled() -> bool:
    """What was chosen."""
    return _sdp["math"]


def mem_efficient_sdp_enabled() -> bool:
    """What was chosen."""
    return _sdp["mem_efficient"]


def cudnn_sdp_enabled() -> bool:
    """What was chosen."""
    return _sdp["cudnn"]


def allow_fp16_bf16_reduction_math_sdp(enabled: bool) -> None:
    """Remembers the choice; sums of attention are in float32."""
    _sdp["reduced"] = bool(enabled)


def fp16_bf16_reduction_math_sdp_allowed() -> bool:
    """What was chosen."""
    return _sdp["reduced"]


def preferred_linalg_library(backend: str | None = None) -> str:
    """Remembers "default", "cusolver" or "magma", and says what was chosen: XLA's is used."""
    return _preferred("linalg", backend, ("default", "cusolver", "magma"))


def preferred_blas_library(backend: str | None = None) -> str:
    """Remembers "default", "cublas", "cublaslt" or "ck", and says which: XLA's is used."""
    return _preferred("blas", backend, ("default", "cublas", "cublaslt", "hipblaslt", "ck"))


def _preferred(kind: str, backend: str | None, known: tuple[str, ...]) -> str:
    if backend is not None:
        if str(backend).lower() not in known:
            raise RuntimeError(f"Unknown input value {backend!r}. Choose from: {', '.join(known)}")
        _libraries[kind] = str(backend).lower()
    return _libraries[kind]


@contextmanager
def sdp_kernel(
    enable_flash: bool = True,
    enable_math: bool = True,
    enable_mem_efficient: bool = True,
    enable_cudnn: bool = True,
) -> Iterator[dict[str, Any]]:
    """Remembers these choices within the context, with PyTorch's warning that it is deprecated."""
    warnings.warn(DEPRECATED_KERNEL, FutureWarning, stacklevel=3)
    before = dict(_sdp)
    chosen = (enable_flash, enable_math, enable_mem_efficient, enable_cudnn)
    _sdp.update(zip(("flash", "math", "mem_efficient", "cudnn"), chosen, strict=True))
    try:
        yield {}
    finally:
        _sdp.update(before)
