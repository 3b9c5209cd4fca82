"""Profiling: named regions for JAX's profiler, and a `profile` that writes its traces."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax

from jtoolbox.engine.realize import synchronize

__all__ = ["EventList", "profile", "record_function"]

NO_TABLE = (
    "operations run inside compiled programs, which are not timed one by one. Use "
    "profile(on_trace_ready=torch.profiler.tensorboard_trace_handler(folder)), or "
    "jax.profiler.trace(folder), and look at the trace in TensorBoard or Perfetto."
)


class EventList(list):
    """The type of PyTorch's tables of operations. No profile here gives one: see `profile`."""


class record_function:
    """Names a stretch of Python in JAX's profiler: `with record_function("load"):`.

    What is recorded inside may run later, under its own name. Also a decorator.
    """

    def __init__(self, name: str, args: str | None = None):
        self.name = name
        self._annotations: list[Any] = []

    def __enter__(self) -> record_function:
        self._annotations.append(jax.profiler.TraceAnnotation(self.name))
        self._annotations[-1].__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._annotations.pop().__exit__(*exception)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return inside


class profile:
    """Measures the wall time of the block, and writes a trace of JAX's profiler when given a place.

    All of PyTorch's settings are accepted. With `on_trace_ready=tensorboard_trace_handler(folder)`
    the trace goes to that folder. Tables by operation do not exist: operations run inside compiled
    programs, and `key_averages` and `export_chrome_trace` raise NotImplementedError saying so.
    """

    def __init__(self, *settings: Any, on_trace_ready: Any = None, **options: Any):
        self.on_trace_ready = on_trace_ready
        self.folder: str | None = getattr(on_trace_ready, "folder", None)
        self.seconds = 0.0
        self.steps = 0

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop()

    def start(self) -> None:
        """Begins to measure."""
        synchronize()
        if self.folder is not None:
            jax.profiler.start_trace(self.folder)
        self._begin = time.perf_counter()

    def stop(self) -> None:
        """Waits for what is pending, and ends."""
        synchronize()
        self.seconds = time.perf_counter() - self._begin
        if self.folder is not None:
            jax.profiler.stop_trace()
        elif self.on_trace_ready is not None:
            self.on_trace_ready(self)

    def step(self) -> None:
        """Counts a step."""
        self.steps += 1

    def key_averages(self, *args: Any, **kwargs: Any) -> Any:
        """Not there: raises NotImplementedError, which says what to use."""
        raise NotImplementedError(NO_TABLE)

    table = total_average = export_chrome_trace = key_averages
