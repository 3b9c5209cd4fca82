"""NAdam: Adam with Nesterov momentum."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, State, check_number, number
from jtoolbox.optim.rules import Moments, blend, prepared
from jtoolbox.tensor import Tensor

__all__ = ["NAdam"]


class NAdam(Moments):
    """NAdam: Adam that looks one step of momentum ahead.

    With m and v as in Adam, mu(t) = b1 (1 - 0.96^(t momentum_decay) / 2) and M their product up to
    t, p = p - lr [(1 - mu(t)) g / (1 - M) + mu(t+1) m / (1 - M mu(t+1))] / (sqrt(v / (1 - b2^t)) +
    eps). `weight_decay` adds weight_decay p to the gradient; with `decoupled_weight_decay` p
    shrinks by lr weight_decay instead. `foreach` and `capturable` are accepted: every update is one
    program. ValueError unless 0 <= b1, b2 < 1 and the others >= 0. Dozat, "Incorporating Nesterov
    Momentum into Adam", https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        check_number("momentum_decay value", group["momentum_decay"])

    def init(self, p: Array, maximize: bool = False) -> State:
        moments = {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}
        return {"mu_product": np.ones((), np.float32), **moments}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        found = self.moments(group)
        decay = number(group["momentum_decay"])
        mu, ahead = (found["b1"] * (1.0 - 0.5 * 0.96 ** (t * decay)) for t in (step, step + 1))
        root = math.sqrt(1.0 - found["b2"] ** step)
        return {**found, "lr": number(group["lr"]), "mu": mu, "ahead": ahead, "root": root}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        m = blend(state["exp_avg"], g, h.b1, h.rest1)
        v = blend(state["exp_avg_sq"], g * g, h.b2, h.rest2)
        product = state["mu_product"] * h.mu
        along = (1 - h.mu) / (1 - product) * g + h.ahead / (1 - product * h.ahead) * m
        new = {"mu_product": product, "exp_avg": m, "exp_avg_sq": v}
        return p - h.lr * along / (jnp.sqrt(v) / h.root + h.eps), new
