"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import (
    _pytree,
    benchmark,
    checkpoint,
    cpp_extension,
    data,
    dlpack,
    hooks,
    model_zoo,
    tensorboard,
)

__all__ = [
    "_pytree",
    "benchmark",
    "checkpoint",
    "cpp_extension",
    "data",
    "dlpack",
    "hooks",
    "model_zoo",
    "tensorboard",
]
