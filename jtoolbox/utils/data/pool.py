"""The workers as the main process sees them: start, command, receive, notice their death.

Two pools with the same methods: `ProcessPool` and `ThreadPool`. A worker answers requests in the
order in which it got them, so the caller knows which answer it reads.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import queue
import signal
import sys
import threading
import time
import types
import warnings
import weakref
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from jtoolbox.utils.data import transport
from jtoolbox.utils.data.fetch import Recipe
from jtoolbox.utils.data.worker import Begin, main, serve

PRELOAD = "jtoolbox.utils.data.preload"
MOST_AHEAD = 64  # Batches that one worker may be ahead: each has a slot, a slot is an open file.
GRACE = 0.5  # Seconds that a worker has to end by itself before it is made to.

ENDED = (
    "DataLoader worker (pid(s) {pid}) exited unexpectedly: {how}. Try num_workers=0 to see the "
    "error in the main process."
)
MEMORY = (
    " The system ends processes in this way when memory runs out: fewer workers, a smaller "
    "prefetch_factor or smaller batches need less."
)
GUARD = (
    " It ended while starting. A worker imports the main script again, so the code that trains has "
    "to stand below  if __name__ == '__main__':  (what the worker printed is above)."
)
UNPICKLABLE = (
    "DataLoader cannot send the dataset, collate_fn or worker_init_fn to worker processes: "
    "{error}. They are sent by pickle: use functions and classes from the top level of a module "
    "instead of lambdas and local ones, open files and connections in the worker (worker_init_fn, "
    "or at the first __getitem__). Or use num_workers=0, or multiprocessing_context='thread'."
)
NOTEBOOK = (
    "DataLoader cannot send the dataset, collate_fn or worker_init_fn to worker processes: it is "
    "defined in a notebook or an interactive session, which the workers cannot import. Move it to "
    "a module (a .py file beside the notebook), or use num_workers=0, or "
    "multiprocessing_context='thread'."
)
NO_MEMORY = (
    "DataLoader: no shared memory ({trouble}); this and other batches go through a pipe, which is "
    "slower. Smaller batches or a smaller prefetch_factor need less of it."
)


class ProcessPool:
    """Worker processes, started by forkserver or spawn: never by fork, which JAX does not survive.

    They start with the first recipe, and again for one that needs the main script if the first did
    not. At most `ahead` requests may be pending at each.
    """

    def __init__(self, context: Any, workers: int, ahead: int):
        self.pending = [0] * workers
        self.ahead = min(max(ahead, 1), MOST_AHEAD)
        self._context = context
        self._warned = False
        self._knows_main = False
        self._shared = transport.create_file()
        self._receivers: list[transport.Receiver] = []
        self._processes: list[Any] = []
        self._ready: list[bool] = []

    def begin(self, seed: int, recipe: Recipe | None) -> None:
        """Begins an epoch in every worker; None leaves them the recipe that they have."""
        if recipe is None:
            command: Any = Begin(seed)
        else:
            command = pack_recipe(recipe, self._shared)
            command.note = seed
            if not self._processes or (needs_main(command) and not self._knows_main):
                self._start_all(needs_main(command))
        for worker in range(len(self.pending)):
            self._command(worker, command)

    def _start_all(self, with_main: bool) -> None:
        self.close()
        self._knows_main, self._ready = with_main, [False] * len(self.pending)
        weakref.finalize(self, _close, self._receivers, self._processes, os.getpid())
        with _start_up(self._context, with_main):
            for worker in range(len(self.pending)):
                self._start(worker)

    def _start(self, worker: int) -> None:
        here, there = self._context.Pipe(duplex=True)
        files = [transport.create_file() for _ in range(self.ahead)]
        slots = [file for file in files if file is not None]
        process = self._context.Process(
            target=main,
            args=(worker, len(self.pending), there, self._shared, slots),
            name=f"DataLoader worker {worker}",
            daemon=True,
        )
        self._receivers.append(transport.Receiver(here, slots))
        process.start()
        self._processes.append(process)
        there.close()

    def close(self) -> None:
        """Ends the workers."""
        _close(self._receivers, self._processes, os.getpid())

    def request(self, worker: int, number: int, indices: Any) -> None:
        """Asks a worker for a batch."""
        self._command(worker, (number, indices))
        self.pending[worker] += 1

    def rest(self) -> None:
        """Lets the workers forget the dataset until the next epoch."""
        for worker in range(len(self._receivers)):
            self._command(worker, "rest")

    def receive(self, worker: int, timeout: float) -> tuple[str, Any]:
        """A worker's next answer. Raises TimeoutError, or RuntimeError when the worker is dead."""
        receiver = self._receivers[worker]
        try:
            if not self._ready[worker]:
                self._await(receiver.connection, timeout)
                receiver.connection.recv()
                self._ready[worker] = True
            self._await(receiver.connection, timeout)
            kind, value, trouble = receiver.receive()
        except (EOFError, ConnectionError):
            raise RuntimeError(self._obituary(worker)) from None
        self.pending[worker] -= 1
        if trouble and not self._warned:
            self._warned = True
            warnings.warn(NO_MEMORY.format(trouble=trouble), stacklevel=4)
        return kind, value

    def first_ready(self, timeout: float) -> int:
        """A worker that has answered, or died, among those that owe an answer."""
        owing = {
            receiver.connection: worker
            for worker, receiver in enumerate(self._receivers)
            if self.pending[worker]
        }
        ready = wait(list(owing), timeout or None)
        if not ready:
            raise TimeoutError
        return owing[ready[0]]  # type: ignore[index]

    def _await(self, connection: Connection, timeout: float) -> None:
        if timeout and not connection.poll(timeout):
            raise TimeoutError

    def _command(self, worker: int, command: Any) -> None:
        try:
            self._receivers[worker].connection.send(command)
        except ConnectionError:
            raise RuntimeError(self._obituary(worker)) from None

    def _obituary(self, worker: int) -> str:
        process = self._processes[worker]
        process.join(GRACE)
        code = process.exitcode
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            extra = MEMORY if name == "SIGKILL" else ""
            return ENDED.format(pid=process.pid, how=f"killed by signal {name}") + extra
        text = ENDED.format(pid=process.pid, how=f"exit code {code}")
        return text if self._ready[worker] else text + GUARD


def _close(receivers: list[transport.Receiver], processes: list[Any], owner: int) -> None:
    """Ends the workers: they leave when the connection closes, and are made to if they don't."""
    if os.getpid() != owner:
        return
    for receiver in receivers:
        receiver.connection.close()
    for end in (None, "terminate", "kill"):
        for process in processes:
            if end and process.is_alive():
                getattr(process, end)()
        deadline = time.monotonic() + GRACE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
    receivers.clear()
    processes.clear()


def pack_recipe(recipe: Recipe, file: transport.SharedFile | None) -> transport.Parcel:
    """The recipe by pickle. Raises PicklingError with what to do where that is impossible."""
    try:
        parcel = transport.pack(recipe, file)
    except (pickle.PicklingError, AttributeError, TypeError, RuntimeError) as error:
        raise pickle.PicklingError(UNPICKLABLE.format(error=error)) from error
    if needs_main(parcel) and not _main_is_importable():
        raise pickle.PicklingError(NOTEBOOK)
    return parcel


def needs_main(parcel: transport.Parcel) -> bool:
    """Whether unpickling takes the main script (or something that has its name in it)."""
    return b"__main__" in parcel.data


def _main_is_importable() -> bool:
    script = sys.modules["__main__"]
    return hasattr(script, "__file__") or getattr(script, "__spec__", None) is not None


@contextlib.contextmanager
def _start_up(context: Any, main_module: bool) -> Iterator[None]:
    """The surroundings in which workers are started: JAX_PLATFORMS is set before they import jax.

    Unless the recipe needs the main
    script, the workers are kept from importing it: that would cost its imports in each of them, and
    run the whole of a script without an `if __name__ == "__main__":`.
    """
    script = sys.modules["__main__"]
    if not main_module:
        sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        with _cpu_for_children():
            yield
    finally:
        sys.modules["__main__"] = script


@contextlib.contextmanager
def _cpu_for_children() -> Iterator[None]:
    platforms = os.environ.get("JAX_PLATFORMS")
    os.environ["JAX_PLATFORMS"] = "cpu"
    try:
        yield
    finally:
        if platforms is None:
            del os.environ["JAX_PLATFORMS"]
        else:
            os.environ["JAX_PLATFORMS"] = platforms


def warm_up(context: Any) -> None:
    """Starts the server that workers are forked from, so that it imports jax in the meantime."""
    if context == "thread" or context.get_start_method() != "forkserver":
        return
    if multiprocessing.parent_process() is None:  # A worker that imports the script needs none.
        context.set_forkserver_preload([PRELOAD])
        with _cpu_for_children():
            forkserver.ensure_running()


class ThreadPool:
    """Worker threads: nothing is copied or pickled, and the dataset is shared by all of them.

    Good where the work releases the interpreter lock, as NumPy, image decoders and files do.
    """

    def __init__(self, workers: int, ahead: int):
        self.pending = [0] * workers
        self.ahead = max(ahead, 1)
        self._commands: list[queue.SimpleQueue] = [queue.SimpleQueue() for _ in range(workers)]
        self._answers: list[queue.SimpleQueue] = [queue.SimpleQueue() for _ in range(workers)]
        self.close = weakref.finalize(self, _send_all, self._commands, None)
        for worker in range(workers):
            answer = functools.partial(_put, self._answers[worker])
            arguments = (worker, workers, self._commands[worker].get, answer, False)
            threading.Thread(target=serve, args=arguments, daemon=True).start()

    def begin(self, seed: int, recipe: Recipe | None) -> None:
        _send_all(self._commands, Begin(seed, None if recipe is None else lambda: recipe))

    def request(self, worker: int, number: int, indices: Any) -> None:
        self._commands[worker].put((number, indices))
        self.pending[worker] += 1

    def rest(self) -> None:
        _send_all(self._commands, "rest")

    def receive(self, worker: int, timeout: float) -> tuple[str, Any]:
        try:
            answer = self._answers[worker].get(timeout=timeout or None)
        except queue.Empty:
            raise TimeoutError from None
        self.pending[worker] -= 1
        return answer

    def first_ready(self, timeout: float) -> int:
        """The worker whose turn it is: threads answer in order."""
        return max(range(len(self.pending)), key=self.pending.__getitem__)


def _put(answers: queue.SimpleQueue, kind: str, value: Any) -> None:
    answers.put((kind, value))


def _send_all(queues: Sequence[queue.SimpleQueue], command: Any) -> None:
    for commands in queues:
        commands.put(command)


def drain(pool: ProcessPool | ThreadPool, timeout: float) -> None:
    """Takes and drops the answers to requests that nobody waits for any longer."""
    for worker, count in enumerate(pool.pending):
        for _ in range(count):
            pool.receive(worker, timeout)


def new_pool(context: Any, workers: int, ahead: int) -> ProcessPool | ThreadPool:
    """Workers by a multiprocessing context, or threads where it is "thread"."""
    if context == "thread":
        return ThreadPool(workers, ahead)
    return ProcessPool(context, workers, ahead)
