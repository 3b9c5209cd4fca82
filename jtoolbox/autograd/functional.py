"""Jacobians, Hessians and their products with vectors, of functions of Tensors.

By default the function is handed to JAX's transformations. With `create_graph` (results that can be
differentiated, also by what the function closes over), `strict` or complex inputs, gradients are
recorded row by row instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from jtoolbox import ops
from jtoolbox.autograd.function import grad
from jtoolbox.engine.modes import enable_grad
from jtoolbox.tensor import Tensor
from jtoolbox.tracing import on_arrays, to_arrays, to_tensors

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

NOT_TENSORS = (
    "The {what} {of} must be either a Tensor or a tuple of Tensors but the {what} has type {kind}."
)
NO_V = (
    "The vector v can only be None if {what} a single Tensor with a single element: pass v with "
    "the shape of the {of}."
)
WRONG_V = "v has invalid size: should be {wanted} but got {found}."
NOT_SCALAR = (
    "The function given to {name} should return a single Tensor with a single element, got {found}."
)
INDEPENDENT = (
    "Output {i} of the user-provided function is independent of input {j}. This is not allowed in "
    "strict mode."
)


def _tuple(value: Any, of: str, what: str) -> tuple[bool, tuple[Tensor, ...]]:
    """Whether a tuple was given, and its Tensors."""
    many = isinstance(value, (tuple, list))
    found = tuple(value) if many else (value,)
    for v in found:
        if not isinstance(v, Tensor):
            raise TypeError(NOT_TENSORS.format(what=what, of=of, kind=type(v)))
    return many, found


def _shape(many: bool, values: Sequence[Any]) -> Any:
    return tuple(values) if many else values[0]


class _Function:
    """A user's function at its inputs: as a function of arrays, or recorded with gradients."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, recorded: bool):
        self.name = name
        self.many_in, self.inputs = _tuple(inputs, f"given to {name}", "inputs")
        self.func = func
        self.many_out = False
        self.recorded = recorded or any(x.is_complex() for x in self.inputs)
        self.pure = on_arrays(self._checked)

    def _checked(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        of = f"of the user-provided function given to {self.name}"
        self.many_out, outputs = _tuple(self.func(*inputs), of, "outputs")
        return outputs

    def arrays(self, *arrays: Any) -> Any:
        """Arrays to a tuple of arrays."""
        return self.pure(True, *arrays)

    def record(self, create_graph: bool) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Inputs that require grad, and what the function makes of them."""
        inputs = tuple(
            x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_()
            for x in self.inputs
        )
        return inputs, self._checked(*inputs)

    def scalar(self, outputs: Sequence[Any]) -> None:
        """TypeError or RuntimeError unless the output is one Tensor with one element."""
        if self.many_out or int(np.prod(outputs[0].shape)) != 1:
            found = [list(o.shape) for o in outputs]
            error = TypeError if self.many_out else RuntimeError
            raise error(NOT_SCALAR.format(name=self.name, found=found))


def _vector(v: Any, like: Sequence[Tensor], many: bool, what: str, of: str) -> tuple[Tensor, ...]:
    """`v` checked against the tensors it goes with; ones when it may be left out."""
    if v is None:
        if many or like[0].numel() != 1:
            raise RuntimeError(NO_V.format(what=what, of=of))
        return (ops.ones_like(like[0]),)
    found = _tuple(v, of, "v")[1]
    if len(found) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got "
                           f"{len(found)}.")  # fmt: skip
    for a, b in zip(found, like, strict=True):
        if a.shape != b.shape:
            raise RuntimeError(WRONG_V.format(wanted=list(b.shape), found=list(a.shape)))
    return found


def _rows(
    outputs: Sequence[Tensor], inputs: Sequence[Tensor], create_graph: bool, strict: bool
) -> list[list[Tensor]]:
    """The Jacobian by one recorded gradient for each element of each output."""
    found = []
    for i, y in enumerate(outputs):
        rows: list[list[Tensor]] = [[] for _ in inputs]
        for element in y.reshape(-1):
            parts = _gradients([element], inputs, None, create_graph, strict, i)
            for row, part in zip(rows, parts, strict=True):
                row.append(part)
        shapes = [(*y.shape, *x.shape) for x in inputs]
        found.append([ops.stack(r).reshape(s) for r, s in zip(rows, shapes, strict=True)])
    return found


def _gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    v: Sequence[Tensor] | None,
    create_graph: bool,
    strict: bool,
    number: int = 0,
) -> list[Tensor]:
    used = [y for y in outputs if y.requires_grad]
    parts: Sequence[Tensor | None] = [None] * len(inputs)
    if used:
        given = None if v is None else [g for g, y in zip(v, outputs, strict=True)
                                        if y.requires_grad]  # fmt: skip
        parts = grad(used, inputs, given, retain_graph=True, create_graph=create_graph,
                     allow_unused=True)  # fmt: skip
    for j, part in enumerate(parts):
        if part is None and strict:
            raise RuntimeError(INDEPENDENT.format(i=number, j=j))
    return [
        ops.zeros_like(x) if part is None else part for x, part in zip(inputs, parts, strict=True)
    ]


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`: of shape (*output shape, *input shape).

    For several inputs or outputs a tuple, outputs first. `create_graph` lets it be differentiated,
    `strict` raises RuntimeError for an output that does not depend on an input (else zeros).
    `strategy` may be "forward-mode", one pass for each input element; `vectorize` is accepted:
    passes always run together.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise AssertionError(f'Expected strategy to be either "forward-mode" or "reverse-mode". Got "{strategy}"')  # noqa: E501  # fmt: skip
    f = _Function("jacobian", func, inputs, create_graph or strict)
    if f.recorded:
        with enable_grad():
            xs, ys = f.record(create_graph)
            found: Any = _rows(ys, xs, create_graph, strict)
    else:
        transform = jax.jacfwd if strategy == "forward-mode" else jax.jacrev
        numbers = tuple(range(len(f.inputs)))
        with jax.enable_x64(True):
            found = to_tensors(transform(f.arrays, numbers)(*to_arrays(f.inputs)))
    return _shape(f.many_out, [_shape(f.many_in, row) for row in found])


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a scalar function: of shape (*input shape, *input shape).

    For several inputs a tuple of tuples. Arguments as in `jacobian`.
    """
    f = _Function("hessian", func, inputs, create_graph or strict)

    def gradient(*xs: Tensor) -> tuple[Tensor, ...]:
        ys = f._checked(*xs)
        f.scalar(ys)
        return tuple(_gradients(ys, xs, None, True, strict))

    if f.recorded:
        found = jacobian(gradient, f.inputs, create_graph, strict)
    else:
        numbers = tuple(range(len(f.inputs)))

        def scalar(*arrays: Any) -> Any:
            ys = f.arrays(*arrays)
            f.scalar(ys)
            return ys[0].reshape(())

        with jax.enable_x64(True):
            second = jax.jacrev(jax.grad(scalar, numbers), numbers)
            found = to_tensors(second(*to_arrays(f.inputs)))
    return _shape(f.many_in, [_shape(f.many_in, row) for row in found])


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> Any:
    """(outputs, v^T J): the product of a vector like the outputs and the Jacobian at `inputs`."""
    f = _Function("vjp", func, inputs, True)
    with enable_grad():
        xs, ys = f.record(create_graph)
        v = _vector(v, ys, f.many_out, "the user-provided function returns", "output")
        parts = _gradients(ys, xs, v, create_graph, strict)
    return _result(f, ys, parts, create_graph, f.many_in)


def _result(
    f: _Function, ys: Sequence[Tensor], parts: Sequence[Tensor], graph: bool, many: bool
) -> Any:
    """(outputs, product), as tuples where the function, and what the product is like, has them."""
    if not graph:
        ys, parts = [y.detach() for y in ys], [p.detach() for p in parts]
    return _shape(f.many_out, ys), _shape(many, parts)


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> Any:
    """(outputs, J v): the directional derivative along a vector like the inputs.

    Computed by differentiating v^T J by its vector, so that it works for every operation.
    """
    f = _Function("jvp", func, inputs, True)
    with enable_grad():
        v = _vector(v, f.inputs, f.many_in, "the input is", "input")
        xs, ys = f.record(create_graph)
        us = [ops.zeros_like(y).requires_grad_() for y in ys]
        pulled = _gradients(ys, xs, us, True, strict)
        parts = _gradients(pulled, us, v, create_graph, strict)
    return _result(f, ys, parts, create_graph, f.many_out)


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> Any:
    """(output, v^T H): the product of a vector like the inputs and the Hessian at `inputs`."""
    f = _Function("vhp", func, inputs, True)
    with enable_grad():
        v = _vector(v, f.inputs, f.many_in, "the input is", "input")
        xs, ys = f.record(create_graph)
        f.scalar(ys)
        first = _gradients(ys, xs, None, True, strict)
        parts = _gradients(first, xs, v, create_graph, strict)
    return _result(f, ys, parts, create_graph, f.many_in)


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> Any:
    """(output, H v): the Hessian is symmetric, so this is `vhp`."""
    return vhp(func, inputs, v, create_graph, strict)
