"""Adagrad."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, check_number, number
from jtoolbox.optim.rules import check_switches, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad: divides by the root of the sum of all squared gradients so far.

    s = s + g^2 and p = p - lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps) in step t, where s
    starts at `initial_accumulator_value`. The state is there from the start, as in PyTorch.
    `weight_decay` adds weight_decay p to the gradient; `maximize` goes uphill. `foreach` and
    `fused` are accepted: every update is one program. ValueError for a negative setting. Duchi et
    al., "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization",
    https://jmlr.org/papers/v12/duchi11a.html.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        defaults = {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._make_state(p, self.state[p], group)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        for name in ("lr_decay", "weight_decay", "initial_accumulator_value"):
            check_number(f"{name} value", group[name])
        check_number("epsilon value", group["eps"])
        check_switches(group)

    def start(self, p: Array, group: Mapping[str, Any]) -> State:
        return self.init(p, group["initial_accumulator_value"])

    def init(self, p: Array, initial: float = 0.0) -> State:
        both = 1 + 1j if np.iscomplexobj(p) else 1  # the parts of a complex number are two
        return {"sum": np.full_like(p, initial * both)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        step_size = number(group["lr"]) / (1.0 + (step - 1) * number(group["lr_decay"]))
        return {"step_size": step_size, "eps": number(group["eps"]), **decay_numbers(group)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        s = state["sum"] + g * g
        return p - h.step_size * g / (jnp.sqrt(s) + h.eps), {"sum": s}
