"""Loops of steps that change a large matrix by one outer product each.

The first layer of a network multiplies data: y = W x. Trained on one sample a step, W changes by
the outer product of a gradient and x, and with momentum so does its velocity M. To read and write
both matrices in every step costs more than everything else. Over a block of K steps

    W_t = p_t W_0 + q_t M_0 + U_t X,    X the K inputs of the block as rows,

with numbers p and q and a narrow matrix U (out, K), so that W_t x_t needs U_t and the products of
matrices W_0 X^T, M_0 X^T and X X^T, once a block. Each step then changes p, q and U; W itself is
formed at the end of the block. The sums are those of the plain loop in another order
(`python -m benchmarks.step --workload mlp --batch 1 --competitors jtoolbox_scan,jax`).

Which matrices this holds for is found in the traced step: they are multiplied by inputs of the step
only, and otherwise scaled by numbers, added to each other and to such outer products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Literal, Var

from jtoolbox.engine.jaxprs import bind, evaluate, flat

# Steps of a block, at most and at least.
BLOCK, FEWEST = 64, 16
# Elements of a matrix for which it is worth it.
LEAST = 2**16
SCALED = ("mul", "div")
ADDED = ("add", "add_any", "sub")
SAME = ("convert_element_type", "copy", "neg")


@dataclass
class Group:
    """Matrices of one shape that are multiplied by one input `x` (1, in) of the step.

    `members` are their numbers among what the loop carries.
    """

    x: Any
    members: list[int] = field(default_factory=list)


@dataclass
class Found:
    """What a traced step allows: its groups, and by their places the operations on them.

    `products` say which input is the matrix; of `outers` it is x that comes second; `combined` have
    matrices as results.
    """

    groups: list[Group]
    products: dict[int, int]
    outers: set[int]
    combined: set[int]


@dataclass
class Matrix:
    """A matrix as the sum of coefficients times members of a group and of `column` times x."""

    coefficients: dict[int, Any]
    column: Any = None
    x: Any = None

    def scaled(self, function: Callable[[Any], Any]) -> Matrix:
        column = None if self.column is None else function(self.column)
        return Matrix({k: function(c) for k, c in self.coefficients.items()}, column, self.x)

    def plus(self, other: Matrix) -> Matrix:
        total = dict(self.coefficients)
        for k, c in other.coefficients.items():
            total[k] = total[k] + c if k in total else c
        columns = [c for c in (self.column, other.column) if c is not None]
        x = other.x if self.x is None else self.x
        return Matrix(total, sum(columns) if columns else None, x)

    def whole(self) -> Any:
        """The outer product that it is, if no member is part of it."""
        return self.column[:, None] * self.x.reshape(1, -1)


# --- finding -------------------------------------------------------------------------------------


def find(jaxpr: Any, carried: int) -> Found | None:
    """The groups of a flat jaxpr whose first `carried` inputs are handed from step to step."""
    data = set(jaxpr.invars[carried:])
    for equation in jaxpr.eqns:
        if all(isinstance(v, Literal) or v in data for v in equation.invars):
            data.update(equation.outvars)
    left = {k for k, v in enumerate(jaxpr.invars[:carried]) if _is_large(v.aval)}
    while left:
        trial = _Trial(jaxpr, data, left)
        if not trial.refused:
            return trial.found()
        left -= trial.refused
    return None


def _is_large(x: Any) -> bool:
    return len(x.shape) == 2 and x.size >= LEAST and x.dtype == jnp.float32


class _Trial:
    """Follows carried matrices through a step; `refused` are those that are used as a whole."""

    def __init__(self, jaxpr: Any, data: set[Any], candidates: set[int]):
        self.jaxpr, self.data = jaxpr, data
        self.members: dict[Any, set[int]] = {jaxpr.invars[k]: {k} for k in candidates}
        self.inputs: dict[Any, set[Any]] = {v: set() for v in self.members}
        self.products: dict[int, int] = {}
        self.outers: set[int] = set()
        self.combined: set[int] = set()
        self.multiplied: dict[int, set[Any]] = {k: set() for k in candidates}
        self.refused: set[int] = set()
        for place, equation in enumerate(jaxpr.eqns):
            self._follow(place, equation)
        for k, v in enumerate(jaxpr.outvars):
            if k in candidates:
                if not isinstance(v, Var) or v not in self.members:
                    self.refused.add(k)
                else:
                    self.members[v].add(k)
                    self.multiplied[k] |= self.inputs[v]
            elif isinstance(v, Var) and v in self.members:
                self.refused |= self.members[v]
        self._join()

    def _follow(self, place: int, equation: Any) -> None:
        name, out = equation.primitive.name, equation.outvars[0]
        matrices = [v for v in equation.invars if isinstance(v, Var) and v in self.members]
        if name == "dot_general" and not matrices:
            if _is_outer(equation, self.data):
                self.outers.add(place)
                self.members[out], self.inputs[out] = set(), {equation.invars[1]}
            return
        if not matrices:
            return
        others = [v for v in equation.invars if v not in matrices]
        members = set().union(*[self.members[v] for v in matrices])
        inputs = set().union(*[self.inputs[v] for v in matrices])
        k = _product(equation, self.data) if name == "dot_general" and members else None
        if k is not None:
            self.products[place] = k
            for member in members:
                self.multiplied[member] |= {equation.invars[1 - k], *inputs}
        elif (
            (name in ADDED and len(matrices) == 2)
            or (name in SAME and out.aval.dtype == jnp.float32)
            or (name in SCALED and matrices == [equation.invars[0]] and others[0].aval.shape == ())
            or (name == "mul" and len(matrices) == 1 and others[0].aval.shape == ())
        ):
            self.combined.add(place)
            self.members[out], self.inputs[out] = members, inputs
        else:
            self.refused |= members

    def _join(self) -> None:
        """Puts matrices that are added to each other together; refuses those of several inputs."""
        groups: list[set[int]] = []
        for members in [*self.members.values(), *[{k} for k in self.multiplied]]:
            together = set(members)
            for group in [g for g in groups if g & together]:
                groups.remove(group)
                together |= group
            if together:
                groups.append(together)
        self.groups = []
        for members in groups:
            inputs = set().union(*[self.multiplied[k] for k in members if k in self.multiplied])
            if len(inputs) == 1 and members <= set(self.multiplied):
                self.groups.append(Group(next(iter(inputs)), sorted(members)))
            else:
                self.refused |= members

    def found(self) -> Found:
        return Found(self.groups, self.products, self.outers, self.combined)


def _is_row(x: Any, data: set[Any]) -> bool:
    """Whether an operand is data of shape (1, in)."""
    return x in data and len(x.aval.shape) == 2 and x.aval.shape[0] == 1


def _product(equation: Any, data: set[Any]) -> int | None:
    """Which input a product with a row of data (1, in) is over: that of shape (out, in)."""
    contracted, (batch, _) = equation.params["dimension_numbers"]
    if batch or contracted != ((1,), (1,)):
        return None
    return next((k for k in (0, 1) if _is_row(equation.invars[1 - k], data)), None)


def _is_outer(equation: Any, data: set[Any]) -> bool:
    """Whether a product is that of a column, as (1, out), and a row of data."""
    contracted, (batch, _) = equation.params["dimension_numbers"]
    column, x = equation.invars
    fits = not batch and contracted == ((0,), (0,)) and len(column.aval.shape) == 2
    return fits and _is_row(x, data) and x.aval.dtype == column.aval.dtype == jnp.float32


# --- running -------------------------------------------------------------------------------------


class Step:
    """A traced step, run with the matrices of its groups as `Matrix`."""

    def __init__(self, jaxpr: Any, carried: int, constants: list[Any], found: Found):
        self.jaxpr, self.carried, self.groups = jaxpr, carried, found.groups
        self.constants = constants
        self.combined = {id(jaxpr.eqns[p]) for p in found.combined}
        self.products = {id(jaxpr.eqns[p]): k for p, k in found.products.items()}
        self.outers = {id(jaxpr.eqns[p]) for p in found.outers}
        self.group_of = {k: g for g, group in enumerate(found.groups) for k in group.members}
        self.others = [k for k in range(carried) if k not in self.group_of]

    def block(self, carry: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        """The steps on the inputs `xs` (K, ...): what is carried on, and the results (K, ...)."""
        count = xs[0].shape[0]
        bases = [[carry[k] for k in group.members] for group in self.groups]
        inputs = self._inputs(xs)
        known = [
            ([_product_of(x, b.T) for b in members], _product_of(x, x.T))
            for members, x in zip(bases, inputs, strict=True)
        ]
        start = [
            (
                list(jnp.eye(len(members), dtype=x.dtype)),
                [jnp.zeros((count, len(b)), x.dtype) for b in members],
            )
            for members, x in zip(bases, inputs, strict=True)
        ]
        others = [carry[k] for k in self.others]
        places = jnp.arange(count)

        def turn(state: Any, given: Any) -> Any:
            return self._turn(*state, *given)

        (others, ends), results = lax.scan(turn, (others, start), (xs, known, places))
        new: list[Any] = [None] * self.carried
        for k, value in zip(self.others, others, strict=True):
            new[k] = value
        for group, members, x, (powers, columns) in zip(
            self.groups, bases, inputs, ends, strict=True
        ):
            for i, k in enumerate(group.members):
                old = sum(powers[i][j] * b for j, b in enumerate(members))
                new[k] = old + _product_of(columns[i].T, x)
        return new, results

    def _inputs(self, xs: list[Any]) -> list[Any]:
        """The input of each group at every step of a block, as rows (K, in)."""
        wanted = [group.x for group in self.groups]

        def compute(xs: list[Any]) -> list[Any]:
            given = (*self.constants, *xs)
            values = dict(zip(self.jaxpr.invars[self.carried :], given, strict=True))
            for equation in self.jaxpr.eqns:
                if all(isinstance(v, Literal) or v in values for v in equation.invars):
                    inputs = [
                        v.val if isinstance(v, Literal) else values[v] for v in equation.invars
                    ]
                    values.update(zip(equation.outvars, bind(equation, inputs), strict=True))
            return [values[v].reshape(-1) for v in wanted]

        return jax.vmap(compute)(xs)

    def _turn(self, others: list[Any], state: Any, xs: list[Any], known: Any, place: Any) -> Any:
        carry: list[Any] = [None] * self.carried
        for k, value in zip(self.others, others, strict=True):
            carry[k] = value
        for k in self.group_of:
            carry[k] = Matrix({k: jnp.ones((), jnp.float32)})

        def times_x(matrix: Matrix) -> Any:
            g = self.group_of[next(iter(matrix.coefficients))]
            (powers, columns), (products, squares) = state[g], known[g]
            members = self.groups[g].members
            total = 0.0 if matrix.column is None else matrix.column * squares[place]
            for k, c in matrix.coefficients.items():
                i = members.index(k)
                before = sum(powers[i][j] * y for j, y in enumerate(products))
                total += c * (before + _product_of(squares, columns[i]))
            return total

        def apply(equation: Any, given: list[Any]) -> list[Any]:
            aval = equation.outvars[0].aval
            if id(equation) in self.products:
                k = self.products[id(equation)]
                return [times_x(given[k]).reshape(aval.shape).astype(aval.dtype)]
            if id(equation) in self.outers:
                column, x = given
                return [Matrix({}, column.reshape(-1), x)]
            if id(equation) in self.combined:
                return [_combined(equation.primitive.name, given)]
            return bind(equation, [x.whole() if isinstance(x, Matrix) else x for x in given])

        results = evaluate(self.jaxpr, (), [*carry, *self.constants, *xs], apply)
        results = [
            x.whole() if isinstance(x, Matrix) and k not in self.group_of else x
            for k, x in enumerate(results)
        ]
        after = [results[k] for k in self.others]
        here = jnp.arange(len(known[0][1])) == place
        changed = [
            self._changed(group, powers, columns, results, here)
            for group, (powers, columns) in zip(self.groups, state, strict=True)
        ]
        return (after, changed), results[self.carried :]

    def _changed(
        self, group: Group, powers: Any, columns: Any, results: list[Any], here: Any
    ) -> tuple[list[Any], list[Any]]:
        """The numbers and columns of a group after the step that is `here` in the block."""
        new_powers, new_columns = [], []
        for k in group.members:
            matrix = results[k]
            mixed = [(group.members.index(m), c) for m, c in matrix.coefficients.items()]
            new_powers.append(sum((c * powers[i] for i, c in mixed), jnp.zeros_like(powers[0])))
            column = sum((c * columns[i] for i, c in mixed), jnp.zeros_like(columns[0]))
            if matrix.column is not None:
                column += jnp.where(here[:, None], matrix.column, 0)
            new_columns.append(column)
        return new_powers, new_columns


def _product_of(a: Any, b: Any) -> Any:
    return jnp.matmul(a, b, precision=lax.Precision.HIGHEST)


def _combined(name: str, given: list[Any]) -> Matrix:
    """The result of an operation that keeps matrices what they are."""
    if name in ADDED:
        a, b = given
        return a.plus(b.scaled(jnp.negative) if name == "sub" else b)
    if name == "neg":
        return given[0].scaled(jnp.negative)
    if name == "mul":
        matrix, number = given if isinstance(given[0], Matrix) else reversed(given)
        return matrix.scaled(lambda c: c * number)
    if name == "div":
        return given[0].scaled(lambda c: c / given[1])
    return given[0]


def scan(
    body: Callable[..., Any], carry: Any, constants: list[Any], xs: list[Any], length: int
) -> tuple[Any, list[Any]]:
    """A loop over `body(carry, constants, x)` like `jax.lax.scan`.

    It runs in blocks of steps where the step changes large matrices by outer products.
    """

    def plain() -> tuple[Any, list[Any]]:
        return lax.scan(lambda carry, x: body(carry, constants, x), carry, xs, length=length)

    leaves = jax.tree.leaves(carry)
    if length < FEWEST or not any(map(_is_large, leaves)):
        return plain()
    first = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in xs]
    closed, out = flat(body, carry, constants, first)
    found = None if closed.consts else find(closed.jaxpr, len(leaves))
    if found is None:
        return plain()
    step = Step(closed.jaxpr, len(leaves), constants, found)
    size = min(BLOCK, length)
    count, rest = divmod(length, size)
    blocks = [x[: count * size].reshape(count, size, *x.shape[1:]) for x in xs]
    leaves, results = lax.scan(step.block, leaves, blocks)
    results = [r.reshape(count * size, *r.shape[2:]) for r in results]
    if rest:
        leaves, last = step.block(leaves, [x[count * size :] for x in xs])
        results = [jnp.concatenate(pair) for pair in zip(results, last, strict=True)]
    return jax.tree.unflatten(out, [*leaves, *results])
