"""Looking for NaN among gradients."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox.engine.backward import after_backward
from jtoolbox.engine.record import value_of

__all__ = [
    "detect_anomaly",
    "is_anomaly_check_nan_enabled",
    "is_anomaly_enabled",
    "set_detect_anomaly",
]

ENABLED = (
    "Anomaly Detection has been enabled. This mode will increase the runtime and should only be "
    "enabled for debugging."
)
NAN = (
    "a backward pass returned nan values: in the gradient of a tensor of shape {shape}. Look at "
    "the values of the loss and of what it was computed from before backward()."
)


def _check(gradients: Sequence[Any]) -> None:
    for node in gradients:
        if node.aval.inexact and np.isnan(np.asarray(value_of(node), np.complex64)).any():
            raise RuntimeError(NAN.format(shape=list(node.aval.shape)))


class set_detect_anomaly:
    """Switches the search for NaN in gradients on or off: at once, or in a `with`.

    RuntimeError from `backward` when the gradient of a leaf has a NaN, unless `check_nan` is False.
    Gradients inside the program are not looked at, and no traceback of the forward line is kept.
    Every backward pass then runs at once, which is slower.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self.before = _check in after_backward
        _switch(mode and check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        _switch(self.before)


class detect_anomaly:
    """Inside, `backward` raises RuntimeError when the gradient of a leaf has a NaN.

    As `set_detect_anomaly(True, check_nan)`, for a `with`; warns that it is slow.
    """

    def __init__(self, check_nan: bool = True):
        warnings.warn(ENABLED, stacklevel=2)
        self.check_nan = check_nan
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(is_anomaly_enabled())
        _switch(self.check_nan)

    def __exit__(self, *exception: Any) -> None:
        _switch(self.before.pop())


def is_anomaly_enabled() -> bool:
    """Whether gradients are searched for NaN."""
    return _check in after_backward


def is_anomaly_check_nan_enabled() -> bool:
    """The same: the search for NaN is all that the mode does."""
    return is_anomaly_enabled()


def _switch(on: bool) -> None:
    if on and _check not in after_backward:
        after_backward.append(_check)
    elif not on and _check in after_backward:
        after_backward.remove(_check)
