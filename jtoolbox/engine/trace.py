"""Running Tensor code on JAX's tracers: nothing is recorded, operations are pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox import random
from jtoolbox.engine.graph import TRACED, Node
from jtoolbox.engine.modes import mode

NO_KEY = (
    "a random operation runs inside a JAX transformation without a key, which would fix its "
    "numbers at compile time. Pass a key: functional_call(model, params, args, "
    "key=jax.random.key(0)), with a fresh key for each call."
)


class HoldsGradients(Exception):
    """A traced function reads a Tensor from outside through which gradients should flow."""


class Untraceable(RuntimeError):
    """A traced function does what needs values: a backward pass, a write to its arguments."""


class TensorTrace:
    """Inside, Tensors hold JAX's values and operations run as pure functions on them.

    `key`, uint32[2] or a `jax.random` key, is where random operations draw from; without one they
    draw from the default generator, which `constant=False` forbids. `refuse` is the error of a
    random operation where none is allowed. With `watch` an operation on a Tensor from outside that
    requires grad raises `HoldsGradients`: its gradient would be lost.
    """

    def __init__(
        self, key: Any = None, constant: bool = True, refuse: str = "", watch: bool = False
    ):
        self.key = key
        self.constant = constant
        self.refuse = refuse
        self.watch = watch
        self.drawn = 0

    def __enter__(self) -> TensorTrace:
        self.before = mode.functional, mode.grad
        outer = self.before[0]
        if outer is None or self.key is not None or self.refuse:
            mode.functional = self
            self.watch = self.watch or (outer is not None and outer.watch)
        mode.grad = True  # a `no_grad` around the transformation is no matter of what it derives
        return self

    def __exit__(self, *exception: Any) -> None:
        mode.functional, mode.grad = self.before

    def meet(self, operands: Sequence[Any]) -> tuple[Any, ...]:
        """The operands of an operation; cut off from JAX's derivatives under `no_grad`."""
        if mode.grad:
            if self.watch and any(
                i.__class__ is Node and i.requires_grad and not i.flags & TRACED for i in operands
            ):
                raise HoldsGradients
            return tuple(operands)
        return tuple(
            Node(i.aval, jax.lax.stop_gradient(i.value), flags=TRACED)
            if i.__class__ is Node and i.flags & TRACED and i.aval.inexact
            else i
            for i in operands
        )

    def next_key(self) -> Any:
        """The key of the next random operation."""
        if self.refuse:
            raise RuntimeError(self.refuse)
        if self.key is None:
            if not self.constant:
                raise RuntimeError(NO_KEY)
            return random.default_generator.next_key()
        self.drawn += 1
        key = jnp.asarray(self.key, jnp.uint32)
        return key + jnp.asarray([0, self.drawn], np.uint32)
