"""`torch.library.custom_op`: functions under the name of an operation, `torch.ops.mine.double`.

There is no dispatcher to tell of them: such an operation is a function of Tensors, and where a
formula for its gradients was registered, a `torch.autograd.Function`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from jtoolbox.autograd.function import Function, no_grad

__all__ = ["CustomOp", "custom_op", "registered", "register_autograd", "register_fake"]

NO_GRADIENT = (
    "Trying to backward through {name} but no autograd formula was registered. Use its "
    "register_autograd(backward)"
)

# By their names, "mine::double".
registered: dict[str, CustomOp] = {}


class CustomOp:
    """A function that is called as an operation; its gradients come from `register_autograd`."""

    def __init__(self, name: str, function: Callable[..., Any], writes: bool):
        self._name, self._qualname, self.function, self.writes = name, name, function, writes
        self.__name__, self.__doc__ = name.partition("::")[2], function.__doc__
        self.signature = inspect.signature(function)
        self.differentiable = _differentiable(self, self._refuse, None)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if self.writes:
            with no_grad():
                return self.function(*bound.args, **bound.kwargs)
        return self.differentiable.apply(tuple(bound.kwargs), *bound.args, *bound.kwargs.values())

    @property
    def default(self) -> CustomOp:
        """Itself: there is one form of it."""
        return self

    def _refuse(self, *args: Any) -> Any:
        raise RuntimeError(NO_GRADIENT.format(name=self._name))

    def register_autograd(
        self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None
    ) -> None:
        """Takes a backward, and what saves for it: `setup_context(ctx, inputs, output)`."""
        self.differentiable = _differentiable(self, backward, setup_context)

    def register_fake(self, fn: Callable[..., Any], /) -> Callable[..., Any]:
        """Gives the function back: shapes are found by tracing."""
        return fn

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """Gives the function back: the first one runs on all devices."""
        return _itself if fn is None else fn


def _differentiable(
    op: CustomOp, formula: Callable[..., Any], setup_context: Callable[..., Any] | None
) -> type[Function]:
    """An operation and its gradients as a Function, whose first input names the keywords."""

    class Differentiable(Function):
        @staticmethod
        def forward(ctx: Any, names: Any, *values: Any) -> Any:
            inputs = values[: len(values) - len(names)]
            keywords = dict(zip(names, values[len(inputs) :], strict=True))
            output = op.function(*inputs, **keywords)
            if setup_context is not None:
                named = {"keyword_only_inputs": keywords} if keywords else {}
                setup_context(ctx, inputs, output=output, **named)
            ctx.given = len(keywords)
            return output

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            found = formula(ctx, *gradients)
            found = found if isinstance(found, tuple) else (found,)
            return (None, *found, *[None] * ctx.given)

    return Differentiable


def _itself(fn: Any) -> Any:
    return fn


def custom_op(
    name: str,
    fn: Callable[..., Any] | None = None,
    /,
    *,
    mutates_args: Any,
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Makes a function an operation `torch.ops.namespace.name`, or a decorator that does so.

    `name` is "namespace::name" (ValueError otherwise). A function with `mutates_args` writes these
    arguments and has no gradients. Types of devices, schema and tags are accepted.
    """
    if fn is None:
        return lambda function: custom_op(name, function, mutates_args=mutates_args)
    if "::" not in name:
        raise ValueError(
            f"Expected `name` to be of the form `namespace::name`, got {name!r} with no namespace"
        )
    registered[name] = CustomOp(name, fn, bool(mutates_args))
    return registered[name]


def register_autograd(
    op: Any, backward: Any, /, *, setup_context: Any = None, lib: Any = None
) -> None:
    """`CustomOp.register_autograd` of an operation or of its name; others are not known here."""
    found = op if isinstance(op, CustomOp) else registered.get(op)
    if found is not None:
        found.register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, func: Any = None, /, **options: Any) -> Any:
    """Gives the function back, or a decorator that does: shapes are found by tracing."""
    return _itself if func is None else func
