"""`torch.utils.cpp_extension`: importing it works, building an extension raises and says why."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = ["CUDA_HOME", "BuildExtension", "CUDAExtension", "CppExtension", "load", "load_inline"]

CUDA_HOME = None
NO_EXTENSION = (
    "torch.utils.cpp_extension.{what}: extensions in C++ or CUDA are built against PyTorch's own "
    "library and cannot run here. Use the program's version in plain PyTorch, or write the kernel "
    "for JAX (jax.ffi, jax.experimental.pallas)."
)


def load(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises RuntimeError: PyTorch's extensions cannot run here."""
    raise RuntimeError(NO_EXTENSION.format(what=f"load({name!r})"))


def load_inline(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises RuntimeError: PyTorch's extensions cannot run here."""
    raise RuntimeError(NO_EXTENSION.format(what=f"load_inline({name!r})"))


def CppExtension(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises RuntimeError: PyTorch's extensions cannot run here."""
    raise RuntimeError(NO_EXTENSION.format(what=f"CppExtension({name!r})"))


def CUDAExtension(name: str, *args: Any, **kwargs: Any) -> NoReturn:
    """Raises RuntimeError: PyTorch's extensions cannot run here."""
    raise RuntimeError(NO_EXTENSION.format(what=f"CUDAExtension({name!r})"))


class BuildExtension:
    """Raises RuntimeError when it is made: PyTorch's extensions cannot run here."""

    def __init__(self, *args: Any, **kwargs: Any):
        raise RuntimeError(NO_EXTENSION.format(what="BuildExtension"))
