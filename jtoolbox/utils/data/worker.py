"""The worker's side: a loop that takes requests and answers with batches.

The same loop runs in worker processes and in worker threads. Whatever goes wrong inside it is
carried back as a `Failure` and raised in the main process, with the worker's traceback.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import jax

from jtoolbox.utils.data import transport
from jtoolbox.utils.data.collate import keep
from jtoolbox.utils.data.fetch import Fetcher, Recipe
from jtoolbox.utils.data.seeding import mix, seed_globals

__all__ = ["get_worker_info"]

BATCH, END, FAILURE = "batch", "end", "failure"  # Kinds of answers.


@dataclass(frozen=True)
class WorkerInfo:
    """What a dataset may know of the worker it is in: `id`, `num_workers`, `seed`, `dataset`."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_of_thread = threading.local()
_of_process: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The worker that the caller runs in, or None in the main process.

    An iterable dataset uses it to read only its share of the data:

    >>> info = get_worker_info()
    >>> first, step = (0, 1) if info is None else (info.id, info.num_workers)
    >>> yield from itertools.islice(lines, first, None, step)
    """
    return getattr(_of_thread, "info", _of_process)


class _Verbatim(str):
    """A message that a KeyError shows as it is, line breaks and all."""

    __slots__ = ()
    __repr__ = str.__str__


@dataclass(frozen=True)
class Failure:
    """An exception of a worker on its way to the main process."""

    type: bytes | type
    name: str
    text: str

    @classmethod
    def of(cls, error: Exception, where: str, by_pickle: bool) -> Failure:
        text = "".join(traceback.format_exception(error))
        kind: bytes | type = type(error)
        if by_pickle:
            try:
                kind = pickle.dumps(kind)
            except Exception:
                kind = pickle.dumps(RuntimeError)
        message = f"Caught {type(error).__name__} in DataLoader {where}.\nOriginal {text}"
        return cls(kind, type(error).__name__, message)

    def exception(self) -> Exception:
        """The exception to raise: of the worker's type where that takes a message, or RuntimeError.

        StopIteration would end the caller's loop in silence, and so it becomes RuntimeError too.
        """
        try:
            kind = pickle.loads(self.type) if isinstance(self.type, bytes) else self.type
            if issubclass(kind, StopIteration):
                return RuntimeError(self.text)
            return kind(_Verbatim(self.text) if issubclass(kind, KeyError) else self.text)
        except Exception:
            return RuntimeError(self.text)


@dataclass(frozen=True)
class Begin:
    """The command that begins an epoch. Without a load, the recipe at hand is kept."""

    seed: int
    load: Callable[[], Recipe] | None = None


def serve(
    worker: int,
    workers: int,
    receive: Callable[[], Any],
    answer: Callable[[str, Any], None],
    process: bool,
) -> None:
    """Takes commands until None comes: `Begin`, "rest", or a request (number, indices).

    Each request gets one answer. An error while beginning is the answer to every request.
    """
    where = f"worker {'process' if process else 'thread'} {worker}"
    recipe, fetcher, failure = None, None, None
    while (command := receive()) is not None:
        if command == "rest":
            recipe = fetcher = None
            _inform(None, process)
        elif isinstance(command, Begin):
            fetcher = failure = None
            try:
                fresh = command.load is not None
                recipe = command.load() if command.load is not None else recipe
                fetcher = _begin(recipe, fresh, worker, workers, command.seed, process)
            except Exception as error:
                failure = Failure.of(error, where, process)
        elif failure is not None:
            answer(FAILURE, failure)
        else:
            try:
                answer(*_fetched(fetcher, command))
            except ConnectionError:
                return  # The main process is gone, or has closed its end.
            except Exception as error:
                answer(FAILURE, Failure.of(error, where, process))


def _fetched(fetcher: Any, request: tuple) -> tuple[str, Any]:
    """The answer to a request, of which no name is kept while the next one is waited for."""
    try:
        return BATCH, fetcher(*request)
    except StopIteration:
        if fetcher.recipe.iterable:
            return END, None
        raise


def _begin(
    recipe: Any, fresh: bool, worker: int, workers: int, seed: int, process: bool
) -> Fetcher:
    own_seed = mix(seed, 1 + worker)
    _inform(WorkerInfo(worker, workers, own_seed, recipe.dataset), process)
    if process:
        seed_globals(own_seed)
    if fresh and recipe.worker_init_fn is not None:
        recipe.worker_init_fn(worker)
    return Fetcher(recipe, keep, seed if process and not recipe.iterable else None)


def _inform(info: WorkerInfo | None, process: bool) -> None:
    global _of_process
    if process:
        _of_process = info
    else:
        _of_thread.info = info


def main(
    worker: int,
    workers: int,
    connection: Connection,
    shared: transport.SharedFile | None,
    slots: list[transport.SharedFile],
) -> None:
    """The life of a worker process; it ends when the main process closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the main process's to handle.
    cpu_only()
    sender = transport.Sender(connection, slots)
    commands: queue.SimpleQueue = queue.SimpleQueue()
    # A thread empties the connection: the main process never waits for a worker to take a request
    # while that worker waits for the main process to take a batch.
    threading.Thread(target=_listen, args=(connection, shared, commands), daemon=True).start()
    try:
        connection.send("ready")
        serve(worker, workers, commands.get, sender.send, process=True)
    except OSError:
        pass  # The main process is gone, or has closed its end.


def cpu_only() -> None:
    """Keeps JAX in this process off the accelerators, which belong to the main process."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    jax.config.update("jax_platforms", "cpu")


def _listen(
    connection: Connection, shared: transport.SharedFile | None, commands: queue.SimpleQueue
) -> None:
    command: Any = ""
    while command is not None:
        try:
            command = connection.recv()
        except (OSError, EOFError):
            command = None
        if isinstance(command, transport.Parcel):
            parcel = command
            command = Begin(parcel.note, lambda parcel=parcel: transport.unpack(parcel, shared))
        commands.put(command)
