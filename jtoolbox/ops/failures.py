"""`check_errors` of linear algebra's `_ex` functions: reads `info`, and raises if it is not 0."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from jtoolbox.engine.graph import Handle, is_tracer
from jtoolbox.engine.record import node_of
from jtoolbox.ops.host import host_value

__all__ = ["LinAlgError", "raises_on_request"]


class LinAlgError(RuntimeError):
    """Raised by the `_ex` functions of linear algebra when `check_errors` is set.

    Compiled programs cannot raise it: without `check_errors` a failure is told by `info`.
    """


def _no_failure(name: str, info: Any, reason: str, error: type[RuntimeError]) -> None:
    if is_tracer(node_of(info).value if isinstance(info, Handle) else info):
        raise RuntimeError(
            f"{name}: check_errors reads values, which a traced function (jit, grad, vmap) does "
            "not have. Leave it out and use `info`, which is not 0 where the function failed."
        )
    failed = np.flatnonzero(host_value(info, name))
    if failed.size:
        where = f"(Batch element {failed[0]}): " if np.ndim(host_value(info, name)) else ""
        raise error(f"{name}: {where}{reason}")


def raises_on_request(
    reason: str, error: type[RuntimeError] = LinAlgError
) -> Callable[[Any], Callable[..., Any]]:
    """Decorates an operation that returns `info` with a check of it, asked for by `check_errors`.

    The check waits for the values.
    """

    def decorate(function: Any) -> Callable[..., Any]:
        name = f"linalg.{function.__name__}"

        @functools.wraps(function)
        def call(*args: Any, check_errors: bool = False, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if check_errors:
                _no_failure(name, result.info, reason, error)
            return result

        return call

    return decorate
