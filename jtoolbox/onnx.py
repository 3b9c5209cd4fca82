"""`torch.onnx`: not there, and it says so."""

from __future__ import annotations

from typing import Any

__all__ = [
    *("OnnxExporterError", "export", "is_in_onnx_export"),
    *("register_custom_op_symbolic", "unregister_custom_op_symbolic"),
]

NO_EXPORT = (
    "torch.onnx.export is not supported. Save the weights (torch.save(model.state_dict(), path), "
    "which PyTorch reads too) and export from PyTorch, or export the function with jax.export or "
    "jax2onnx from jtoolbox.func.functional_call"
)


class OnnxExporterError(RuntimeError):
    """What PyTorch raises when an export fails."""


def export(*args: Any, **kwargs: Any) -> Any:
    """Not there: raises NotImplementedError, which says what to do instead."""
    raise NotImplementedError(NO_EXPORT)


def register_custom_op_symbolic(
    symbolic_name: str, symbolic_fn: Any, opset_version: int, custom_opsets: Any = None
) -> None:
    """Does nothing: it says how to export an operation, and nothing is exported."""


def unregister_custom_op_symbolic(symbolic_name: str, opset_version: int) -> None:
    """Does nothing."""


def is_in_onnx_export() -> bool:
    """False."""
    return False
