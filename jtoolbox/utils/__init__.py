"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import checkpoint, data, dlpack, hooks, model_zoo, tensorboard

__all__ = ["checkpoint", "data", "dlpack", "hooks", "model_zoo", "tensorboard"]
