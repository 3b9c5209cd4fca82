"""Evaluating what JAX has traced, one operation after the other, with rules of our own for some."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax.extend.core import Literal

Apply = Callable[[Any, list[Any]], list[Any]]


def words(text: str) -> frozenset[str]:
    """The names in a text."""
    return frozenset(text.split())


# Operations on each element by itself.
ELEMENTWISE = words("""
    abs add add_any and ceil clamp convert_element_type copy cos div eq erf erf_inv exp exp2 expm1
    floor ge gt integer_pow is_finite le log log1p logistic lt max min mul ne neg not or pow rem
    round rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sqrt square
    stop_gradient sub tan tanh xor
""")


def bind(equation: Any, inputs: Sequence[Any]) -> list[Any]:
    """The results of one operation, as JAX computes it."""
    params = equation.primitive.get_bind_params(equation.params)
    found = equation.primitive.bind(*inputs, **params)
    return list(found) if equation.primitive.multiple_results else [found]


def evaluate(
    jaxpr: Any, consts: Sequence[Any], args: Sequence[Any], apply: Apply = bind
) -> list[Any]:
    """The results of a jaxpr, by `apply` for each operation; what calls `jit` is taken apart."""
    given = (*consts, *args)
    values: dict[Any, Any] = dict(zip((*jaxpr.constvars, *jaxpr.invars), given, strict=True))

    def read(v: Any) -> Any:
        return v.val if isinstance(v, Literal) else values[v]

    for equation in jaxpr.eqns:
        inputs = [read(v) for v in equation.invars]
        if equation.primitive.name == "jit":
            inner = equation.params["jaxpr"]
            outputs = evaluate(inner.jaxpr, inner.consts, inputs, apply)
        else:
            outputs = apply(equation, inputs)
        values.update(zip(equation.outvars, outputs, strict=True))
    return [read(v) for v in jaxpr.outvars]


def everywhere(jaxpr: Any) -> Iterator[Any]:
    """The operations of a jaxpr, and those of every jaxpr that one of them holds."""
    for equation in jaxpr.eqns:
        yield equation
        for inner in jax.tree.leaves(tuple(equation.params.values())):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from everywhere(inner)


def flat(function: Callable[..., Any], *args: Any) -> tuple[Any, Any]:
    """The jaxpr of a function without calls of `jit` inside, and the tree of its results."""
    closed, shapes = jax.make_jaxpr(function, return_shape=True)(*args)

    def taken_apart(*leaves: Any) -> list[Any]:
        return evaluate(closed.jaxpr, closed.consts, leaves)

    return jax.make_jaxpr(taken_apart)(*jax.tree.leaves(args)), jax.tree.structure(shapes)
