"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import checkpoint, data, hooks, tensorboard

__all__ = ["checkpoint", "data", "hooks", "tensorboard"]
