"""Muon."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.optim.optimizer import Array, Optimizer, State, number
from jtoolbox.optim.rules import blend, check_least, decay_numbers, prepared
from jtoolbox.tensor import Tensor

__all__ = ["Muon"]

_SHAPE = (
    "Muon only supports 2D parameters whereas we found a parameter with size: {shape}. Give "
    "biases, embeddings and others to a second optimizer, as AdamW"
)
_COMPLEX = "Muon does not support complex parameters: give their real and imaginary parts"
_STEPS = "Number of steps must be less than 100 for computational efficiency, got {steps}"
_COEFFICIENTS = "Coefficients must be a tuple of exactly 3 values, got {values}"
_ADJUST = (
    "Adjust learning rate function {name} is not supported: it is 'original' (as None is) or "
    "'match_rms_adamw'"
)


class Muon(Optimizer):
    """Muon: momentum whose matrix is made nearly orthogonal before the step. For hidden layers.

    b = momentum b + (1 - momentum) g, m = (1 - momentum) g + momentum b with `nesterov`, else b;
    p shrinks by lr weight_decay, and p = p - lr a O(m). O takes `ns_steps` Newton-Schulz steps
    X = a X + (b A + c A^2) X with A = X X^T, in bfloat16 as PyTorch's, from m over its norm (at
    least `eps`). The factor a for a matrix of n rows and m columns is sqrt(max(1, n / m)), or with
    adjust_lr_fn="match_rms_adamw" 0.2 sqrt(max(n, m)). ValueError for parameters that are no
    matrices and settings out of range, RuntimeError for complex ones. Jordan et al., "Muon", https://kellerjordan.github.io/posts/muon/;
    Liu et al., "Muon is Scalable for LLM Training", https://arxiv.org/abs/2502.16982.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float | Tensor = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):
        defaults = {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }  # fmt: skip
        super().__init__(params, defaults)

    def check(self, group: Mapping[str, Any]) -> None:
        check_least("Learning rate", group["lr"])
        check_least("momentum", group["momentum"])
        check_least("weight decay", group["weight_decay"])
        if group["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(_ADJUST.format(name=group["adjust_lr_fn"]))
        for p in group["params"]:
            if p.ndim != 2:
                raise ValueError(_SHAPE.format(shape=p.shape))

    def init(self, p: Array, **flags: Any) -> State:
        if np.iscomplexobj(p):
            raise RuntimeError(_COMPLEX)
        return {"momentum_buffer": np.zeros_like(p)}

    def numbers(self, group: Mapping[str, Any], step: int) -> dict[str, float]:
        momentum = number(group["momentum"])
        found = {"momentum": momentum, "rest": 1.0 - momentum, "lr": number(group["lr"])}
        return {**found, **decay_numbers(group, decoupled=True)}

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        coefficients = tuple(group["ns_coefficients"])
        if group["ns_steps"] >= 100:
            raise ValueError(_STEPS.format(steps=group["ns_steps"]))
        if len(coefficients) != 3:
            raise ValueError(_COEFFICIENTS.format(values=coefficients))
        series = (coefficients, int(group["ns_steps"]), float(group["eps"]))
        like_adamw = group["adjust_lr_fn"] == "match_rms_adamw"
        return {"nesterov": bool(group["nesterov"]), "series": series, "like_adamw": like_adamw}

    @staticmethod
    def update(
        p: Array,
        g: Array,
        state: State,
        h: Any,
        nesterov: bool = True,
        series: Any = ((3.4445, -4.7750, 2.0315), 5, 1e-7),
        like_adamw: bool = False,
    ) -> tuple[Array, State]:
        p, _ = prepared(p, g, h)
        b = blend(state["momentum_buffer"], g, h.momentum, h.rest)
        m = blend(g, b, h.rest, h.momentum) if nesterov else b
        rows, columns = p.shape
        factor = math.sqrt(max(1.0, rows / columns))
        if like_adamw:
            factor = 0.2 * math.sqrt(max(rows, columns))
        step = orthogonalized(m, *series).astype(p.dtype)
        return p - h.lr * factor * step, {"momentum_buffer": b}


def orthogonalized(
    m: Array, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Array:
    """A matrix with singular values near 1 and the singular vectors of m (n, k), in bfloat16."""
    a, b, c = coefficients
    x = _rounded(m if m.shape[0] <= m.shape[1] else m.T)
    norm = _rounded(jnp.linalg.norm(x.astype(jnp.float32)))
    x = _rounded(x.astype(jnp.float32) / jnp.maximum(norm, eps))
    for _ in range(steps):
        gram = _rounded(_product(x, x.T))
        polynomial = _rounded(b * gram.astype(jnp.float32) + c * _product(gram, gram))
        x = _rounded(a * x.astype(jnp.float32) + _product(polynomial, x))
    return x if m.shape[0] <= m.shape[1] else x.T


def _product(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y, preferred_element_type=jnp.float32)


def _rounded(x: Array) -> Array:
    """x in bfloat16. XLA leaves out a mere conversion where the next step converts back."""
    return jax.lax.reduce_precision(x.astype(jnp.float32), 8, 7).astype(jnp.bfloat16)
