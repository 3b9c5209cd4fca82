"""The loader joins dataset, sampler and collation, and computes nothing itself.

NOTE: the state of a loader is {seed, epoch, batch}: the seed its present epoch is made from, the
number of the epoch, and how many of its batches were delivered. What workers have prepared beyond
is not part of it, so it means the same at any number of workers.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from jtoolbox import devices
from jtoolbox.utils.data.arguments import (
    check_batching,
    check_iterable,
    check_workers,
    checked_context,
)
from jtoolbox.utils.data.collate import default_collate, default_convert
from jtoolbox.utils.data.dataset import IterableDataset
from jtoolbox.utils.data.epoch import Epoch, Parallel, Position, Serial
from jtoolbox.utils.data.fetch import Recipe
from jtoolbox.utils.data.pool import drain, new_pool, warm_up
from jtoolbox.utils.data.sampler import BatchSampler, RandomSampler, SequentialSampler, iterate
from jtoolbox.utils.data.seeding import draw, mix

__all__ = ["DataLoader"]

# What libraries import to name types.
_collate_fn_t, _worker_init_fn_t = Callable[[list], Any], Callable[[int], None]
_BaseDataLoaderIter = Epoch
_SingleProcessDataLoaderIter, _MultiProcessingDataLoaderIter = Serial, Parallel

FIXED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last", "persistent_workers")

PIN_DEVICE = (
    "pin_memory_device is deprecated, batches go to the current accelerator; "
    "pin_memory_device={device!r} is ignored"
)
NOT_PINNED = (
    "'pin_memory' argument is set as true but no accelerator is found: memory is not pinned; "
    "leave the argument out on this machine"
)


class DataLoader:
    """Batches of a dataset: iterating once over the loader is one epoch.

    `DataLoader(dataset, batch_size=64, shuffle=True)` gives Tensors (N, ...), the last batch being
    smaller unless `drop_last`. Arguments, defaults and errors are PyTorch's. What is different:

    - `num_workers` processes are started by forkserver (or spawn), never by fork: the dataset
      must be picklable, and a script that defines it guards its training by
      `if __name__ == "__main__":`. `multiprocessing_context="thread"` uses threads instead.
    - Processes live as long as the loader. Without `persistent_workers` the dataset is sent to them
      anew for each epoch, so changes to it take effect, and dropped when the epoch ends.
    - Random numbers in worker processes do not depend on the number of workers (see seeding.py).
      Without workers, a dataset draws from the process's generators as PyTorch's does.
    - `seed` fixes everything random as a function of (seed, epoch, batch), then also without
      workers, and independent of `manual_seed`. Otherwise each epoch draws one number from
      `generator`, or from the sampler's, or from the default generator.
    - `state_dict` and `load_state_dict` continue an epoch after its last delivered batch.
    - `pin_memory` and `pin_memory_device` are accepted and do nothing: batches are already in
      memory that JAX takes without a copy.

    Raises ValueError for contradicting or impossible arguments, TypeError from `len` for an
    iterable dataset without a length, RuntimeError when a worker dies or takes longer than
    `timeout` seconds, and an error of the dataset with its own type, in a worker's case with the
    worker's traceback in the message.
    """

    dataset: Any  # Without this, a type checker takes it for what isinstance said of it.

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable | None = None,
        batch_sampler: Iterable | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
    ) -> None:
        check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        if isinstance(dataset, IterableDataset):
            check_iterable(shuffle, sampler, batch_sampler)
        check_batching(batch_size, shuffle, sampler, batch_sampler, drop_last)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.seed = seed
        self.drop_last = drop_last
        self._set_sampling(batch_size, shuffle, sampler, batch_sampler)
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._position = Position()
        self._resuming = False
        self._length_told = False
        self._complete = True
        if num_workers:
            warm_up(self._context)

    def _set_sampling(
        self, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any
    ) -> None:
        streaming = isinstance(self.dataset, IterableDataset)
        if sampler is None and not streaming and batch_sampler is None:
            sampler = self._default_sampler(shuffle)
        self.batch_size = None if batch_sampler is not None else batch_size
        if batch_size is not None and batch_sampler is None and not streaming:
            assert sampler is not None
            batch_sampler = BatchSampler(sampler, batch_size, self.drop_last)
        self.sampler = sampler
        self.batch_sampler = batch_sampler

    def _default_sampler(self, shuffle: bool | None) -> Any:
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in FIXED and self.__dict__.get("_complete"):
            raise ValueError(
                f"{name} attribute should not be set after DataLoader is initialized; make a new "
                "DataLoader"
            )
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> Any:
        """How workers are started: None (the best way here), a name, "thread", or a context."""
        return self._context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: Any) -> None:
        self._context = checked_context(context, self.num_workers)
        self._pool = None

    @property
    def _batched(self) -> bool:
        return self.batch_size is not None or self.batch_sampler is not None

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]
        if self.sampler is not None:
            return len(self.sampler)  # type: ignore[arg-type]
        samples = len(self.dataset)
        self._length_told = True
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if self.pin_memory:
            self._warn_of_pinning()
        position = self._begin()
        return Parallel(self, position) if self.num_workers else Serial(self, position)

    def _warn_of_pinning(self) -> None:
        if self.pin_memory_device:
            warnings.warn(PIN_DEVICE.format(device=self.pin_memory_device), stacklevel=3)
        if devices.accelerator_type() is None:
            warnings.warn(NOT_PINNED, stacklevel=3)

    def state_dict(self) -> dict[str, Any]:
        """{seed, epoch, batch}: where the latest iteration stands, in batches delivered."""
        return asdict(self._position)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Makes the next iteration the rest of the epoch that `state` was taken from.

        With the samplers here the delivered part is skipped without any loading; another sampler is
        iterated over again, and an iterable dataset is read again. Epochs after that one come from
        `seed`, or from the generator: restore that as well.
        """
        try:
            self._position = Position(*(state[name] for name in ("seed", "epoch", "batch")))
        except (KeyError, TypeError):
            raise ValueError(
                f"expected a state_dict of a DataLoader with seed, epoch and batch, got {state!r}"
            ) from None
        self._resuming = True

    def _begin(self) -> Position:
        """The position of a new iteration: the one loaded, or the start of the next epoch."""
        at = self._position
        if at.seed is not None and not self._resuming:
            at = Position(epoch=at.epoch + 1)
        self._resuming = False
        self._position = Position(self._epoch_seed(at), at.epoch, at.batch)
        return self._position

    def _epoch_seed(self, at: Position) -> int:
        if at.seed is not None:
            return at.seed
        if self.seed is not None:
            return mix(self.seed, at.epoch)
        own = self.sampler or getattr(self.batch_sampler, "sampler", None)
        generator = getattr(own, "generator", None)
        return draw(self.generator if generator is None else generator)

    def _requests(self, position: Position) -> Iterator[tuple[int, Any]]:
        """(number of the batch, indices) for the rest of the epoch; without end for a stream."""
        order = self.batch_sampler if self._batched else self.sampler
        if order is None:
            return zip(itertools.count(), itertools.repeat(None))
        rest = iterate(order, position.seed, position.batch)  # type: ignore[arg-type]
        return zip(itertools.count(position.batch), rest)

    def _recipe(self) -> Recipe:
        return Recipe(
            dataset=self.dataset,
            collate_fn=self.collate_fn,
            batch_size=self.batch_size,
            batched=self._batched,
            drop_last=self.drop_last,
            worker_init_fn=self.worker_init_fn,
        )

    def _take_pool(self, seed: int) -> Any:
        """Workers that have begun an epoch, the loader's own or, while those are away, new ones."""
        pool, self._pool = self._pool, None
        if pool is not None and len(pool.pending) != self.num_workers:
            pool = pool.close()
        keep = pool is not None and self.persistent_workers
        if pool is None:
            pool = new_pool(self._context, self.num_workers, self.prefetch_factor or 1)
        try:
            drain(pool, self.timeout)
            pool.begin(seed, None if keep else self._recipe())
        except BaseException:
            pool.close()
            raise
        return pool

    def _give_back(self, pool: Any) -> None:
        """Takes workers back at the end of an iteration."""
        if self._pool is not None:
            pool.close()
            return
        if not self.persistent_workers:
            pool.rest()
        self._pool = pool

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}
