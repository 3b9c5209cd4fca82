"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import _pytree, checkpoint, cpp_extension, data, hooks, tensorboard

__all__ = ["_pytree", "checkpoint", "cpp_extension", "data", "hooks", "tensorboard"]
