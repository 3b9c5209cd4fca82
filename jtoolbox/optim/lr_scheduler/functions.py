"""Schedules given by functions of the epoch."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jtoolbox.optim.lr_scheduler.base import LRScheduler
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["LambdaLR", "MultiplicativeLR", "restored", "saved"]

Function = Callable[[int], float]


class _ByFunctions(LRScheduler):
    """A function for each group, of which callable objects are saved by their attributes."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Function | Sequence[Function],
        last_epoch: int = -1,
    ):
        count = len(getattr(optimizer, "param_groups", ()))
        functions = list(lr_lambda) if isinstance(lr_lambda, (list, tuple)) else [lr_lambda] * count
        if len(functions) != count:
            raise ValueError(f"Expected {count} lr_lambdas, but got {len(functions)}")
        self.lr_lambdas: list[Any] = functions
        super().__init__(optimizer, last_epoch)

    def _factors(self) -> list[float]:
        return [function(self.last_epoch) for function in self.lr_lambdas]

    def state_dict(self) -> dict[str, Any]:
        """As of any schedule. Functions and lambdas are not saved: None stands for each."""
        state = super().state_dict()
        del state["lr_lambdas"]
        return {**state, "lr_lambdas": [saved(function) for function in self.lr_lambdas]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As of any schedule; callable objects get their attributes back, functions stay."""
        state = dict(state_dict)
        for function, attributes in zip(self.lr_lambdas, state.pop("lr_lambdas"), strict=False):
            restored(function, attributes)
        super().load_state_dict(state)


class LambdaLR(_ByFunctions):
    """lr = initial lr * lr_lambda(epoch), by one function or a list of one for each group.

    ValueError if there are more or fewer functions than groups.
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        return [lr * f for lr, f in zip(self.base_lrs, self._factors(), strict=True)]


class MultiplicativeLR(_ByFunctions):
    """lr = lr * lr_lambda(epoch) at every epoch after the first.

    One function, or a list of one for each group (ValueError for more or fewer).
    """

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self._is_initial:
            return self._rates()
        return [lr * f for lr, f in zip(self._rates(), self._factors(), strict=True)]


def saved(function: Any) -> dict[str, Any] | None:
    """The attributes of a callable object; None for a plain function, and one of C."""
    plain = isinstance(function, types.FunctionType) or not hasattr(function, "__dict__")
    return None if plain else dict(function.__dict__)


def restored(function: Any, attributes: Mapping[str, Any] | None) -> None:
    """Gives a callable object its attributes back."""
    if attributes is not None:
        function.__dict__.update(attributes)
