"""Schedules made of others: one after another, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any, cast

from jtoolbox.optim.lr_scheduler.base import LRScheduler, copied, set_value
from jtoolbox.optim.lr_scheduler.plateau import ReduceLROnPlateau
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]

_PLATEAU = (
    "{kind} does not support `ReduceLROnPlateau` scheduler as it requires additional kwargs to be "
    "specified when calling `step`, but got one at index {i} in the given schedulers sequence."
)
_OTHER = (
    "{kind} expects all schedulers to belong to the same optimizer, but got scheduler {name} at "
    "index {i} has {theirs}, which is different from {ours}."
)
_COUNTS = (
    "Sequential Schedulers expects number of schedulers provided to be one more than the number of "
    "milestone points, but got number of schedulers {schedulers} and the number of milestones to "
    "be equal to {milestones}"
)


class _Combined(LRScheduler):
    """What a schedule of schedules shares: checks and a `state_dict` that holds theirs."""

    _schedulers: list[Any]

    def _check(self, schedulers: Sequence[Any], optimizer: Optimizer | None) -> Optimizer:
        """The optimizer of all; ValueError if it is not one, or a schedule does not fit in."""
        kind = type(self).__name__
        for i, scheduler in enumerate(schedulers):
            if not hasattr(scheduler, "optimizer"):
                raise TypeError(f"{kind} at index {i} should have `optimizer` as its attribute.")
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ValueError(_PLATEAU.format(kind=kind, i=i))
            optimizer = scheduler.optimizer if optimizer is None else optimizer
            if scheduler.optimizer is not optimizer:
                name, theirs, ours = type(scheduler).__name__, scheduler.optimizer, type(optimizer)
                words = _OTHER.format(kind=kind, name=name, i=i, theirs=theirs, ours=ours.__name__)
                raise ValueError(words)
        return cast(Optimizer, optimizer)

    def state_dict(self) -> dict[str, Any]:
        """As of any schedule, with the `state_dict` of each under "_schedulers"."""
        state = super().state_dict()
        del state["_schedulers"]
        return {**state, "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As of any schedule, for each of them too."""
        state = dict(state_dict)
        for scheduler, theirs in zip(self._schedulers, state.pop("_schedulers"), strict=True):
            scheduler.load_state_dict(theirs)
        super().load_state_dict(state)


class SequentialLR(_Combined):
    """One schedule after another: number i + 1 starts from its epoch 0 at `milestones[i]`.

    All are of one optimizer and made before. ValueError if they are none, of several optimizers,
    `ReduceLROnPlateau`, or not one more than the milestones.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ):
        if len(schedulers) < 1:
            raise ValueError("SequentialLR expects at least one scheduler, but got no scheduler.")
        self._check(schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            counts = {"schedulers": len(schedulers), "milestones": len(milestones)}
            raise ValueError(_COUNTS.format(**counts))
        self._schedulers = schedulers
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        self.optimizer = optimizer
        # Each took its first step when it was made; only the first schedule's counts.
        for group in optimizer.param_groups:
            set_value(group, "lr", group["initial_lr"])
        for scheduler in schedulers:
            _take_back(scheduler)
        schedulers[0]._initial_step()
        self._last_lr = schedulers[0].get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Goes on to the next epoch of the schedule whose turn it is."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _take_back(scheduler: Any) -> None:
    """Takes the first step of a schedule back; of a combined one, as PyTorch, those inside."""
    if isinstance(scheduler, _Combined):
        for inner in scheduler._schedulers:
            _take_back(inner)
    else:
        scheduler.last_epoch -= 1


class ChainedScheduler(_Combined):
    """All schedules at once, in order: their factors multiply, as they are chainable.

    ValueError if they are none, of several optimizers, or `ReduceLROnPlateau`.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        if len(schedulers) < 1:
            raise ValueError(
                "ChainedScheduler expects at least one scheduler to be chained, but got no "
                "scheduler."
            )
        self.optimizer = self._check(schedulers, optimizer)
        self._schedulers = list(schedulers)
        self._last_lr = [copied(lr) for lr in self._rates()]

    def step(self) -> None:  # type: ignore[override]
        """Goes on to the next epoch of each."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = [copied(lr) for lr in self._rates()]
