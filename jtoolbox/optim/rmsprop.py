"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, check_number, number
from jtoolbox.optim.rules import blend, check_switches, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop: divides the gradient by the root of its running mean square.

    v = alpha v + (1 - alpha) g^2 and d = g / (sqrt(v) + eps), then p = p - lr d, or with `momentum`
    b = momentum b + d and p = p - lr b. `centered` divides by the deviation sqrt(v - a^2) instead,
    a being the running mean. `weight_decay` adds weight_decay p to the gradient; `maximize` goes
    uphill. `foreach` and `capturable` are accepted: every update is one program. ValueError for a
    negative setting. Tieleman and Hinton, "Lecture 6.5: rmsprop",
    https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf; centered: Graves,
    "Generating Sequences With Recurrent Neural Networks", https://arxiv.org/abs/1308.0850.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        check_number("epsilon value", group["eps"])
        for name in ("momentum", "weight_decay", "alpha"):
            check_number(f"{name} value", group[name])
        check_switches(group)

    def start(self, p: Array, group: Mapping[str, Any]) -> State:
        return self.init(p, group["momentum"] > 0, group["centered"])

    def init(self, p: Array, momentum: bool = False, centered: bool = False) -> State:
        kept = {"square_avg": True, "momentum_buffer": momentum, "grad_avg": centered}
        return {name: np.zeros_like(p) for name, has in kept.items() if has}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        lr, alpha, eps = (number(group[name]) for name in ("lr", "alpha", "eps"))
        found = {"lr": lr, "alpha": alpha, "rest": 1.0 - alpha, "eps": eps, **decay_numbers(group)}
        if group["momentum"] > 0:
            found["momentum"] = number(group["momentum"])
        return found

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"centered": bool(group["centered"]), "maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, centered: bool = False, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        v = blend(state["square_avg"], g * g, h.alpha, h.rest)
        new = {**state, "square_avg": v}
        if centered:
            new["grad_avg"] = blend(state["grad_avg"], g, h.alpha, h.rest)
            v = v - new["grad_avg"] ** 2
        d = g / (jnp.sqrt(v) + h.eps)
        if hasattr(h, "momentum"):
            d = new["momentum_buffer"] = h.momentum * state["momentum_buffer"] + d
        return p - h.lr * d, new
