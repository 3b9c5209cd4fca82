"""Running Tensor code on JAX's tracers: nothing is recorded, operations are pure functions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import random
from jtoolbox.engine.modes import mode

NO_KEY = (
    "a random operation runs inside a JAX transformation without a key, which would fix its "
    "numbers at compile time. Pass a key: functional_call(model, params, args, "
    "key=jax.random.key(0)), with a fresh key for each call."
)


class TensorTrace:
    """Inside, Tensors hold JAX's values and operations run as pure functions on them.

    `key`, uint32[2] or a `jax.random` key, is where random operations draw from; without one they
    draw from the default generator, which `constant=False` forbids.
    """

    def __init__(self, key: Any = None, constant: bool = True):
        self.key = key
        self.constant = constant
        self.drawn = 0

    def __enter__(self) -> TensorTrace:
        self.before = mode.functional
        if self.key is None and self.before is not None:
            mode.functional = self.before
        else:
            mode.functional = self
        return self

    def __exit__(self, *exception: Any) -> None:
        mode.functional = self.before

    def next_key(self) -> Any:
        """The key of the next random operation."""
        if self.key is None:
            if not self.constant:
                raise RuntimeError(NO_KEY)
            return random.default_generator.next_key()
        self.drawn += 1
        key = jnp.asarray(self.key, jnp.uint32)
        return key + jnp.asarray([0, self.drawn], np.uint32)
