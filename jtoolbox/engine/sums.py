"""Several sums of products with one common factor, computed in one pass.

The gradient of a depthwise convolution by its filters is, for each element of the window, a sum
over all positions. XLA gives each a loop of its own that does not run along the channels, the last
axis. `summing_together` evaluates a program such that such sums wait until a value is needed; those
that have come together by then are one reduction along an inner axis, which does, and a small one
of what is left. The 9 sums over 32x32x32x32 floats took 11 ms apart and 2 ms together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jtoolbox.engine.jaxprs import bind, evaluate

# Fewer gain nothing.
FEWEST = 4


class Sums:
    """Sums that wait: over the same axes of arrays of one shape, the last axis not among them."""

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes
        self.arrays: list[Array] = []
        self.found: list[Array] = []

    def results(self) -> list[Array]:
        """The sums, from now on fixed."""
        if not self.found:
            many = len(self.arrays) >= FEWEST
            partial, rest = self._along_channels() if many else (self.arrays, self.axes)
            self.found = [jnp.sum(x, rest) for x in partial]
        return self.found

    def _along_channels(self) -> tuple[list[Array], tuple[int, ...]]:
        zeros = [jnp.zeros((), x.dtype) for x in self.arrays]
        inner = max(self.axes)

        def add(a: Sequence[Array], b: Sequence[Array]) -> list[Array]:
            return [x + y for x, y in zip(a, b, strict=True)]

        partial = lax.optimization_barrier(lax.reduce(self.arrays, zeros, add, (inner,)))
        return partial, tuple([axis for axis in self.axes if axis != inner])


class Sum(NamedTuple):
    """One of several sums that wait."""

    sums: Sums
    number: int


def _whole(x: Any) -> Any:
    return x.sums.results()[x.number] if isinstance(x, Sum) else x


def summing_together(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that computes the same with such sums together."""

    def program(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        found = evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), Together())
        return jax.tree.unflatten(jax.tree.structure(shapes), [_whole(x) for x in found])

    return program


class Together:
    """How to apply an operation: sums of products wait for others with the same factor."""

    def __init__(self) -> None:
        self.factors: dict[Any, list[Any]] = {}
        self.waiting: dict[Any, Sums] = {}

    def __call__(self, equation: Any, inputs: list[Any]) -> list[Any]:
        name = equation.primitive.name
        if name == "reduce_sum" and (sums := self._sums(equation)) is not None:
            sums.arrays.append(_whole(inputs[0]))
            return [Sum(sums, len(sums.arrays) - 1)]
        if name == "mul":
            self.factors[equation.outvars[0]] = equation.invars
        return bind(equation, [_whole(x) for x in inputs])

    def _sums(self, equation: Any) -> Sums | None:
        """Where a sum may wait, if it may."""
        x, axes = equation.invars[0], equation.params["axes"]
        shape, dtype = x.aval.shape, x.aval.dtype
        factors = self.factors.get(x)
        if factors is None or len(axes) < 2 or len(shape) - 1 in axes:
            return None
        if dtype not in (jnp.float32, jnp.float64):
            return None
        keys = [(id(factor), shape, dtype, axes) for factor in factors]
        known = [s for k in keys if (s := self.waiting.get(k)) is not None and not s.found]
        sums = known[0] if known else Sums(axes)
        self.waiting.update(dict.fromkeys(keys, sums))
        return sums
