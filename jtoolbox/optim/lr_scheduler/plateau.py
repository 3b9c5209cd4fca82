"""A schedule that follows a metric."""

from __future__ import annotations

import math
import warnings
from typing import Any, Literal

from jtoolbox.optim.lr_scheduler.base import EPOCH, LRScheduler, copied, each_group, set_value
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]

_GROUPS = (
    "the number of param groups in the `optimizer` ({groups}) differs from when "
    "`ReduceLROnPlateau` was initialized ({limits}), usually due to a new param group being added "
    "to the optimizer. Please modify the `min_lrs` field to match the length of the `optimizer` "
    "param groups."
)


class ReduceLROnPlateau(LRScheduler):
    """Multiplies lr by `factor` when `step(metric)` was not better for more than `patience` epochs.

    Better in mode "min" is below best (1 - threshold), with `threshold_mode` "abs" below
    best - threshold; in mode "max" above those with +. After a reduction `cooldown` epochs do not
    count. lr stays at least `min_lr` (one, or a list of one for each group), and changes of at most
    `eps` are left out. NaN is never better. ValueError for factor >= 1, unknown modes, and a
    `min_lr` of another length than the groups; TypeError if `optimizer` is none.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ):
        if factor >= 1.0:
            raise ValueError(f"Factor should be < 1.0. It came as {factor}.")
        self.factor = factor
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = _limits(optimizer, min_lr)
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = [copied(lr) for lr in self._rates()]
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode} is unknown! It is 'min' or 'max'.")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(f"threshold mode {threshold_mode} is unknown! It is 'rel' or 'abs'.")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self._reset()

    def _reset(self) -> None:
        """Forgets the best metric and all counts."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Takes the metric of an epoch, a number or a Tensor, and reduces lr if it is time."""
        current = float(metrics)
        if epoch is None:
            epoch = self.last_epoch + 1
        else:
            warnings.warn(EPOCH, UserWarning, stacklevel=2)
        self.last_epoch = epoch
        if self.is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [copied(lr) for lr in self._rates()]

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(groups) != len(self.min_lrs):
            if self.default_min_lr is None:
                raise RuntimeError(_GROUPS.format(groups=len(groups), limits=len(self.min_lrs)))
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                set_value(group, "lr", new)

    @property
    def in_cooldown(self) -> bool:
        """Whether bad epochs do not count at present."""
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        """Whether `a` is better than `best` by more than the threshold."""
        sign = -1.0 if self.mode == "min" else 1.0
        if self.threshold_mode == "abs":
            return sign * a > sign * (best + sign * self.threshold)
        return sign * a > sign * best * (1.0 + sign * self.threshold)


def _limits(optimizer: Optimizer, min_lr: Any) -> list[Any]:
    count = len(optimizer.param_groups)
    if isinstance(min_lr, (list, tuple)) and len(min_lr) != count:
        raise ValueError(f"expected {count} min_lrs, got {len(min_lr)}")
    return each_group("min_lr", optimizer, min_lr)
