"""Rprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, number
from jtoolbox.optim.rules import check_switches, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Resilient backpropagation: every element has a step size of its own and uses g's sign alone.

    Where g keeps its sign, the step size grows by `etas[1]`; where it turns, the step size shrinks
    by `etas[0]` and g counts as 0 this once. It stays within `step_sizes` and starts at `lr`, which
    has no effect later. p = p - step_size sign(g). For whole batches. `foreach` and `capturable`
    are accepted: every update is one program. ValueError unless 0 < etas[0] < 1 < etas[1] and
    lr >= 0. Riedmiller and Braun, "A direct adaptive method for faster backpropagation learning",
    https://doi.org/10.1109/ICNN.1993.298623.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ):
        defaults = {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        low, high = group["etas"]
        if not 0.0 < low < 1.0 < high:
            raise ValueError(f"Invalid eta values: {low}, {high}. One is from 0 to 1, one above 1.")
        check_switches(group)

    def start(self, p: Array, group: Mapping[str, Any]) -> State:
        return self.init(p, number(group["lr"]))

    def init(self, p: Array, step_size: float = 1e-2) -> State:
        both = 1 + 1j if np.iscomplexobj(p) else 1  # the parts of a complex number are two
        return {"prev": np.zeros_like(p), "step_size": np.full_like(p, step_size * both)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        names = ("shrink_by", "grow_by", "least", "most")
        values = (*group["etas"], *group["step_sizes"])
        return {name: number(value) for name, value in zip(names, values, strict=True)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        p, g = prepared(p, g, h, maximize)
        same = jnp.sign(g * state["prev"])
        factor = jnp.where(same > 0, h.grow_by, jnp.where(same < 0, h.shrink_by, 1))
        size = jnp.clip(state["step_size"] * factor, h.least, h.most)
        g = jnp.where(same < 0, 0, g)
        return p - size * jnp.sign(g), {"prev": g, "step_size": size}
