"""Stochastic gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, check_number, number
from jtoolbox.optim.rules import check_switches, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent: p = p - lr b, with b = momentum b + (1 - dampening) g.

    `nesterov` steps along g + momentum b instead of b. `weight_decay` adds weight_decay p to the
    gradient first; `maximize` goes uphill. The first update sets b = g. `foreach` and `fused` are
    accepted: every update is one program. Sutskever et al., "On the importance of initialization
    and momentum in deep learning", https://proceedings.mlr.press/v28/sutskever13.html.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        check_number("momentum value", group["momentum"])
        check_number("weight_decay value", group["weight_decay"])
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_switches(group)

    def _advance(self, p: Any, state: State, group: dict[str, Any]) -> int:
        if state and state["momentum_buffer"] is None:  # as older PyTorch saved it
            state.clear()
        return super()._advance(p, state, group) if group["momentum"] else 2

    def init(self, p: Array, nesterov: bool = False, maximize: bool = False) -> State:
        return {"momentum_buffer": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        found = {"lr": number(group["lr"]), **decay_numbers(group)}
        if group["momentum"]:
            found["momentum"] = float(group["momentum"])
            found["weight"] = 1.0 if step == 1 else 1.0 - group["dampening"]
        return found

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"nesterov": bool(group["nesterov"]), "maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, nesterov: bool = False, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        if not hasattr(h, "momentum"):
            return p - h.lr * g, state
        b = h.momentum * state["momentum_buffer"] + h.weight * g
        return p - h.lr * (g + h.momentum * b if nesterov else b), {"momentum_buffer": b}
