"""The checks of the loader's arguments: PyTorch's errors, with what to do."""

from __future__ import annotations

import multiprocessing
import os
import warnings
from multiprocessing.context import BaseContext
from typing import Any

from jtoolbox.utils.data.sampler import is_count

NO_FORK = (
    "multiprocessing_context='fork' cannot be used: a forked child of a process that runs JAX "
    "hangs as soon as it touches JAX. Leave multiprocessing_context out (forkserver is used, and "
    "starts about as fast), or choose 'forkserver', 'spawn' or 'thread'."
)
MANY_WORKERS = (
    "This DataLoader will create {workers} workers in total, more than the {cores} cores that this "
    "process may use, which usually makes loading slower; num_workers={cores} or fewer would fit."
)
ONE_SIZE = "{name} option is mutually exclusive with {others}: pass one of them"
STREAM = (
    "DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={found}. "
    "Such a dataset decides its order itself; use a map-style Dataset for this."
)


def check_workers(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if not isinstance(num_workers, int):
        raise TypeError(f"num_workers should be an integer, but got num_workers={num_workers!r}")
    if num_workers < 0:
        raise ValueError(
            f"num_workers option should be non-negative, but got {num_workers}; use num_workers=0 "
            "to load in the main process."
        )
    if timeout < 0:
        raise ValueError(f"timeout option should be non-negative, but got {timeout}")
    if prefetch_factor is not None and num_workers == 0:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. Let num_workers > "
            "0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor < 0:
        raise ValueError(f"prefetch_factor option should be non-negative, got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")
    _warn_of_many(num_workers)


def _warn_of_many(num_workers: int) -> None:
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    if num_workers > cores:
        message = MANY_WORKERS.format(workers=num_workers, cores=cores)
        warnings.warn(message, stacklevel=4)


def check_iterable(shuffle: Any, sampler: Any, batch_sampler: Any) -> None:
    if shuffle not in {False, None}:
        raise ValueError(STREAM.format(name="shuffle", found=shuffle))
    if sampler is not None:
        raise ValueError(STREAM.format(name="sampler", found=sampler))
    if batch_sampler is not None:
        raise ValueError(STREAM.format(name="batch_sampler", found=batch_sampler))


def check_batching(
    batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: Any
) -> None:
    if sampler is not None and shuffle:
        raise ValueError(ONE_SIZE.format(name="sampler", others="shuffle"))
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            others = "batch_size, shuffle, sampler, and drop_last"
            raise ValueError(ONE_SIZE.format(name="batch_sampler", others=others))
    elif batch_size is None and drop_last:
        raise ValueError(
            "batch_size=None option disables auto-batching and is mutually exclusive with drop_last"
        )
    if batch_size is not None and not is_count(batch_size):
        raise ValueError(
            f"batch_size should be a positive integer value, but got batch_size={batch_size}; "
            "batch_size=None gives samples one by one, without a batch axis"
        )
    if not isinstance(drop_last, bool):
        raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")


def checked_context(context: Any, num_workers: int) -> Any:
    """The multiprocessing context to start workers with, or "thread"."""
    if context is not None and num_workers == 0:
        raise ValueError(
            "multiprocessing_context can only be used with multi-process loading (num_workers > "
            f"0), but got num_workers={num_workers}"
        )
    methods = [m for m in multiprocessing.get_all_start_methods() if m != "fork"]
    if context is None:
        context = "forkserver" if "forkserver" in methods else "spawn"
    if context == "thread":
        return context
    if isinstance(context, str) and context in methods:
        return multiprocessing.get_context(context)
    if isinstance(context, str) and context != "fork":
        raise ValueError(
            f"multiprocessing_context option should specify a valid start method in "
            f"{[*methods, 'thread']}, but got multiprocessing_context={context!r}"
        )
    if context != "fork" and not isinstance(context, BaseContext):
        raise TypeError(
            "multiprocessing_context option should be a valid context object or a string "
            f"specifying the start method, but got multiprocessing_context={context!r}"
        )
    if context == "fork" or context.get_start_method() == "fork":
        raise ValueError(NO_FORK)
    return context
