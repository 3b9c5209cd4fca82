"""A module's backward hooks, made from hooks on the tensors that enter and leave it."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox import dtypes
from jtoolbox.engine import is_grad_enabled
from jtoolbox.ops.creation import zeros_like
from jtoolbox.ops.joining import cat
from jtoolbox.tensor import Tensor

_WRONG_COUNT = (
    "Backward {which}hook returned an invalid number of {what}, got {got}, but expected {n}"
)
_NO_INPUT_GRADIENT = (
    "Full backward hook is firing when gradients are computed with respect to module outputs "
    "since no inputs require gradients."
)
_MUST_RETURN_NONE = (
    "Backward hook for Modules where no input requires gradient should always return None or None "
    "for all gradients."
)
_NO_TENSOR_OUTPUT = (
    "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but "
    "received {kind}"
)

Grads = tuple[Any, ...]


def _watch(tensors: Sequence[Tensor], hook: Callable[[list[Any]], Sequence[Any] | None]) -> list:
    """The tensors again, so that `hook` sees all their gradients at once and may replace them.

    Several tensors travel as one flat tensor, because a tensor's hook sees one gradient alone.
    """
    if len(tensors) == 1:
        alias = tensors[0].view_as(tensors[0])

        def on_one(grad: Tensor) -> Tensor | None:
            grads = hook([grad])
            return None if grads is None else grads[0]

        alias.register_hook(on_one)
        return [alias]
    common = dtypes.from_numpy(dtypes.result_type(*(t.flatten()[:0] for t in tensors)))
    packed = cat([t.flatten().to(common) for t in tensors])

    def unpack(flat: Tensor) -> list[Tensor]:
        pieces = flat.split([math.prod(t.shape) for t in tensors])
        return [p.view(t.shape).to(t.dtype) for p, t in zip(pieces, tensors, strict=True)]

    def on_all(grad: Tensor) -> Tensor | None:
        grads = hook(unpack(grad))
        return None if grads is None else cat([g.flatten().to(common) for g in grads])

    packed.register_hook(on_all)
    return unpack(packed)


class _Side:
    """The tensors that need gradients among a module's inputs, or among its outputs."""

    def __init__(self, values: Grads, zeros: bool = False):
        self.values = values
        self.zeros = zeros
        self.where = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v.requires_grad]

    def watch(self, hook: Callable[[Grads], Grads | None]) -> Grads:
        """The values with the watched tensors replaced by aliases whose gradients `hook` sees."""

        def spread(grads: Sequence[Any]) -> Grads | None:
            found = hook(self.place(grads))
            return None if found is None else tuple(found[i] for i in self.where)

        aliases = _watch([self.values[i] for i in self.where], spread)
        return self.place(aliases, self.values)

    def place(self, watched: Sequence[Any], others: Grads | None = None) -> Grads:
        """One entry for each value: the watched ones, elsewhere `others`, or None.

        PyTorch's hooks are given zeros for inputs that require no gradient, None for outputs.
        """
        out = [zeros_like(v) if self.zeros and isinstance(v, Tensor) else None for v in self.values]
        if others is not None:
            out = list(others)
        for i, value in zip(self.where, watched, strict=True):
            out[i] = value
        return tuple(out)


class BackwardHook:
    """Runs the backward hooks of one call: the outputs' gradients come first, then the inputs'."""

    def __init__(self, module: Any, hooks: list[Callable], pre_hooks: list[Callable]):
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.inputs = _Side(())
        self.grad_outputs: Grads | None = None

    def watch_inputs(self, args: Grads) -> Grads:
        """The positional arguments, watched."""
        self.inputs = _Side(args, zeros=True)
        if not (self.inputs.where and is_grad_enabled()):
            self.inputs.where = []
            return args
        return self.inputs.watch(self._on_inputs)

    def watch_outputs(self, result: Any) -> Any:
        """The module's result, watched. Warns about a result that has no tensors at top level."""
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(_NO_TENSOR_OUTPUT.format(kind=type(result)), stacklevel=5)
        values = result if isinstance(result, tuple) else (result,)
        outputs = _Side(values)
        if not (outputs.where and is_grad_enabled()):
            return result
        watched = outputs.watch(self._on_outputs)
        if not isinstance(result, tuple):
            return watched[0]
        return watched if type(result) is tuple else type(result)(*watched)

    def _on_outputs(self, grads: Grads) -> Grads:
        for hook in self.pre_hooks:
            grads = self._replaced(grads, hook(self.module, grads), "pre ", "grad_output")
        self.grad_outputs = grads
        if not self.inputs.where:
            self._without_inputs(grads)
        return grads

    def _without_inputs(self, grads: Grads) -> None:
        warnings.warn(_NO_INPUT_GRADIENT, stacklevel=2)
        self.grad_outputs = None
        for hook in self.hooks:
            found = hook(self.module, (None,) * len(self.inputs.values), grads)
            if found is not None and not (
                isinstance(found, tuple) and all(g is None for g in found)
            ):
                raise RuntimeError(_MUST_RETURN_NONE)

    def _on_inputs(self, grads: Grads) -> Grads | None:
        if self.grad_outputs is None:
            return None
        for hook in self.hooks:
            found = hook(self.module, grads, self.grad_outputs)
            grads = self._replaced(grads, found, "", "grad_input")
        self.grad_outputs = None
        return grads

    def _replaced(self, grads: Grads, found: Any, which: str, what: str) -> Grads:
        if found is None:
            return grads
        found = found if isinstance(found, tuple) else (found,)
        if len(found) != len(grads):
            raise RuntimeError(
                _WRONG_COUNT.format(which=which, what=what, got=len(found), n=len(grads))
            )
        return found
