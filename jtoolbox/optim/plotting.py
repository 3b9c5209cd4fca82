"""A picture of a schedule."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jtoolbox.optim.sgd import SGD
from jtoolbox.tensor import from_host

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_schedule", "trace_schedule"]

_MISSING = 'plot_schedule() needs matplotlib: pip install matplotlib, or "jtoolbox[examples]"'
_STEPS = "steps must be 1 or more, got {steps}"
_METRICS = "metrics must be one for each step: got {count} for {steps} steps"


def trace_schedule(
    schedule: Callable[[Any], Any],
    steps: int,
    lr: float | Sequence[float] = 0.1,
    momentum: float = 0.9,
    metrics: Sequence[float] | None = None,
) -> dict[str, np.ndarray]:
    """The rates that a schedule sets: {"lr": ..., "momentum": ...}, each (steps + 1, groups).

    `schedule(optimizer)` makes the schedule; the optimizer is an SGD of its own with a group for
    each `lr`, and trains nothing. `metrics`, one for each step, go to `step(metric)`, as
    `ReduceLROnPlateau` needs. ValueError for less than one step or another number of metrics.
    """
    if steps < 1:
        raise ValueError(_STEPS.format(steps=steps))
    if metrics is not None and len(metrics) != steps:
        raise ValueError(_METRICS.format(count=len(metrics), steps=steps))
    rates = [lr] if isinstance(lr, (int, float)) else list(lr)
    groups = [
        {"params": [from_host(np.zeros(1, np.float32)).requires_grad_()], "lr": r} for r in rates
    ]
    optimizer = SGD(groups, momentum=momentum)
    scheduler = schedule(optimizer)
    found = [_settings(optimizer)]
    for i in range(steps):
        optimizer.step()
        scheduler.step(*([] if metrics is None else [metrics[i]]))
        found.append(_settings(optimizer))
    return {name: np.array([f[name] for f in found]) for name in found[0]}


def _settings(optimizer: Any) -> dict[str, list[float]]:
    names = ("lr", "momentum")
    return {name: [float(g[name]) for g in optimizer.param_groups] for name in names}


def plot_schedule(
    schedule: Callable[[Any], Any],
    steps: int,
    lr: float | Sequence[float] = 0.1,
    momentum: float = 0.9,
    metrics: Sequence[float] | None = None,
) -> Figure:
    """A matplotlib figure of the rates that a schedule sets in so many steps, one line a group.

    Arguments and errors are those of `trace_schedule`. Momentum has axes of its own below where the
    schedule changes it. ImportError without matplotlib.

        figure = optim.plot_schedule(lambda o: OneCycleLR(o, max_lr=0.1, total_steps=100), 99)
        figure.savefig("schedule.png")
    """
    try:
        figure_module = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError(_MISSING) from error
    traces = trace_schedule(schedule, steps, lr, momentum, metrics)
    if np.ptp(traces["momentum"]) == 0:
        del traces["momentum"]
    figure = figure_module.Figure(figsize=(6, 2 + 2 * len(traces)), layout="constrained")
    axes = figure.subplots(len(traces), sharex=True, squeeze=False)[:, 0]
    for ax, (name, values) in zip(axes, traces.items(), strict=True):
        for i, line in enumerate(values.T):
            ax.plot(line, label=f"group {i}")
        ax.set_ylabel("learning rate" if name == "lr" else name)
    if len(traces["lr"][0]) > 1:
        axes[0].legend()
    axes[-1].set_xlabel("step of the schedule")
    return figure
