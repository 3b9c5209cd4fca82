"""Learning-rate schedules under PyTorch's names."""

from jtoolbox.optim.lr_scheduler.base import LRScheduler, _LRScheduler
from jtoolbox.optim.lr_scheduler.combined import ChainedScheduler, SequentialLR
from jtoolbox.optim.lr_scheduler.cosine import CosineAnnealingLR, CosineAnnealingWarmRestarts
from jtoolbox.optim.lr_scheduler.cyclic import CyclicLR, OneCycleLR
from jtoolbox.optim.lr_scheduler.decay import (
    ConstantLR,
    ExponentialLR,
    LinearLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from jtoolbox.optim.lr_scheduler.functions import LambdaLR, MultiplicativeLR
from jtoolbox.optim.lr_scheduler.plateau import ReduceLROnPlateau

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "_LRScheduler",
]
