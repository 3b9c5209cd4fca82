"""Averaged stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, check_number, number
from jtoolbox.optim.rules import check_switches, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["ASGD"]


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: the average of p over the steps is kept beside it.

    p = (1 - lambd eta) p - eta g, where eta starts at `lr` and is
    lr / (1 + lambd lr t)^alpha after step t. The average, `state[p]["ax"]`, is p itself up to step
    `t0` and the mean of p since then. `weight_decay` adds weight_decay p to the gradient;
    `maximize` goes uphill. `foreach` and `capturable` are accepted: every update is one program.
    ValueError for a negative lr or weight_decay. Polyak and Juditsky, "Acceleration of stochastic
    approximation by averaging", https://doi.org/10.1137/0330046.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        defaults = {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        check_number("weight_decay value", group["weight_decay"])
        check_switches(group)

    def start(self, p: Array, group: Mapping[str, Any]) -> State:
        return self.init(p, number(group["lr"]))

    def init(self, p: Array, eta: float = 1e-2) -> State:
        return {"eta": np.float32(eta), "mu": np.float32(1), "ax": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        lr, lambd = number(group["lr"]), number(group["lambd"])
        eta = lr / (1.0 + lambd * lr * step) ** number(group["alpha"])
        mu = 1.0 / max(1.0, step - number(group["t0"]))
        return {"lambd": lambd, "next_eta": eta, "next_mu": mu, **decay_numbers(group)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        eta, mu = state["eta"], state["mu"]
        p = (1 - h.lambd * eta) * p - eta * g
        average = (1 - mu) * state["ax"] + mu * p
        return p, {"eta": h.next_eta, "mu": h.next_mu, "ax": average}
