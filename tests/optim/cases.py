"""One small regression for both libraries, and the table of optimizers with their settings."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

import jtoolbox as jt

RNG = np.random.default_rng(0)
X = RNG.standard_normal((20, 6, 4)).astype(np.float32)
Y = RNG.standard_normal((20, 6, 3)).astype(np.float32)
WEIGHTS = [RNG.standard_normal(shape).astype(np.float32) * 0.5 for shape in ((4, 3), (3,))]

# Class, settings, and what the two parameters' groups have of their own (none: one group).
TABLE: list[tuple[str, dict[str, Any], list[dict[str, Any]]]] = [
    ("SGD", {}, []),
    ("SGD", {"lr": 0.1}, []),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, []),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}, []),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}, []),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1}, []),
    ("SGD", {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.1, "nesterov": True}, []),
    ("SGD", {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1, "maximize": True}, []),
    ("SGD", {"lr": 0.1, "momentum": 0.9}, [{}, {"lr": 0.01, "momentum": 0}]),
    ("Adam", {}, []),
    ("Adam", {"lr": 0.1, "betas": (0.8, 0.95)}, []),
    ("Adam", {"lr": 0.1, "betas": (0.0, 0.9), "eps": 1e-2}, []),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1}, []),
    ("Adam", {"lr": 0.1, "amsgrad": True}, []),
    ("Adam", {"lr": 0.01, "amsgrad": True, "maximize": True, "weight_decay": 0.1}, []),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True}, []),
    ("Adam", {"lr": 0.1}, [{"amsgrad": True}, {"lr": 0.01, "betas": (0.5, 0.6)}]),
    ("AdamW", {}, []),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.3}, []),
    ("AdamW", {"lr": 0.1, "weight_decay": 0, "eps": 1e-3}, []),
    ("AdamW", {"lr": 0.1, "amsgrad": True, "betas": (0.5, 0.9)}, []),
    ("AdamW", {"lr": 0.01, "maximize": True}, []),
    ("AdamW", {"lr": 0.1}, [{"weight_decay": 0.0}, {"lr": 0.01}]),
    ("Adadelta", {}, []),
    ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}, []),
    ("Adafactor", {}, []),
    ("Adafactor", {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-6, 1e-2), "d": 1.5}, []),
    ("Adafactor", {"lr": 0.1}, [{"weight_decay": 0.1}, {"maximize": True}]),
    ("Adagrad", {"lr": 0.1}, []),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.2, "eps": 1e-3}, []),
    ("Adagrad", {"lr": 0.1}, [{"weight_decay": 0.1}, {"maximize": True}]),
    ("Adamax", {}, []),
    ("Adamax", {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-2}, []),
    ("Adamax", {"lr": 0.1}, [{"weight_decay": 0.1}, {"maximize": True}]),
    ("ASGD", {}, []),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1}, []),
    ("ASGD", {"lr": 0.1}, [{"lambd": 0.3}, {"maximize": True}]),
    ("Muon", {}, []),
    ("Muon", {"lr": 0.05, "nesterov": False, "momentum": 0.5, "ns_steps": 3, "eps": 1e-3}, []),
    ("Muon", {"lr": 0.05}, [{"adjust_lr_fn": "match_rms_adamw"}, {"weight_decay": 0}]),
    ("NAdam", {}, []),
    ("NAdam", {"lr": 0.1, "betas": (0.8, 0.9), "momentum_decay": 0.1, "eps": 1e-2}, []),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1}, [{"decoupled_weight_decay": True}, {}]),
    ("RAdam", {}, []),
    ("RAdam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-2, "maximize": True}, []),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1}, [{"decoupled_weight_decay": True}, {}]),
    ("RMSprop", {}, []),
    ("RMSprop", {"lr": 0.1, "alpha": 0.5, "momentum": 0.9, "eps": 1e-2}, []),
    ("RMSprop", {"lr": 0.01, "centered": True, "weight_decay": 0.1, "maximize": True}, []),
    ("RMSprop", {"lr": 0.01}, [{"momentum": 0.5, "centered": True}, {"alpha": 0.9}]),
    ("Rprop", {}, []),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True}, []),
]


def _name(case: tuple[str, dict[str, Any], list[dict[str, Any]]]) -> str:
    name, settings, groups = case
    return f"{name} {settings} {groups}" if groups else f"{name} {settings}"


KINDS = sorted({name for name, _, _ in TABLE})

kinds = pytest.mark.parametrize("name", KINDS)
table = pytest.mark.parametrize(("name", "settings", "groups"), TABLE, ids=map(_name, TABLE))


class Run:
    """The regression in jtoolbox or PyTorch (`library`), trained by one optimizer."""

    def __init__(
        self,
        library: ModuleType | Any,
        name: str = "SGD",
        settings: dict[str, Any] | None = None,
        groups: list[dict[str, Any]] | None = None,
    ):
        self.library = library
        weights = [w.reshape(-1, 3) if name == "Muon" else w for w in WEIGHTS]
        self.params = [library.nn.Parameter(library.tensor(w)) for w in weights]
        self.done = 0
        self.renew(name, settings or {}, groups or [])

    def renew(self, name: str, settings: dict[str, Any], groups: list[dict[str, Any]]) -> None:
        """Takes a new optimizer."""
        params: Any = self.params
        if groups:
            params = [{"params": [p], **g} for p, g in zip(self.params, groups, strict=True)]
        self.optimizer = getattr(self.library.optim, name)(params, **settings)

    def loss(self) -> Any:
        """The loss on the batch whose turn it is."""
        x, y = (self.library.tensor(data[self.done % 20]) for data in (X, Y))
        weight, bias = self.params
        return ((x @ weight + bias).tanh() - y).square().mean()

    def step(self, times: int = 1) -> Run:
        """Trains on the next batches."""
        for _ in range(times):
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()
            self.done += 1
        if self.library is jt:
            jt.engine.flush()
        return self

    def values(self) -> list[np.ndarray]:
        return [p.detach().numpy() for p in self.params]


def assert_same_values(ours: Run, theirs: Run) -> None:
    """Equal parameters, to the rounding of some float32 steps."""
    for a, b in zip(ours.values(), theirs.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def assert_same_tree(ours: Any, theirs: Any) -> None:
    """Equal keys and their order, lengths, shapes, dtypes and values, as of a state_dict."""
    if isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            assert_same_tree(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs)
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_same_tree(a, b)
    elif hasattr(theirs, "detach"):
        assert isinstance(ours, jt.Tensor)
        assert (tuple(ours.shape), str(ours.dtype)) == (tuple(theirs.shape), str(theirs.dtype))
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=1e-6)
    else:
        assert type(ours) is type(theirs)
        assert ours == theirs


def assert_frozen_trains_as_plain(
    plain: Run, frozen: Run, steps: int, change: int, compilations: Any
) -> None:
    """Equal values after every step, also once `lr` has changed, which compiles nothing."""

    @jt.jit
    def step(x: Any, y: Any) -> None:
        frozen.optimizer.zero_grad()
        weight, bias = frozen.params
        ((x @ weight + bias).tanh() - y).square().mean().backward()
        frozen.optimizer.step()

    for i in range(steps):
        if i == change:
            compilations.count()
            for run in (plain, frozen):
                run.optimizer.param_groups[0]["lr"] = 0.02
        step(jt.tensor(X[i]), jt.tensor(Y[i]))
        plain.step()
        assert_same_values(frozen, plain)
    assert compilations.count() == 0
    assert_same_tree(frozen.optimizer.state_dict(), plain.optimizer.state_dict())
