"""Dual numbers: tangents that go forward with the values computed from them.

A dual tensor is recorded like one that requires grad, and the tangent of a result is computed when
`unpack_dual` asks for it: as the derivative, along the tangents, of the gradient's dependence on
its cotangent, which is linear. `torch.func.jvp` gives the same for a function, in one program.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from jtoolbox import ops
from jtoolbox.autograd.function import grad
from jtoolbox.engine.grad_fn import AccumulateGrad
from jtoolbox.engine.modes import enable_grad
from jtoolbox.tensor import Tensor

__all__ = [
    *("UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual"),
    "unpack_dual",
]

NO_LEVEL = (
    "Trying to {what} a dual Tensor for forward AD but no level exists, make sure to "
    "enter_dual_level() first."
)
NESTED = "Nested forward mode AD is not supported at the moment"
SIZE = (
    "Trying to set a forward gradient that has a different size than that of the original Tensor, "
    "this is not supported. Tensor is of size {want} while the given forward gradient is of size "
    "{got}."
)


class UnpackedDualTensor(NamedTuple):
    """What `unpack_dual` returns."""

    primal: Tensor
    tangent: Tensor | None


class _Dual(NamedTuple):
    tensor: Tensor
    tangent: Tensor
    recorded: bool


_levels: list[list[_Dual]] = []


def enter_dual_level() -> int:
    """Begins a level, in which duals can be made. RuntimeError inside of another one."""
    if _levels:
        raise RuntimeError(NESTED)
    _levels.append([])
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends the level: its duals are ordinary tensors from then on."""
    if not _levels:
        raise RuntimeError("Trying to exit a forward AD level but no level exists")
    for dual in _levels.pop():
        if dual.tensor.is_leaf:
            dual.tensor.requires_grad_(False)


@contextmanager
def dual_level() -> Iterator[int]:
    """`with dual_level():` enters a level and ends it."""
    level = enter_dual_level()
    try:
        yield level
    finally:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """`tensor` together with a tangent of the same shape, to compute with.

    RuntimeError without a level or for another shape, ValueError for integers. Departs from
    PyTorch: the dual requires grad while the level lasts, and so does what is computed from it.
    """
    if not _levels:
        raise RuntimeError(NO_LEVEL.format(what="create"))
    for name, x in (("primal", tensor), ("tangent", tangent)):
        if not (x.is_floating_point() or x.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(SIZE.format(want=list(tensor.shape), got=list(tangent.shape)))
    recorded = tensor.requires_grad
    dual = ops.clone(tensor) if recorded else ops.clone(tensor.detach()).requires_grad_()
    _levels[-1].append(_Dual(dual, tangent, recorded or tangent.requires_grad))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The value and the tangent of a result; the tangent is None where no dual went into it."""
    if not _levels:
        return UnpackedDualTensor(tensor, None)
    duals = _levels[-1]
    for dual in duals:
        if dual.tensor is tensor:
            primal = tensor if dual.recorded else tensor.detach()
            return UnpackedDualTensor(primal, dual.tangent)
    if not (tensor.requires_grad and duals):
        return UnpackedDualTensor(tensor, None)
    outer = _needs_grad(tensor, duals)
    tangent = _tangent(tensor, duals, outer)
    if tangent is None:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(tensor if outer else tensor.detach(), tangent)


def _tangent(tensor: Tensor, duals: list[_Dual], outer: bool) -> Tensor | None:
    with enable_grad():
        cotangent = ops.zeros_like(tensor).requires_grad_()
        inputs = [d.tensor for d in duals]
        found = grad(tensor, inputs, cotangent, create_graph=True, allow_unused=True)
        pairs = [(g, d.tangent) for g, d in zip(found, duals, strict=True) if g is not None]
        if not pairs:
            return None
        gradients, tangents = zip(*pairs, strict=True)
        settings = {"retain_graph": True, "create_graph": outer, "materialize_grads": True}
        return grad(gradients, cotangent, tangents, **settings)[0]


def _needs_grad(tensor: Tensor, duals: list[_Dual]) -> bool:
    """Whether gradients are wanted of anything but the duals themselves."""
    if any(d.recorded for d in duals):
        return True
    stack: list[Any] = [tensor.grad_fn]
    seen = set()
    while stack:
        function = stack.pop()
        if function is None or function in seen:
            continue
        seen.add(function)
        if isinstance(function, AccumulateGrad):
            if not any(function.variable is d.tensor for d in duals):
                return True
            continue
        stack.extend(f for f, _ in function.next_functions)
    return False
