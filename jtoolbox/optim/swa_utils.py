"""Averages of a model's parameters over its training, and what goes with them."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from jtoolbox import dtypes
from jtoolbox.devices import device as Device
from jtoolbox.engine import Array, no_grad, op
from jtoolbox.nn.batchnorm import _BatchNorm
from jtoolbox.nn.module import Module
from jtoolbox.ops.creation import zeros
from jtoolbox.optim.lr_scheduler.base import LRScheduler, each_group
from jtoolbox.optim.lr_scheduler.cyclic import check_strategy
from jtoolbox.optim.optimizer import Optimizer

__all__ = [
    "AveragedModel",
    "SWALR",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Any, Any, Any], Any]
MultiAverage = Callable[[Sequence[Any], Sequence[Any], Any], None]

_DECAY = "Invalid decay value {decay} provided. Please provide a value in [0,1] range."
_ONE_FUNCTION = "Only one of avg_fn and multi_avg_fn should be provided"
_EPOCHS = "anneal_epochs must be equal or greater than 0, got {epochs}"


# --- the two averages


def _swa(average: Any, current: Any, count: Any) -> Any:
    """The mean of `count` earlier values, whose mean is `average`, and of the present one."""
    return average + (current - average) / (count + 1)


def _ema(average: Any, current: Any, decay: Any) -> Any:
    """The running mean: decay * average + (1 - decay) * current."""
    return decay * average + (1 - decay) * current


@op(saves="none", differentiable=False)
def _swa_of_all(
    averages: Sequence[Array], currents: Sequence[Array], count: Array
) -> tuple[Array, ...]:
    pairs = zip(averages, currents, strict=True)
    return tuple([_swa(a, c, count).astype(a.dtype) for a, c in pairs])


@op(saves="none", differentiable=False)
def _ema_of_all(
    averages: Sequence[Array], currents: Sequence[Array], decay: Array
) -> tuple[Array, ...]:
    pairs = zip(averages, currents, strict=True)
    return tuple([_ema(a, c, decay).astype(a.dtype) for a, c in pairs])


def get_swa_avg_fn() -> Average:
    """f(average, current, count) that gives the mean of all values so far, for `AveragedModel`."""
    return no_grad()(_swa)


def get_swa_multi_avg_fn() -> MultiAverage:
    """f(averages, currents, count) that writes all means in place, by one program.

    Integers are rounded towards zero; PyTorch's raises for them.
    """

    @no_grad()
    def swa_update(averages: Sequence[Any], currents: Sequence[Any], count: Any) -> None:
        _write(averages, _swa_of_all(_detached(averages), _detached(currents), count))

    return swa_update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """f(average, current, count) that gives decay * average + (1 - decay) * current.

    ValueError unless 0 <= decay <= 1.
    """
    _check_decay(decay)
    return no_grad()(lambda average, current, count: _ema(average, current, decay))


def get_ema_multi_avg_fn(decay: float = 0.999) -> MultiAverage:
    """f(averages, currents, count) that writes all running means in place, by one program.

    ValueError unless 0 <= decay <= 1. Integers are rounded towards zero.
    """
    _check_decay(decay)

    @no_grad()
    def ema_update(averages: Sequence[Any], currents: Sequence[Any], count: Any) -> None:
        _write(averages, _ema_of_all(_detached(averages), _detached(currents), decay))

    return ema_update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(_DECAY.format(decay=decay))


def _detached(tensors: Iterable[Any]) -> list[Any]:
    return [t.detach() for t in tensors]


def _write(targets: Iterable[Any], values: Iterable[Any]) -> None:
    for target, value in zip(targets, values, strict=True):
        target.detach().copy_(value)


# --- the model


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's, one `update_parameters` each.

    The mean of all by default (stochastic weight averaging); with
    `multi_avg_fn=get_ema_multi_avg_fn(0.999)` a running mean; or any f(average, current, count) as
    `avg_fn` (AssertionError for both). Buffers are the model's last, or averaged too with
    `use_buffers`. A model with BatchNorm needs `update_bn` afterwards. `n_averaged` counts the
    updates. Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization",
    https://arxiv.org/abs/1803.05407; Polyak and Juditsky, https://doi.org/10.1137/0330046.

        average = AveragedModel(model)
        for epoch in range(epochs):
            train(model)
            average.update_parameters(model)
        update_bn(loader, average)
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: int | str | Device | None = None,
        avg_fn: Average | None = None,
        multi_avg_fn: MultiAverage | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError(_ONE_FUNCTION)
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", zeros((), dtype=dtypes.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The model with the averages."""
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Module) -> None:
        """Takes the present parameters of `model` into the averages; the first time, as they are.

        Between steps, not inside one under `jtoolbox.jit` (the count's value is needed).
        """
        averages, currents = (self._averaged(m) for m in (self.module, model))
        currents = [c.detach().to(a.device) for c, a in zip(currents, averages, strict=True)]
        if not self.n_averaged.item():
            _write(averages, currents)
        elif self.avg_fn is not None:
            pairs = zip(averages, currents, strict=True)
            news = [self.avg_fn(a.detach(), c, self.n_averaged.to(a.device)) for a, c in pairs]
            _write(averages, news)
        else:
            update = self.multi_avg_fn or get_swa_multi_avg_fn()
            update(averages, currents, self.n_averaged)
        if not self.use_buffers:
            _write(self.module.buffers(), [b.detach() for b in model.buffers()])
        self.n_averaged.add_(1)

    def _averaged(self, model: Module) -> list[Any]:
        buffers = model.buffers() if self.use_buffers else ()
        return list(itertools.chain(model.parameters(), buffers))


@no_grad()
def update_bn(
    loader: Iterable[Any], model: Module, device: int | str | Device | None = None
) -> None:
    """Sets the running statistics of all BatchNorm layers to the means over a pass of the data.

    `loader` gives batches, or lists whose first is the batch; each goes through the model in
    training mode, without gradients. The model's mode and momenta are as before afterwards.
    """
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    training = model.training
    model.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    for batch in loader:
        batch = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(batch if device is None else batch.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    model.train(training)


# --- the schedule


class SWALR(LRScheduler):
    """lr goes from what it is to `swa_lr` within `anneal_epochs`, and stays there.

    Along a cosine or a line (`anneal_strategy` "cos" or "linear"). `swa_lr` is one number, or a
    list of one for each group. It is chainable: other schedules may change lr meanwhile. ValueError
    for another strategy or anneal_epochs that is no integer of at least 0.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | list[float],
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ):
        for group, lr in zip(
            optimizer.param_groups, each_group("swa_lr", optimizer, swa_lr), strict=True
        ):
            group["swa_lr"] = lr
        self._anneal_strategy = check_strategy(anneal_strategy)
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(_EPOCHS.format(epochs=anneal_epochs))
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        # Without annealing the very first step is the end of it.
        step = max(1, self._step_count - 1) if self.anneal_epochs == 0 else self._step_count - 1
        before, now = self._weight(step - 1), self._weight(step)
        found = []
        for group in self.optimizer.param_groups:
            end, lr = group["swa_lr"], group["lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            found.append(end * now + start * (1 - now))
        return found

    def _weight(self, step: int) -> float:
        """The part of the way to `swa_lr` after so many steps."""
        part = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return part if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2
