"""Streams and events: stand-ins, since XLA orders what runs on a device by itself.

Work of one device runs in the order in which it was given; `wait` and `synchronize` need do no more
than PyTorch promises. An `Event` measures time by waiting for what is pending when it is recorded.
"""

from __future__ import annotations

import time
from typing import Any

from jtoolbox.engine.realize import synchronize

__all__ = ["Event", "Stream", "StreamContext", "current_stream", "set_stream", "stream"]


class Stream:
    """A queue of work on a device. There is one for each device here, and all streams are it."""

    def __init__(self, device: Any = None, priority: int = 0, **settings: Any):
        self.device = device
        self.priority = priority

    def synchronize(self) -> None:
        """Runs what is pending and waits for it."""
        synchronize()

    def query(self) -> bool:
        """Whether all work is done: waits for it, and it is."""
        synchronize()
        return True

    def wait_stream(self, stream: Any) -> None:
        """Nothing: work runs in order."""

    def wait_event(self, event: Any) -> None:
        """Nothing: work runs in order."""

    def record_event(self, event: Event | None = None) -> Event:
        """Records an event, or a new one, and returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *exception: Any) -> None:
        pass


class Event:
    """A moment: `record` waits for what is pending and notes the time."""

    def __init__(self, enable_timing: bool = False, blocking: bool = False, **settings: Any):
        self.enable_timing = enable_timing
        self.time: float | None = None

    def record(self, stream: Any = None) -> None:
        """Waits for what is pending, and notes the time."""
        synchronize()
        self.time = time.perf_counter()

    def wait(self, stream: Any = None) -> None:
        """Nothing: what came before has run."""

    def query(self) -> bool:
        """True: `record` has waited."""
        return True

    def synchronize(self) -> None:
        """Nothing: `record` has waited."""

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds from this event to another; both with `enable_timing` and recorded."""
        if not (self.enable_timing and end_event.enable_timing):
            raise ValueError("Both events must be created with argument 'enable_timing=True'.")
        if self.time is None or end_event.time is None:
            raise ValueError("Both events must be recorded before calculating elapsed time.")
        return 1000 * (end_event.time - self.time)


class StreamContext:
    """`with stream(s):` changes nothing: all streams are one."""

    def __init__(self, stream: Any):
        self.stream = stream

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: Any) -> None:
        pass


def stream(stream: Any) -> StreamContext:
    """A context in which work goes to `stream`, which is where it goes anyway."""
    return StreamContext(stream)


def current_stream(device: Any = None) -> Stream:
    """The stream of a device."""
    return Stream(device)


def set_stream(stream: Any) -> None:
    """Nothing: all streams are one."""
