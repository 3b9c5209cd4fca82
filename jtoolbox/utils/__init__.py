"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import checkpoint, data, tensorboard

__all__ = ["checkpoint", "data", "tensorboard"]
