"""Adafactor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, number
from jtoolbox.optim.rules import blend, check_least, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Adafactor"]

_COMPLEX = "Adafactor does not support complex parameters: give their real and imaginary parts"


class Adafactor(Optimizer):
    """Adafactor: Adam without momentum, whose mean square is kept as one row and one column.

    Over the last two axes, r and c are running means of g^2 by row and by column, weighting the new
    by t^beta2_decay, and v = r c / mean(r); parameters of one axis keep v whole. With
    u = g / sqrt(v), p = p - max(eps[1], rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d).
    `eps[0]` is the least value of sqrt(v), the type's precision if None. `weight_decay` shrinks p
    by lr weight_decay first. `foreach` is accepted. ValueError for settings out of range;
    RuntimeError for complex parameters. Shazeer and Stern, "Adafactor",
    https://arxiv.org/abs/1804.04235.
    """

    counts_steps = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ):
        defaults = {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        check_least("Learning rate", group["lr"])
        if not group["beta2_decay"] <= 0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {group['beta2_decay']}")
        eps1, eps2 = group["eps"]
        check_least("epsilon1", 0.0 if eps1 is None else eps1)
        check_least("epsilon2", eps2)
        check_least("Clipping threshold d", group["d"], 1.0)
        check_least("weight_decay", group["weight_decay"])

    def init(self, p: Array, maximize: bool = False) -> State:
        if np.iscomplexobj(p):
            raise RuntimeError(_COMPLEX)
        if p.ndim < 2:
            return {"variance": np.zeros_like(p)}
        return {"row_var": np.zeros_like(p[..., :1]), "col_var": np.zeros_like(p[..., :1, :])}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        rest = step ** number(group["beta2_decay"])
        found = {"keep": 1.0 - rest, "rest": rest, "d": number(group["d"])}
        if group["eps"][0] is not None:
            found["eps1"] = number(group["eps"][0])
        relative = min(number(group["lr"]), 1.0 / math.sqrt(step))
        found |= {"eps2": number(group["eps"][1]), "relative": relative}
        return {**found, **decay_numbers(group, decoupled=True)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    @staticmethod
    def update(
        p: Array, g: Array, state: State, h: Any, maximize: bool = False
    ) -> tuple[Array, State]:
        step_size = jnp.maximum(h.eps2, _rms(p)) * h.relative
        p, g = prepared(p, g, h, maximize)
        least = h.eps1 if hasattr(h, "eps1") else jnp.finfo(p.dtype).eps
        if "variance" in state:
            v = blend(state["variance"], g * g, h.keep, h.rest)
            new = {"variance": v}
        else:
            row = blend(state["row_var"], jnp.mean(g * g, -1, keepdims=True), h.keep, h.rest)
            col = blend(state["col_var"], jnp.mean(g * g, -2, keepdims=True), h.keep, h.rest)
            v = row * col / jnp.maximum(jnp.mean(row, -2, keepdims=True), least)
            new = {"row_var": row, "col_var": col}
        u = g / jnp.sqrt(jnp.maximum(v, least**2))
        return p - step_size * u / jnp.maximum(1, _rms(u) / h.d), new


def _rms(x: Array) -> Array:
    """The root of the mean square of all elements."""
    return jnp.sqrt(jnp.mean(x * x))
