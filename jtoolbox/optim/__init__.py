"""Optimizers under PyTorch's names."""

from jtoolbox.optim.adam import Adam, AdamW
from jtoolbox.optim.optax import Optax
from jtoolbox.optim.optimizer import Optimizer
from jtoolbox.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optax", "Optimizer"]
