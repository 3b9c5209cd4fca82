"""The table of schedules with their settings, made alike in both libraries."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.optim.cases import assert_same_tree

STEPS = 35

# Class and settings; "lr_lambda" and "scale_fn" are functions of the epoch.
TABLE: list[tuple[str, dict[str, Any]]] = [
    ("LambdaLR", {"lr_lambda": lambda epoch: 0.95**epoch}),
    ("LambdaLR", {"lr_lambda": [lambda epoch: 0.95**epoch, lambda epoch: 1 / (1 + epoch)]}),
    ("MultiplicativeLR", {"lr_lambda": lambda epoch: 0.9 + 0.01 * epoch}),
    ("StepLR", {"step_size": 3}),
    ("StepLR", {"step_size": 4, "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [2, 9, 9, 20], "gamma": 0.5}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.7, "total_iters": 11}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 13}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 20, "power": 1.7}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingLR", {"T_max": 7, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2, "eta_min": 0.02}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 5}),
    (
        "CyclicLR",
        {"base_lr": [0.01, 0.02], "max_lr": 0.2, "step_size_up": 4, "step_size_down": 7,
         "mode": "triangular2", "cycle_momentum": False},
    ),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "mode": "exp_range",
                  "gamma": 0.97, "base_momentum": 0.5, "max_momentum": [0.9, 0.8]}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.2, "step_size_up": 3, "scale_fn": np.cos,
                  "scale_mode": "iterations"}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 40}),
    ("OneCycleLR", {"max_lr": [0.3, 0.1], "epochs": 8, "steps_per_epoch": 5, "three_phase": True,
                    "anneal_strategy": "linear", "pct_start": 0.25, "div_factor": 7.0}),
    ("OneCycleLR", {"max_lr": 0.3, "total_steps": 36, "cycle_momentum": False}),
    ("SWALR", {"swa_lr": 0.05}),
    ("SWALR", {"swa_lr": [0.05, 0.4], "anneal_epochs": 4, "anneal_strategy": "linear"}),
    ("SWALR", {"swa_lr": 0.05, "anneal_epochs": 0}),
]  # fmt: skip

table = pytest.mark.parametrize(
    ("name", "settings"), TABLE, ids=[f"{name}-{i}" for i, (name, _) in enumerate(TABLE)]
)


def optimizer_of(library: ModuleType | Any, name: str = "SGD", **settings: Any) -> Any:
    """An optimizer with two groups, the second with a rate of its own."""
    p, q = (library.ones(2, requires_grad=True) for _ in range(2))
    settings = {"momentum": 0.6, **settings} if name == "SGD" else settings
    return getattr(library.optim, name)([{"params": [p]}, {"params": [q], "lr": 0.02}], **settings)


def made(optimizer: Any, library: Any, name: str, settings: dict[str, Any]) -> Any:
    home = library.optim.swa_utils if name == "SWALR" else library.optim.lr_scheduler
    return getattr(home, name)(optimizer, **settings)


class Schedule:
    """A schedule in jtoolbox or PyTorch (`library`), with its optimizer."""

    def __init__(
        self, library: Any, name: str, settings: dict[str, Any], kind: str = "SGD", **others: Any
    ):
        self.library = library
        self.optimizer = optimizer_of(library, kind, **{"lr": 0.1, **others})
        self.scheduler = made(self.optimizer, library, name, settings)
        self.optimizer.step()

    def settings(self) -> list[float]:
        """What a schedule changes, of both groups."""
        found = []
        for group in self.optimizer.param_groups:
            momentum = group["momentum"] if "momentum" in group else group["betas"][0]
            found += [float(group["lr"]), float(momentum)]
        return found

    def run(self, steps: int = STEPS) -> np.ndarray:
        """The settings at the beginning and after each step."""
        found = [self.settings()]
        for _ in range(steps):
            self.scheduler.step()
            found.append(self.settings())
        return np.array(found)


def pair(name: str, settings: dict[str, Any], kind: str = "SGD", **others: Any) -> tuple[Any, Any]:
    """The schedule in PyTorch and here."""
    return tuple(Schedule(library, name, settings, kind, **others) for library in (torch, jt))


def assert_same_state(ours: Any, theirs: Any) -> None:
    """Equal keys, and values to rounding."""
    ours, theirs = (dict(s.scheduler.state_dict()) for s in (ours, theirs))
    assert list(ours) == list(theirs)
    for key in theirs:
        if isinstance(theirs[key], list) and theirs[key] and isinstance(theirs[key][0], float):
            np.testing.assert_allclose(ours[key], theirs[key], rtol=1e-9, atol=1e-12)
        else:
            assert_same_tree(ours[key], theirs[key])
