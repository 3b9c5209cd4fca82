"""Schedules that rise and fall, of lr and, against it, of momentum."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal

from jtoolbox.optim.lr_scheduler.base import LRScheduler, each_group, set_value
from jtoolbox.optim.lr_scheduler.functions import restored, saved
from jtoolbox.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR", "check_strategy"]

_NO_MOMENTUM = (
    "optimizer must support momentum or beta1 with `cycle_momentum` option enabled; "
    "{kind} has neither: pass cycle_momentum=False"
)
_STRATEGY = "anneal_strategy must be one of 'cos' or 'linear', instead got {name}"
_NO_TOTAL = "You must define either total_steps OR (epochs AND steps_per_epoch)"
_TOO_FAR = "Tried to step {step} times. The specified number of total steps is {total}"


def check_strategy(name: str) -> Literal["cos", "linear"]:
    """The name of a way of annealing; ValueError for others."""
    if name not in ("cos", "linear"):
        raise ValueError(_STRATEGY.format(name=name))
    return name  # type: ignore[return-value]


def _annealed(strategy: str, start: Any, end: Any, part: float) -> Any:
    """The value at a part, from 0 to 1, of the way from `start` to `end`."""
    if strategy == "linear":
        return (end - start) * part + start
    return end + (start - end) / 2 * (math.cos(math.pi * part) + 1)


class _WithMomentum(LRScheduler):
    """A schedule that also sets `momentum`, or the first of `betas` where there are betas."""

    use_beta1: bool

    def _start_momentum(
        self, optimizer: Optimizer, least: Any, most: Any, last_epoch: int
    ) -> tuple[list[Any], list[Any]]:
        """Finds what momentum is called and, unless resuming, sets it to `most`; both limits."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(_NO_MOMENTUM.format(kind=type(optimizer).__name__))
        self.use_beta1 = "betas" in optimizer.defaults
        lows = each_group("base_momentum", optimizer, least)
        highs = each_group("max_momentum", optimizer, most)
        if last_epoch == -1:
            for group, low, high in zip(optimizer.param_groups, lows, highs, strict=True):
                self._set_momentum(group, high)
                group["max_momentum"], group["base_momentum"] = high, low
        return lows, highs

    def _set_momentum(self, group: dict[str, Any], value: float) -> None:
        if self.use_beta1:
            group["betas"] = (value, *group["betas"][1:])
        else:
            set_value(group, "momentum", value)


class CyclicLR(_WithMomentum):
    """lr goes up from `base_lr` to `max_lr` and down again, in a cycle of batches; step each batch.

    Up takes `step_size_up` steps and down `step_size_down` (as many if None). The height of cycle n
    is constant in mode "triangular", halves each time in "triangular2", and is gamma^t in
    "exp_range"; or `scale_fn(x)`, of the cycle or of the steps by `scale_mode`. With
    `cycle_momentum`, momentum (or the first beta) goes from `max_momentum` down to `base_momentum`
    meanwhile. Numbers or one for each group. ValueError for an unknown mode or an optimizer without
    momentum. Smith, "Cyclical Learning Rates for Training Neural Networks",
    https://arxiv.org/abs/1506.01186.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | list[float],
        max_lr: float | list[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8,
        max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ):
        self._attach(optimizer)
        base_lrs = each_group("base_lr", optimizer, base_lr)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                set_value(group, "lr", lr)
        self.max_lrs = each_group("max_lr", optimizer, max_lr)
        up = float(step_size_up)
        self.total_size = up + (up if step_size_down is None else float(step_size_down))
        self.step_ratio = up / self.total_size
        if mode not in _SCALES and scale_fn is None:
            raise ValueError("mode is invalid and scale_fn is None")
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        own: Literal["cycle", "iterations"] = "iterations" if mode == "exp_range" else "cycle"
        self.scale_mode = own if scale_fn is None else scale_mode
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            limits = self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
            self.base_momentums, self.max_momentums = limits
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of the cycle: `x` is its number from 1, or the number of steps."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return _SCALES[self.mode](x, self.gamma)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        ramp = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height = ramp * self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            limits = zip(self.max_momentums, self.base_momentums, strict=True)
            for group, (high, low) in zip(self.optimizer.param_groups, limits, strict=True):
                self._set_momentum(group, high - (high - low) * height)
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [low + (high - low) * height for low, high in pairs]

    def state_dict(self) -> dict[str, Any]:
        """As of any schedule; a function as `scale_fn` is not saved, an object by attributes."""
        state = super().state_dict()
        custom = state.pop("_scale_fn_custom")
        return {**state, "_scale_fn_custom": None if custom is None else saved(custom)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As of any schedule; `scale_fn` stays the one that is here."""
        state = dict(state_dict)
        restored(self._scale_fn_custom, state.pop("_scale_fn_custom", None))
        super().load_state_dict(state)


_SCALES: dict[str, Callable[[float, float], float]] = {
    "triangular": lambda x, gamma: 1.0,
    "triangular2": lambda x, gamma: 1 / 2.0 ** (x - 1),
    "exp_range": lambda x, gamma: gamma**x,
}


class OneCycleLR(_WithMomentum):
    """lr rises once to `max_lr` and falls far below its start; step after each batch.

    It starts at max_lr / `div_factor`, peaks after the part `pct_start` of `total_steps` (or
    `epochs` times `steps_per_epoch`), and ends at its start / `final_div_factor`, along cosines or
    lines (`anneal_strategy`). With `three_phase` it falls as fast as it rose before the rest. With
    `cycle_momentum`, momentum (or the first beta) goes from `max_momentum` to `base_momentum` and
    back. A step after the last one raises ValueError, as do settings out of range. Smith and Topin,
    "Super-Convergence", https://arxiv.org/abs/1708.07120.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | list[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85,
        max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        self._attach(optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ValueError(f"Expected float between 0 and 1 pct_start, but got {pct_start}")
        self._schedule_phases = _phases(self.total_steps, pct_start, three_phase)
        self._anneal_func_type = check_strategy(anneal_strategy)
        max_lrs = each_group("max_lr", optimizer, max_lr)
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"] = high / div_factor
                group["max_lr"] = high
                group["min_lr"] = group["initial_lr"] / final_div_factor
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self._start_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        if self.last_epoch > self.total_steps:
            raise ValueError(_TOO_FAR.format(step=self.last_epoch, total=self.total_steps))
        phase, part = self._phase()
        anneal = functools.partial(_annealed, self._anneal_func_type)
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            start, end = phase["start_momentum"], phase["end_momentum"]
            for group in groups:
                self._set_momentum(group, anneal(group[start], group[end], part))
        return [anneal(group[phase["start_lr"]], group[phase["end_lr"]], part) for group in groups]

    def _phase(self) -> tuple[dict[str, Any], float]:
        """The phase of the present step, and the part of it that is over."""
        start = 0.0
        for phase in self._schedule_phases:
            if self.last_epoch <= phase["end_step"] or phase is self._schedule_phases[-1]:
                return phase, (self.last_epoch - start) / (phase["end_step"] - start)
            start = phase["end_step"]
        raise RuntimeError("a schedule without phases")


def _total_steps(total: int | None, epochs: int | None, per_epoch: int | None) -> int:
    if total is not None:
        return _positive("total_steps", total)
    if epochs is None or per_epoch is None:
        raise ValueError(_NO_TOTAL)
    return _positive("epochs", epochs) * _positive("steps_per_epoch", per_epoch)


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value <= 0:
        raise ValueError(f"Expected positive integer {name}, but got {value}")
    return value


def _phases(total: int, part: float, three: bool) -> list[dict[str, Any]]:
    """The phases by the step at their end and the settings of the group between which they go."""
    peak = float(part * total) - 1
    up = ("initial_lr", "max_lr", "max_momentum", "base_momentum")
    if three:
        back = ("max_lr", "initial_lr", "base_momentum", "max_momentum")
        rest = ("initial_lr", "min_lr", "max_momentum", "max_momentum")
        ends = {peak: up, float(2 * part * total) - 2: back, total - 1: rest}
    else:
        ends = {peak: up, total - 1: ("max_lr", "min_lr", "base_momentum", "max_momentum")}
    names = ("start_lr", "end_lr", "start_momentum", "end_momentum")
    return [{"end_step": end, **dict(zip(names, v, strict=True))} for end, v in ends.items()]
