"""What is switched on in this thread: gradients, module calls in progress, what is pending."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Mode(threading.local):
    """The engine's state of one thread.

    `grad`: operations on tensors that require grad are recorded for `backward`. `depth`: module
    calls around this line. `functional`: values are JAX's business, nothing is recorded.
    `capture`: the recording of a `jit` step, or None. `pending`: recorded nodes not yet run, in
    order. `backward`: the pending backward pass that the next one must not join, or None.
    `finished`: a whole training step that waits to be run (see `step.py`), or None.
    `structure` counts changes (train/eval, groups) after which a frozen step is recorded anew.
    `forward`: derivatives are carried forward (`jvp`), which Functions with a rule for it ask.
    `overwriting`: what a backward pass needs may be written in place, as its value is kept.
    `autocast` says for which devices operations cast their operands, or None.
    """

    def __init__(self) -> None:
        self.grad = True
        self.inference = False
        self.depth = 0
        self.functional: Any = None
        self.capture: Any = None
        self.pending: list[Any] = []
        self.backward: Any = None
        self.finished: Any = None
        self.written = False
        self.families: list[Any] = []
        self.calls: dict[int, int] = {}
        self.structure = 0
        self.autocast: Any = None
        self.forward = False
        self.overwriting = False


mode = Mode()


def structure_changed() -> None:
    """Says that frozen steps must be recorded anew: train or eval, another group, a hook."""
    mode.structure += 1


@contextmanager
def carried_forward(on: bool = True) -> Iterator[None]:
    """Inside, Functions that say how tangents go forward are asked for that."""
    before = mode.forward
    mode.forward = before or on
    try:
        yield
    finally:
        mode.forward = before


# Called when gradient recording is switched back on after values were written in place without it.
# `step` sets it, since modes know nothing of running.
on_grad_enabled: list[Callable[[], None]] = []


class set_grad_enabled:
    """Switches the recording for gradients on or off: at once, in a `with`, or as a decorator.

    As PyTorch's: the call itself takes effect; used as a context manager it is undone at the end.
    """

    def __init__(self, enabled: bool):
        self.enabled = bool(enabled)
        self.before = [mode.grad]
        _set_grad(self.enabled)

    def __enter__(self) -> None:
        _set_grad(self.enabled)

    def __exit__(self, *exception: Any) -> None:
        _set_grad(self.before[-1])

    def __call__(self, function: F) -> F:
        _set_grad(self.before[-1])
        return _decorate(function, lambda: set_grad_enabled(self.enabled))


def _set_grad(enabled: bool) -> None:
    before = mode.grad
    mode.grad = enabled
    if enabled and not before and mode.written and not mode.depth:
        mode.written = False
        for callback in on_grad_enabled:
            callback()


def _decorate(function: Any, context: Callable[[], Any]) -> Any:
    """Runs a function (each step of a generator function) inside a fresh context."""
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def steps(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            sent = None
            while True:
                with context():
                    try:
                        value = generator.send(sent)
                    except StopIteration as stop:
                        return stop.value
                sent = yield value

        return steps

    @functools.wraps(function)
    def inside(*args: Any, **kwargs: Any) -> Any:
        with context():
            return function(*args, **kwargs)

    return inside


class _GradContext:
    """A context manager, and decorator, that sets the grad mode and restores it."""

    enabled = True

    def __new__(cls, function: Any = None) -> Any:
        self = super().__new__(cls)
        return self if function is None else self(function)

    def __init__(self, function: Any = None):
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.grad)
        _set_grad(self.enabled)

    def __exit__(self, *exception: Any) -> None:
        _set_grad(self.before.pop())

    def __call__(self, function: F) -> F:
        return _decorate(function, type(self))


class no_grad(_GradContext):
    """Inside, nothing is recorded for gradients: `with no_grad():` or `@no_grad()`.

    A module called inside runs as one program when it returns.
    """

    enabled = False


class enable_grad(_GradContext):
    """Inside, operations are recorded for gradients again, as within a `no_grad`."""

    enabled = True


class inference_mode:
    """As `no_grad`: nothing is recorded for gradients. `inference_mode(False)` records.

    PyTorch also forbids later gradients through tensors made inside; here they are plain constants.
    """

    def __new__(cls, mode: Any = True) -> Any:
        self = super().__new__(cls)
        if callable(mode):
            self.__init__()
            return self(mode)
        return self

    def __init__(self, mode: bool = True):
        self.enabled = mode if isinstance(mode, bool) else True
        self.before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.before.append((mode.grad, mode.inference))
        _set_grad(not self.enabled)
        mode.inference = self.enabled

    def __exit__(self, *exception: Any) -> None:
        grad, mode.inference = self.before.pop()
        _set_grad(grad)

    def __call__(self, function: F) -> F:
        return _decorate(function, lambda: inference_mode(self.enabled))


def is_grad_enabled() -> bool:
    """Whether operations are recorded for gradients in this thread."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """Whether this line runs inside `inference_mode`."""
    return mode.inference
