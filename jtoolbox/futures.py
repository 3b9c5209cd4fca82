"""`torch.futures`: results that come later, as other threads set them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]

T = TypeVar("T")
S = TypeVar("S")


class Future(Generic[T]):
    """A result that is set once, from any thread, with what to do when it is.

    `devices` is accepted: values carry their device. RuntimeError when a result is set twice, or
    asked for with `value` before it is there.
    """

    def __init__(self, *, devices: Sequence[Any] | None = None):
        self._future: futures.Future = futures.Future()

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._future.done()

    def wait(self) -> T:
        """The result, once it is there; raises the error that was set instead."""
        return self._future.result()

    def value(self) -> T:
        """The result, which must be there."""
        if not self.done():
            raise RuntimeError("the Future has no value yet: wait() waits for it")
        return self._future.result()

    def then(self, callback: Callable[[Future[T]], S]) -> Future[S]:
        """The Future of what a function makes of this one once it is there; at once if it is."""
        following: Future[S] = Future()

        def run(_: Any) -> None:
            try:
                following.set_result(callback(self))
            except Exception as error:
                following.set_exception(error)

        self._future.add_done_callback(run)
        return following

    def add_done_callback(self, callback: Callable[[Future[T]], None]) -> None:
        """Calls a function with this Future once it is there. The function must not raise."""
        self._future.add_done_callback(lambda _: callback(self))

    def set_result(self, result: T) -> None:
        """Sets the result, which ends all waiting."""
        self._once(self._future.set_result, result)

    def set_exception(self, result: Exception) -> None:
        """Sets an error, which waiting raises. AssertionError for what is no exception."""
        if not isinstance(result, Exception):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._once(self._future.set_exception, result)

    @staticmethod
    def _once(set_it: Callable[[Any], None], result: Any) -> None:
        try:
            set_it(result)
        except futures.InvalidStateError:
            raise RuntimeError(
                "Attempting to mark a completed Future as complete again. Note that a Future can "
                "only be marked completed once."
            ) from None


def collect_all(futures: list[Future]) -> Future[list[Future]]:
    """The Future of the list when all in it are done; it fails as the first that fails does."""
    together: Future[list[Future]] = Future()
    waiting = [len(futures)]

    def count(one: Future) -> None:
        waiting[0] -= 1
        error = one._future.exception()
        if not together.done() and isinstance(error, Exception):
            together.set_exception(error)
        elif not together.done() and not waiting[0]:
            together.set_result(futures)

    if not futures:
        together.set_result(futures)
    for one in futures:
        one.add_done_callback(count)
    return together


def wait_all(futures: list[Future]) -> list[Any]:
    """The results of all, once they are there; raises the error of one that has none."""
    return [future.wait() for future in collect_all(futures).wait()]
