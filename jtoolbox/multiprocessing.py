"""`torch.multiprocessing`: the standard library's, with 'spawn', and `spawn` for several workers.

A forked child hangs once JAX has started, so the default context starts processes anew.
"""

from __future__ import annotations

import multiprocessing as _standard
import os
import signal
import traceback as _traceback
from collections.abc import Callable
from multiprocessing import (
    AuthenticationError,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    active_children,
    cpu_count,
    current_process,
    freeze_support,
    get_all_start_methods,
    get_logger,
    log_to_stderr,
    parent_process,
    set_executable,
    set_forkserver_preload,
)
from multiprocessing.connection import wait
from typing import Any

_spawn = _standard.get_context("spawn")
(Array, Barrier, BoundedSemaphore, Condition, Event, JoinableQueue, Lock, Manager) = (
    _spawn.Array, _spawn.Barrier, _spawn.BoundedSemaphore, _spawn.Condition, _spawn.Event,
    _spawn.JoinableQueue, _spawn.Lock, _spawn.Manager,
)  # fmt: skip
(Pipe, Pool, Process, Queue, RLock, RawArray, RawValue, Semaphore, SimpleQueue, Value) = (
    _spawn.Pipe, _spawn.Pool, _spawn.Process, _spawn.Queue, _spawn.RLock, _spawn.RawArray,
    _spawn.RawValue, _spawn.Semaphore, _spawn.SimpleQueue, _spawn.Value,
)  # fmt: skip

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "ProcessContext",
    "ProcessError",
    "ProcessExitedException",
    "ProcessRaisedException",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "active_children",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_sharing_strategies",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_sharing_strategy",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "set_executable",
    "set_forkserver_preload",
    "set_sharing_strategy",
    "set_start_method",
    "spawn",
    "start_processes",
]

FORK = (
    "the start method '{method}' is not possible: a forked process hangs once JAX has started. Use "
    "'spawn' or 'forkserver'"
)
RAISED = "\n\n-- Process {rank} terminated with the following error:\n{trace}"


def get_context(method: str | None = None) -> Any:
    """The standard library's context of a start method, by default 'spawn'; not 'fork'."""
    if method == "fork":
        raise ValueError(FORK.format(method=method))
    return _standard.get_context("spawn" if method is None else method)


def get_start_method(allow_none: bool = False) -> str:
    """'spawn'."""
    return "spawn"


def set_start_method(method: str | None, force: bool = False) -> None:
    """'spawn' and 'forkserver' are accepted; ValueError for 'fork'."""
    get_context(method)


def get_all_sharing_strategies() -> set[str]:
    """How tensors travel between processes: by copy."""
    return {"file_system"}


def get_sharing_strategy() -> str:
    """'file_system': a name only, tensors travel by copy."""
    return "file_system"


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted: tensors travel by copy."""


class ProcessRaisedException(Exception):
    """A process of `spawn` ended with an exception; its traceback is in the message."""

    def __init__(self, msg: str, error_index: int, error_pid: int):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessExitedException(Exception):
    """A process of `spawn` ended by itself, with an exit code, or by a signal."""

    def __init__(self, msg: str, error_index: int, error_pid: int, exit_code: int):
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid
        self.exit_code = exit_code


class ProcessContext:
    """The processes of one `spawn`."""

    def __init__(self, processes: list[Any], errors: list[Any]):
        self.processes = processes
        self.errors = errors

    def pids(self) -> list[int]:
        """Their numbers."""
        return [p.pid for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Waits for one to fail or all to end; whether all have ended.

        When one fails the others are ended, and its exception is raised as
        ProcessRaisedException or ProcessExitedException.
        """
        wait([p.sentinel for p in self.processes if p.is_alive()], timeout)
        failed = next((i for i, p in enumerate(self.processes) if p.exitcode), None)
        if failed is None:
            return all(p.exitcode == 0 for p in self.processes)
        for process in self.processes:
            if process.is_alive():
                process.terminate()
            process.join()
        self._fail(failed)
        return False

    def _fail(self, rank: int) -> None:
        process = self.processes[rank]
        if self.errors[rank].poll():
            trace = self.errors[rank].recv()
            raise ProcessRaisedException(RAISED.format(rank=rank, trace=trace), rank, process.pid)
        code = process.exitcode
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        message = f"process {rank} terminated with {how}"
        raise ProcessExitedException(message, rank, process.pid, code)


def _run(function: Callable[..., Any], rank: int, args: tuple[Any, ...], errors: Any) -> None:
    try:
        function(rank, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.send(_traceback.format_exc())
        errors.close()
        # Not sys.exit: leaving in order would wait for processes that wait for this one.
        os._exit(1)


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Runs `fn(rank, *args)` in `nprocs` new processes, and waits for them when `join`.

    `fn` must be at the top of a module. When one process fails the others are ended, and
    ProcessRaisedException has its traceback. Without `join` the ProcessContext is returned.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """As `spawn`, with the start method given."""
    chosen = get_context(start_method)
    processes, errors = [], []
    for rank in range(nprocs):
        receiver, sender = chosen.Pipe(duplex=False)
        process = chosen.Process(target=_run, args=(fn, rank, args, sender), daemon=daemon)
        process.start()
        sender.close()
        processes.append(process)
        errors.append(receiver)
    context = ProcessContext(processes, errors)
    if not join:
        return context
    while not context.join():
        pass
    return None
