"""Optimizers under PyTorch's names."""

from jtoolbox.optim.optimizer import Optimizer
from jtoolbox.optim.sgd import SGD

__all__ = ["SGD", "Optimizer"]
