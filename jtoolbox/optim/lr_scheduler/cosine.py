"""Schedules along a cosine."""

from __future__ import annotations

import math
from typing import Any

from jtoolbox.optim.lr_scheduler.base import LRScheduler
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


def _height(part: float) -> float:
    """The cosine from 1 at part 0 to 0 at part 1."""
    return (1 + math.cos(math.pi * part)) / 2


class CosineAnnealingLR(LRScheduler):
    """lr falls along a half cosine from the initial one to `eta_min` at epoch `T_max`.

    lr = eta_min + (initial lr - eta_min) (1 + cos(pi t / T_max)) / 2; after T_max it rises again.
    The chainable form multiplies lr - eta_min by the ratio of two epochs' heights. Loshchilov and
    Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", without the restarts,
    https://arxiv.org/abs/1608.03983.
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ):
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        t, low = self.last_epoch, self.eta_min
        if self._is_initial or t == 0:
            return self._rates()
        if (t - 1 - self.T_max) % (2 * self.T_max) == 0:  # from the valley, where the height is 0
            up = _height(1 - 1 / self.T_max)
            pairs = zip(self._rates(), self.base_lrs, strict=True)
            return [lr + (base - low) * up for lr, base in pairs]
        ratio = _height(t / self.T_max) / _height((t - 1) / self.T_max)
        return [low + (lr - low) * ratio for lr in self._rates()]

    def _get_closed_form_lr(self) -> list[Any]:
        height = _height(self.last_epoch / self.T_max)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """lr falls along a half cosine to `eta_min` and starts anew, after T_0 epochs at first.

    lr = eta_min + (initial lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2, with T_cur epochs since the
    last restart and T_i between restarts: `T_0`, then `T_mult` times as many each time. Here
    `step(epoch)` with a fraction, as epoch + batch / batches, is not deprecated. ValueError unless
    T_0 and T_mult are integers of at least 1. Loshchilov and Hutter, "SGDR",
    https://arxiv.org/abs/1608.03983.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ):
        if not isinstance(T_0, int) or T_0 <= 0:
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if not isinstance(T_mult, int) or T_mult < 1:
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            kind = type(eta_min)
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {kind}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        height = _height(self.T_cur / self.T_i)
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Goes on by one epoch, or to the one given, which may have a fraction and go back."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        else:
            self._restart_before(epoch)
        self.last_epoch = math.floor(epoch)
        with self._stepping():
            values = self.get_lr()
        self._set(values)

    def _restart_before(self, epoch: float) -> None:
        """Sets T_i and T_cur to those of an epoch."""
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        else:
            ratio = self.T_mult
            n = int(math.log(epoch / self.T_0 * (ratio - 1) + 1, ratio))
            self.T_i = self.T_0 * ratio**n
            self.T_cur = epoch - self.T_0 * (ratio**n - 1) / (ratio - 1)
