"""What several update rules share: the order of decay, running averages, checks of settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jtoolbox.optim.optimizer import Array, Optimizer, check_number, number
from jtoolbox.tensor import Tensor

__all__ = ["Moments", "blend", "check_least", "check_switches", "decay_numbers", "prepared"]

_DIFFERENTIABLE = (
    "differentiable=True is not supported: write the update with "
    "jtoolbox.func.functional_call and jax.grad to differentiate through it"
)
_FUSED = "`fused` does not support `differentiable`"
_BOTH = "`fused` and `foreach` cannot be `True` together."


def prepared(p: Array, g: Array, h: Any, maximize: bool = False) -> tuple[Array, Array]:
    """p and g after what comes before a rule: the direction, and either kind of weight decay."""
    g = -g if maximize else g
    if hasattr(h, "weight_decay"):
        g = g + h.weight_decay * p
    if hasattr(h, "shrink"):
        p = p * h.shrink
    return p, g


def blend(old: Array, new: Array, keep: Array, rest: Array) -> Array:
    """A running average: keep * old + rest * new, where keep and rest add up to 1."""
    return keep * old + rest * new


def decay_numbers(group: Mapping[str, Any], decoupled: bool = False) -> dict[str, float]:
    """What `prepared` reads: no number at all without decay, so that nothing is computed for it."""
    decay = number(group["weight_decay"])
    if not decay:
        return {}
    return {"shrink": 1.0 - number(group["lr"]) * decay} if decoupled else {"weight_decay": decay}


def check_least(what: str, value: Any, least: float = 0.0) -> None:
    """Raises the ValueError of PyTorch's newer optimizers unless `value` is `least` or more."""
    found = number(value)
    if not (math.isfinite(found) and found >= least):
        raise ValueError(f"{what} should be >= {least:g} but is: {value}. It must be finite.")


def check_switches(group: Mapping[str, Any]) -> None:
    """Raises PyTorch's errors for switches that exclude each other, and for `differentiable`."""
    if group.get("fused") and group.get("differentiable"):
        raise RuntimeError(_FUSED)
    if group.get("fused") and group.get("foreach"):
        raise RuntimeError(_BOTH)
    if group.get("differentiable"):
        raise NotImplementedError(_DIFFERENTIABLE)


class Moments(Optimizer):
    """The base of Adam and its kin: running averages of the gradient and of its square."""

    counts_steps = True

    def check(self, group: Mapping[str, Any]) -> None:
        super().check(group)
        check_number("epsilon value", group["eps"])
        for i, beta in enumerate(group["betas"]):
            check_number(f"beta parameter at index {i}", beta, high=1.0)
        if len({isinstance(beta, Tensor) for beta in group["betas"]}) > 1:
            raise ValueError(f"betas must be either both floats or both Tensors: {group['betas']}")
        check_number("weight_decay value", group["weight_decay"])
        check_switches(group)

    def flags(self, group: Mapping[str, Any]) -> dict[str, Any]:
        return {"maximize": bool(group["maximize"])}

    def moments(self, group: Mapping[str, Any]) -> dict[str, float]:
        """The numbers of the two averages, `eps`, and those of weight decay."""
        b1, b2 = (number(b) for b in group["betas"])
        found = {"b1": b1, "b2": b2, "rest1": 1.0 - b1, "rest2": 1.0 - b2}
        decay = decay_numbers(group, group.get("decoupled_weight_decay", False))
        return {**found, "eps": number(group["eps"]), **decay}
