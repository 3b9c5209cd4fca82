"""Updates of the few rows of a table that a step used, in place of an update of the whole table.

The gradient of looking rows up is a table of zeros to which the rows' gradients are added, and
plain SGD subtracts a multiple of that table. For a vocabulary of 50,000 words nearly all of this
work is adding zeros (`python -m benchmarks.step --workload embeddings`). `touching_few_rows`
evaluates a program such that the table of zeros stays a list of rows as long as it is only scaled,
negated and added to an array; what else is done with it gets the whole table. The sums are the same
but for the order of their rounding where an index comes twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.extend.core import Literal

from jtoolbox.engine.jaxprs import bind, evaluate

# The tag of operations whose gradient is such a table.
TAG = "rows"
SETTINGS = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")


class Zeros(NamedTuple):
    """An array of zeros that nobody has needed yet."""

    shape: tuple[int, ...]
    dtype: Any

    def whole(self) -> Array:
        return jnp.zeros(self.shape, self.dtype)


class Rows(NamedTuple):
    """Zeros, to which `updates` are added at `indices`."""

    zeros: Zeros
    indices: Array
    updates: Array
    settings: dict[str, Any]

    def added_to(self, x: Array) -> Array:
        return lax.scatter_add(x, self.indices, self.updates, **self.settings)

    def whole(self) -> Array:
        return self.added_to(self.zeros.whole())


def touching_few_rows(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that computes the same without the tables of zeros where it can."""

    def program(*args: Any) -> Any:
        closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)
        found = evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), _apply)
        return jax.tree.unflatten(jax.tree.structure(shapes), [_whole(x) for x in found])

    return program


def _whole(x: Any) -> Any:
    return x.whole() if isinstance(x, (Zeros, Rows)) else x


def _apply(equation: Any, inputs: list[Any]) -> list[Any]:
    """The results of one operation: by its rule for rows if one fits, else as JAX has it."""
    rule = RULES.get(equation.primitive.name)
    result = None if rule is None else rule(equation, *inputs)
    return bind(equation, [_whole(x) for x in inputs]) if result is None else [result]


def _broadcast(equation: Any, x: Any, *_: Any) -> Any:
    aval = equation.outvars[0].aval
    constant = isinstance(equation.invars[0], Literal) and jnp.issubdtype(aval.dtype, jnp.inexact)
    return Zeros(aval.shape, aval.dtype) if constant and np.ndim(x) == 0 and x == 0 else None


def _scatter_add(equation: Any, x: Any, indices: Any, updates: Any) -> Any:
    if not isinstance(x, Zeros):
        return None
    settings = {name: equation.params[name] for name in SETTINGS}
    return Rows(x, _whole(indices), _whole(updates), settings)


def _convert(equation: Any, x: Any) -> Any:
    same = isinstance(x, Rows) and equation.outvars[0].aval.dtype == x.zeros.dtype
    return x if same else None


def _negate(equation: Any, x: Any) -> Any:
    return x._replace(updates=-x.updates) if isinstance(x, Rows) else None


def _multiply(equation: Any, x: Any, y: Any) -> Any:
    if isinstance(y, Rows):
        x, y = y, x
    scales = isinstance(x, Rows) and not isinstance(y, (Zeros, Rows)) and jnp.ndim(y) == 0
    return x._replace(updates=x.updates * y) if scales else None


def _add(equation: Any, x: Any, y: Any) -> Any:
    if isinstance(x, Rows):
        x, y = y, x
    fits = isinstance(y, Rows) and jnp.shape(_whole(x)) == y.zeros.shape
    return y.added_to(_whole(x)) if fits else None


def _subtract(equation: Any, x: Any, y: Any) -> Any:
    return _add(equation, x, _negate(equation, y)) if isinstance(y, Rows) else None


RULES: dict[str, Callable[..., Any]] = {
    "add": _add,
    "add_any": _add,
    "broadcast_in_dim": _broadcast,
    "convert_element_type": _convert,
    "mul": _multiply,
    "neg": _negate,
    "scatter-add": _scatter_add,
    "sub": _subtract,
}
