"""Schedules that fall (or rise) by a formula of the epoch: steps, lines, powers.

Each has two forms. `get_lr` is chainable: it multiplies the present rate, so that several schedules
work together. The closed form gives the rate of any epoch from the initial one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from typing import Any

from jtoolbox.optim.lr_scheduler.base import LRScheduler
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["ConstantLR", "ExponentialLR", "LinearLR", "MultiStepLR", "PolynomialLR", "StepLR"]

_CONSTANT = "Constant multiplicative factor expected to be between 0 and 1. It came as {factor}."
_START = (
    "Starting multiplicative factor expected to be greater than 0 and less or equal to 1. It came "
    "as {factor}."
)
_END = "Ending multiplicative factor expected to be between 0 and 1. It came as {factor}."


class _ByFactor(LRScheduler):
    """A schedule that is a product: of one factor an epoch, or of one since the start."""

    def _factor(self, epoch: int) -> float:
        """What the rate is multiplied by when `epoch` begins."""
        raise NotImplementedError

    def _factor_since_start(self, epoch: int) -> float:
        """What the initial rate is multiplied by at `epoch`."""
        raise NotImplementedError

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        factor = self._factor(self.last_epoch)
        return self._rates() if factor == 1 else [lr * factor for lr in self._rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        factor = self._factor_since_start(self.last_epoch)
        return [lr * factor for lr in self.base_lrs]


class StepLR(_ByFactor):
    """Multiplies lr by `gamma` every `step_size` epochs: lr = initial lr gamma^(t // step_size)."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ):
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.gamma if epoch and epoch % self.step_size == 0 else 1

    def _factor_since_start(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(_ByFactor):
    """Multiplies lr by `gamma` at each epoch in `milestones` (twice where one is there twice).

    `milestones` is kept as a Counter, as in PyTorch's `state_dict`.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ):
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return self.gamma ** self.milestones[epoch]

    def _factor_since_start(self, epoch: int) -> float:
        return self.gamma ** bisect_right(sorted(self.milestones.elements()), epoch)


class ConstantLR(_ByFactor):
    """lr times `factor` before epoch `total_iters`, and lr itself from then on.

    ValueError unless 0 <= factor <= 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 <= factor <= 1:
            raise ValueError(_CONSTANT.format(factor=factor))
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        if epoch == 0:
            return self.factor
        return 1.0 / self.factor if epoch == self.total_iters else 1

    def _factor_since_start(self, epoch: int) -> float:
        return 1 if epoch >= self.total_iters else self.factor


class LinearLR(_ByFactor):
    """lr times a factor that goes in a line from `start_factor` to `end_factor`.

    It gets there at epoch `total_iters`. ValueError unless 0 < start_factor <= 1 and
    0 <= end_factor <= 1.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        if not 0 < start_factor <= 1:
            raise ValueError(_START.format(factor=start_factor))
        if not 0 <= end_factor <= 1:
            raise ValueError(_END.format(factor=end_factor))
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        if epoch == 0:
            return self.start_factor
        if self._is_initial or epoch > self.total_iters:
            return 1
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (epoch - 1) * rise)

    def _factor_since_start(self, epoch: int) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, epoch) / self.total_iters


class ExponentialLR(_ByFactor):
    """Multiplies lr by `gamma` every epoch: lr = initial lr gamma^t."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        return 1 if self._is_initial else self.gamma

    def _factor_since_start(self, epoch: int) -> float:
        return self.gamma**epoch


class PolynomialLR(_ByFactor):
    """lr = initial lr (1 - t / total_iters)^power, and 0 from epoch `total_iters` on."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ):
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self, epoch: int) -> float:
        if self._is_initial or epoch == 0 or epoch > self.total_iters:
            return 1
        left, before = (1.0 - t / self.total_iters for t in (epoch, epoch - 1))
        return (left / before) ** self.power

    def _factor_since_start(self, epoch: int) -> float:
        return (1.0 - min(self.total_iters, epoch) / self.total_iters) ** self.power
