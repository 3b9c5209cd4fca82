"""Sums of products over named dimensions: einsum and tensordot."""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.ops.products import same_dtype

__all__ = ["einsum", "tensordot"]


def _sizes(terms: list[str], operands: Sequence[Array]) -> dict[str, int]:
    """The size of each subscript; raises PyTorch's errors for what does not fit."""
    sizes: dict[str, int] = {}
    for i, (term, x) in enumerate(zip(terms, operands, strict=True)):
        named = term.replace("...", "")
        if len(named) > x.ndim or ("..." not in term and len(named) != x.ndim):
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(named)}) does not match "
                f"the number of dimensions ({x.ndim}) for operand {i} and no ellipsis was given"
            )
        before = len(term.split("...")[0])
        shape = x.shape if len(named) == x.ndim else (
            x.shape[:before] + x.shape[before + x.ndim - len(named) :]
        )  # fmt: skip
        for letter, n in zip(named, shape, strict=True):
            seen = sizes.setdefault(letter, n)
            if n != seen and 1 not in (n, seen):
                raise RuntimeError(
                    f"einsum(): subscript {letter} has size {n} for operand {i} which does not "
                    f"broadcast with previously seen size {seen}"
                )
            sizes[letter] = max(n, seen) if n and seen else 0
    return sizes


def _check_einsum(equation: str, operands: Sequence[Array]) -> None:
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        more = "more" if len(terms) < len(operands) else "fewer"
        raise RuntimeError(
            f"einsum(): {more} operands were provided than specified in the equation "
            f"({len(operands)} for '{equation}')"
        )
    for letter in equation.replace("->", "").replace("...", "").replace(",", ""):
        if letter not in string.ascii_letters:
            raise RuntimeError(
                f"einsum(): invalid subscript given: {letter}; subscripts must be in [a-zA-Z]"
            )
    sizes = _sizes(terms, operands)
    for letter in right.replace("...", "") if arrow else "":
        if letter not in sizes:
            raise RuntimeError(
                f"einsum(): output subscript {letter} does not appear in the equation for any "
                "input operand"
            )
        if right.count(letter) > 1:
            raise RuntimeError(
                f"einsum(): output subscript {letter} appears more than once in the output"
            )
    for x in operands[1:]:
        if x.dtype != operands[0].dtype:
            raise RuntimeError(
                f"expected scalar type {dtypes.from_numpy(operands[0].dtype)} but found "
                f"{dtypes.from_numpy(x.dtype)}: einsum does not promote"
            )


@op
def _einsum(operands: Sequence[Array], equation: str) -> Array:
    _check_einsum(equation, operands)
    return jnp.einsum(equation, *operands)


def _equation(arguments: Sequence[Any]) -> tuple[str, list[Any]]:
    """The sublist form (x, [0, 1], y, [1, 2], [0, 2]) as an equation and its operands."""

    def spelled(sublist: Sequence[Any]) -> str:
        letters = string.ascii_uppercase + string.ascii_lowercase
        return "".join("..." if i is Ellipsis else letters[i] for i in sublist)

    pairs = len(arguments) // 2
    terms = ",".join(spelled(arguments[2 * i + 1]) for i in range(pairs))
    output = "->" + spelled(arguments[-1]) if len(arguments) % 2 else ""
    return terms + output, [arguments[2 * i] for i in range(pairs)]


def einsum(*args: Any) -> Any:
    """Sums of products along named dimensions: `einsum("bij,bjk->bik", a, b)`.

    `einsum(a, [0, 1], b, [1, 2], [0, 2])` says the same with numbers for letters.
    """
    if not isinstance(args[0], str):
        return _einsum(*reversed(_equation(args)))
    equation, *operands = args
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = list(operands[0])
    if not operands:
        raise ValueError("einsum(): must provide at least one operand")
    return _einsum(operands, equation.replace(" ", ""))


@op
def _tensordot(a: Array, b: Array, dims: Any) -> Array:
    ours, theirs = dims
    for i, j in zip(ours, theirs, strict=True):
        n, m = a.shape[i], b.shape[j]
        if n != m and 1 not in (n, m):
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} "
                f"and second has size {b.shape[j]} in dim {j}"
            )
        if n != m:  # the element of a dimension of size 1 meets all of the other's
            a = jnp.sum(a, i, keepdims=True, dtype=a.dtype) if m == 1 else a
            b = jnp.sum(b, j, keepdims=True, dtype=b.dtype) if n == 1 else b
    same_dtype(a, b)
    return jnp.tensordot(a, b, axes=dims)


def tensordot(a: Array, b: Array, dims: Any = 2) -> Array:
    """The sum of products over dimensions of both: the last n of a with the first n of b, or two
    lists of dimensions."""
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        dims = (tuple(range(-dims, 0)), tuple(range(dims)))
    ours, theirs = (tuple(d) if isinstance(d, Sequence) else (d,) for d in dims)
    if len(ours) != len(theirs):
        raise RuntimeError(f"both dimension lists should have same length, got {ours}, {theirs}")
    return _tensordot(a, b, (ours, theirs))
