"""Adam, and AdamW, which is Adam with its decay placed elsewhere."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, State, number
from jtoolbox.optim.rules import Moments, blend, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Adam", "AdamW"]

_TENSOR = (
    "{name} as a Tensor is not supported for capturable=False and foreach=True: give a number, "
    "which compiles nothing when it changes, or leave foreach away"
)


class Adam(Moments):
    """Adam: steps along the mean gradient over the root of its mean square.

    m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2 give
    p = p - lr m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps). `amsgrad` divides by the largest v so
    far. `weight_decay` adds weight_decay p to the gradient; with `decoupled_weight_decay` p shrinks
    by lr weight_decay instead. `foreach`, `fused` and `capturable` are accepted: every update is
    one program. Kingma and Ba, "Adam", https://arxiv.org/abs/1412.6980; Reddi et al., "On the
    Convergence of Adam and Beyond", https://openreview.net/forum?id=ryQu7f-RZ.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        if not group["foreach"] or group["capturable"]:
            return
        names = ("lr", "betas[0]", "betas[1]")
        for name, value in zip(names, (group["lr"], *group["betas"]), strict=True):
            if isinstance(value, Tensor):
                raise ValueError(_TENSOR.format(name=name))

    def init(self, p: Array, amsgrad: bool = False, maximize: bool = False) -> State:
        names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
        return {name: np.zeros_like(p) for name in names[: 2 + amsgrad]}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        found = self.moments(group)
        found["step_size"] = number(group["lr"]) / (1.0 - found["b1"] ** step)
        found["root"] = math.sqrt(1.0 - found["b2"] ** step)
        return found

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"amsgrad": bool(group["amsgrad"]), "maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, amsgrad: bool = False, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        m = blend(state["exp_avg"], g, h.b1, h.rest1)
        v = blend(state["exp_avg_sq"], g * g, h.b2, h.rest2)
        new = {"exp_avg": m, "exp_avg_sq": v}
        if amsgrad:
            v = new["max_exp_avg_sq"] = jnp.maximum(state["max_exp_avg_sq"], v)
        return p - h.step_size * m / (jnp.sqrt(v) / h.root + h.eps), new


class AdamW(Adam):
    """Adam with decoupled weight decay: p first shrinks by lr weight_decay.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", https://arxiv.org/abs/1711.05101.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ):
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip
