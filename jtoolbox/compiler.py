"""`torch.compiler`: marks and questions for `torch.compile`, which changes nothing here.

Every step runs compiled anyway. What is asked most, `is_compiling()`, is answered for `jit`,
`scan`, `functional_call` and JAX's own transformations: whether Python runs to be recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jtoolbox.engine.modes import mode
from jtoolbox.namespace import compile as compile

__all__ = [
    *("allow_in_graph", "assume_constant_result", "compile", "cudagraph_mark_step_begin"),
    *("disable", "is_compiling", "is_dynamo_compiling", "is_exporting", "list_backends"),
    *("nested_compile_region", "reset", "set_stance"),
]


def is_compiling() -> bool:
    """Whether this Python runs once to be recorded, so that values cannot be asked for.

    True in a step under `jtoolbox.jit` or `scan`, and in `functional_call`.
    """
    return mode.capture is not None or mode.functional is not None


def is_dynamo_compiling() -> bool:
    """The same as `is_compiling`."""
    return is_compiling()


def is_exporting() -> bool:
    """False: there is no `torch.export`."""
    return False


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function as it is, or a decorator that gives it: plain Python is what runs anyway."""
    return _itself if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """The function as it is."""
    return fn


def assume_constant_result(fn: Any) -> Any:
    """The function as it is."""
    return fn


def nested_compile_region(fn: Callable[..., Any] | None = None, **options: Any) -> Any:
    """The function as it is, or a decorator that gives it."""
    return _itself if fn is None else fn


def _itself(fn: Any) -> Any:
    return fn


def reset() -> None:
    """Does nothing: programs are kept by their structure, and are right for as long as it lasts."""


def cudagraph_mark_step_begin() -> None:
    """Does nothing: there are no CUDA graphs."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The one there is: XLA, under PyTorch's name for it."""
    return ["openxla"]


@contextmanager
def set_stance(stance: str = "default", **options: Any) -> Iterator[None]:
    """Accepts a stance, as a context or a decorator, and changes nothing."""
    yield
