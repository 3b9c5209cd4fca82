"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import _pytree, checkpoint, data, tensorboard

__all__ = ["_pytree", "checkpoint", "data", "tensorboard"]
