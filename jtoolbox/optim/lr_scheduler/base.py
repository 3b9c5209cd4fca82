"""The base of all schedules: it sets `lr` in every group of an optimizer, once a step.

NOTE: what a schedule changes. Settings of a group are read at every optimizer step and enter the
program as data, so a schedule compiles nothing, also around a step under `jtoolbox.jit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from jtoolbox.engine import mode, no_grad
from jtoolbox.optim.optimizer import Optimizer
from jtoolbox.tensor import Tensor

__all__ = ["EPOCH", "LRScheduler", "_LRScheduler", "copied", "each_group", "set_value"]

EPOCH = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where "
    "possible. Please use `scheduler.step()` to step the scheduler. With an epoch, the closed form "
    "is used instead of the new chainable form, where there is one; the two differ when lr is also "
    "changed by others."
)
_LAST_LR = (
    "To get the last learning rate computed by the scheduler, please use `get_last_lr()`: "
    "get_lr() computes the next one from the present one."
)
_ORDER = (
    "Detected call of `lr_scheduler.step()` before `optimizer.step()`. Call them in the opposite "
    "order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the "
    "schedule is skipped."
)
_OVERRIDDEN = (
    "Seems like `optimizer.step()` has been overridden after learning rate scheduler "
    "initialization. Please make sure to call `optimizer.step()` before `lr_scheduler.step()`."
)
_RESUMED = (
    "param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with "
    "last_epoch >= 0. Load the optimizer's state_dict first, which has it, or leave last_epoch "
    "away in a new training."
)
_FROZEN = (
    "scheduler.step() inside a step under jtoolbox.jit or scan would run only while the step is "
    "recorded. Call it after the step: the changed lr enters the next call and compiles nothing."
)


class LRScheduler:
    """A schedule: `step()` after each epoch (or batch) gives every group of the optimizer its `lr`.

    A schedule of your own overrides `get_lr`, which returns one rate per group from
    `self.last_epoch` (0 at first), `self.base_lrs` and the groups' present `lr`. Making one sets
    the first rates; with `last_epoch` it goes on after that epoch, and each group must have
    `initial_lr` (KeyError otherwise). TypeError if `optimizer` is none. `step()` before the
    optimizer's warns, and inside `jtoolbox.jit` raises RuntimeError.
    """

    _get_lr_called_within_step = False
    _is_initial = False
    optimizer: Any
    base_lrs: list[Any]
    last_epoch: int
    _step_count: int
    _last_lr: list[Any]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        self._attach(optimizer)
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(_RESUMED.format(i=i))
        self.base_lrs = [copied(group["initial_lr"]) for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._initial_step()

    def _attach(self, optimizer: Optimizer) -> None:
        """Takes the optimizer, which is watched until its first step."""
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")
        self.optimizer = optimizer
        _watch(optimizer)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        _watch(self.optimizer)

    def _initial_step(self) -> None:
        """Sets the first rates."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    # --- the schedule

    def get_lr(self) -> list[Any]:
        """The rate of each group at `self.last_epoch`; called by `step()`."""
        raise NotImplementedError(f"{type(self).__name__} must define get_lr(): a rate per group")

    def _rates(self) -> list[Any]:
        """The present rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(_LAST_LR, UserWarning, stacklevel=3)

    def get_last_lr(self) -> list[Any]:
        """The rates that the last step set, one for each group."""
        return [copied(lr) for lr in self._last_lr]

    def step(self, epoch: int | None = None) -> None:
        """Goes on to the next epoch. Naming one is deprecated, as in PyTorch, and warns."""
        if self._step_count == 1:
            self._check_order()
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _check_order(self) -> None:
        if self.optimizer.__dict__["_opt_called"]:
            return
        replaced = "step" in self.optimizer.__dict__
        warnings.warn(_OVERRIDDEN if replaced else _ORDER, UserWarning, stacklevel=3)

    def _update_lr(self, epoch: int | None = None) -> None:
        """Sets the rates of the next epoch, or of the one named, by its closed form if any."""
        with self._stepping():
            if epoch is None:
                self.last_epoch += 1
                values = self.get_lr()
            else:
                self.last_epoch = epoch
                closed = getattr(self, "_get_closed_form_lr", self.get_lr)
                values = closed()
        self._set(values)

    @contextmanager
    def _stepping(self) -> Iterator[None]:
        if mode.capture is not None:
            raise RuntimeError(_FROZEN)
        self._get_lr_called_within_step = True
        try:
            yield
        finally:
            self._get_lr_called_within_step = False

    def _set(self, values: list[Any]) -> None:
        for group, value in zip(self.optimizer.param_groups, values, strict=False):
            set_value(group, "lr", value)
        self._last_lr = [copied(lr) for lr in self._rates()]

    # --- saving

    def state_dict(self) -> dict[str, Any]:
        """All attributes but the optimizer, in PyTorch's layout; `torch`'s schedule can load it."""
        return {name: value for name, value in self.__dict__.items() if name != "optimizer"}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Takes over the attributes of a `state_dict`, jtoolbox's or PyTorch's.

        The optimizer's `lr` is not among them: load the optimizer's own `state_dict` too.
        """
        self.__dict__.update(state_dict)


class _LRScheduler(LRScheduler):
    """The older name of `LRScheduler`, for subclasses."""


def _watch(optimizer: Optimizer) -> None:
    """Notes the optimizer's next step in `_opt_called`, unless there was one already."""
    seen = optimizer.__dict__
    if seen.setdefault("_opt_called", False):
        return

    def note(*_: Any) -> None:
        seen["_opt_called"] = True
        handle.remove()

    handle = optimizer.register_step_post_hook(note)


@no_grad()
def set_value(group: dict[str, Any], name: str, value: Any) -> None:
    """Sets a number of a group; a Tensor there is filled, so that others who hold it see it."""
    if isinstance(group[name], Tensor):
        group[name].fill_(float(value))
    else:
        group[name] = value


def copied(value: Any) -> Any:
    """A number as it is, a Tensor as one of its own."""
    return value.detach().clone() if isinstance(value, Tensor) else value


def each_group(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A setting for each group: one for all, or a list of one each (ValueError otherwise)."""
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} "
            f"values, param_groups has {count}."
        )
    return list(value)
