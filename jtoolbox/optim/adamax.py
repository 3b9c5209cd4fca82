"""Adamax: Adam with the maximum norm."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, State, number
from jtoolbox.optim.rules import Moments, blend, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(Moments):
    """Adamax: steps along the mean gradient over its largest size, which fades with time.

    m = b1 m + (1 - b1) g and u = max(b2 u, |g| + eps) give p = p - lr / (1 - b1^t) m / u.
    `weight_decay` adds weight_decay p to the gradient; `maximize` goes uphill. `foreach` and
    `capturable` are accepted: every update is one program. ValueError unless 0 <= b1, b2 < 1 and
    lr, eps, weight_decay >= 0. Kingma and Ba, "Adam", section 7.1,
    https://arxiv.org/abs/1412.6980.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def init(self, p: Array, maximize: bool = False) -> State:
        return {"exp_avg": np.zeros_like(p), "exp_inf": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        found = self.moments(group)
        return {**found, "step_size": number(group["lr"]) / (1.0 - found["b1"] ** step)}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        m = blend(state["exp_avg"], g, h.b1, h.rest1)
        u = jnp.maximum(h.b2 * state["exp_inf"], jnp.abs(g) + h.eps)
        return p - h.step_size * m / u, {"exp_avg": m, "exp_inf": u}
