"""RAdam: Adam with a warm-up of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, State, number
from jtoolbox.optim.rules import Moments, blend, prepared
from jtoolbox.tensor import Tensor

__all__ = ["RAdam"]


class RAdam(Moments):
    """RAdam: Adam that divides by the mean square only once enough gradients went into it.

    With m and v as in Adam and rho(t) = 2 / (1 - b2) - 1 - 2 t b2^t / (1 - b2^t), the first steps,
    where rho(t) <= 5, are p = p - lr m / (1 - b1^t); later ones are Adam's times r(t) =
    sqrt((rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho)). `weight_decay` adds
    weight_decay p to the gradient; with `decoupled_weight_decay` p shrinks by lr weight_decay
    instead. `foreach` and `capturable` are accepted: every update is one program. ValueError unless
    0 <= b1, b2 < 1 and the others >= 0. Liu et al., "On the Variance of the Adaptive Learning Rate
    and Beyond", https://arxiv.org/abs/1908.03265.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def init(self, p: Array, maximize: bool = False) -> State:
        return {"exp_avg": np.zeros_like(p), "exp_avg_sq": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        found = self.moments(group)
        plain = number(group["lr"]) / (1.0 - found["b1"] ** step)
        rest = 1.0 - found["b2"] ** step
        return {**found, "plain": plain, "scaled": plain * _rectified(found["b2"], step, rest)}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        m = blend(state["exp_avg"], g, h.b1, h.rest1)
        v = blend(state["exp_avg_sq"], g * g, h.b2, h.rest2)
        # Which of the two it is comes as data: two programs would compile in mid-training.
        step_size = jnp.where(h.scaled > 0, h.scaled / (jnp.sqrt(v) + h.eps), h.plain)
        return p - step_size * m, {"exp_avg": m, "exp_avg_sq": v}


def _rectified(b2: float, step: int, rest: float) -> float:
    """r(t) sqrt(1 - b2^t), or 0 in the first steps."""
    limit = 2.0 / (1.0 - b2) - 1.0
    rho = limit - 2.0 * step * b2**step / rest
    if rho <= 5.0:
        return 0.0
    ratio = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
    return math.sqrt(ratio * rest)
