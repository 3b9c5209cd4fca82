"""`torch.overrides`: what helps with subclasses of Tensor that define `__torch_function__`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from jtoolbox.engine import overriding
from jtoolbox.engine.graph import Handle

__all__ = [
    "TorchFunctionMode",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "wrap_torch_function",
]


class TorchFunctionMode:
    """Within it, each operation is handed to its `__torch_function__(func, types, args, kwargs)`.

    Operations called in there are handed to the modes around this one. Departs from PyTorch: a
    function that consists of several operations is seen as those, under their names.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What to make of a function; to be overridden."""
        raise NotImplementedError

    def __enter__(self) -> TorchFunctionMode:
        overriding.enter(self)
        return self

    def __exit__(self, *exception: Any) -> None:
        overriding.leave()


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument's class has a `__torch_function__` of its own."""
    return bool(overriding.found(tuple(relevant_args)))


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> Any:
    """What the `__torch_function__` of the first class among the arguments makes of a function.

    TypeError when none of them knows it.
    """
    kinds = overriding.found(tuple(relevant_args))
    return overriding.dispatch(functools.partial(public_api, **kwargs), kinds, args)


def wrap_torch_function(dispatcher: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a function to be overridden by the arguments that `dispatcher(...)` names."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(call, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return call

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a Tensor, or its class defines `__torch_function__`."""
    return isinstance(inp, Handle) or hasattr(type(inp), "__torch_function__")


def has_torch_function_unary(argument: Any) -> bool:
    """`has_torch_function` for one argument."""
    return has_torch_function((argument,))


def has_torch_function_variadic(*arguments: Any) -> bool:
    """`has_torch_function` for these arguments."""
    return has_torch_function(arguments)
