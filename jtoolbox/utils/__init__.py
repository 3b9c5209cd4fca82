"""Helpers around training: loading data, checkpoints of memory, logs."""

from jtoolbox.utils import benchmark, checkpoint, data, dlpack, tensorboard

__all__ = ["benchmark", "checkpoint", "data", "dlpack", "tensorboard"]
