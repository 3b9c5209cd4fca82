"""Adadelta."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, check_number, number
from jtoolbox.optim.rules import blend, check_switches, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(Optimizer):
    """Adadelta: steps whose size comes from earlier steps, so that units agree and `lr` is 1.

    v = rho v + (1 - rho) g^2 and d = g sqrt(u + eps) / sqrt(v + eps), then
    u = rho u + (1 - rho) d^2 and p = p - lr d. `weight_decay` adds weight_decay p to the gradient;
    `maximize` goes uphill. `foreach` and `capturable` are accepted: every update is one program.
    ValueError unless 0 <= rho <= 1 and lr, eps, weight_decay >= 0. Zeiler, "ADADELTA: An Adaptive
    Learning Rate Method", https://arxiv.org/abs/1212.5701.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        if not 0.0 <= group["rho"] <= 1.0:
            raise ValueError(f"Invalid rho value: {group['rho']}. It must be from 0 to 1.")
        check_number("epsilon value", group["eps"])
        check_number("weight_decay value", group["weight_decay"])
        check_switches(group)

    def init(self, p: Array, maximize: bool = False) -> State:
        return {"square_avg": np.zeros_like(p), "acc_delta": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        lr, rho, eps = (number(group[name]) for name in ("lr", "rho", "eps"))
        return {"lr": lr, "rho": rho, "rest": 1.0 - rho, "eps": eps, **decay_numbers(group)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        v = blend(state["square_avg"], g * g, h.rho, h.rest)
        d = jnp.sqrt(state["acc_delta"] + h.eps) / jnp.sqrt(v + h.eps) * g
        u = blend(state["acc_delta"], d * d, h.rho, h.rest)
        return p - h.lr * d, {"square_avg": v, "acc_delta": u}
