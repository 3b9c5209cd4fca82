"""One iteration over a loader, without workers and with them."""

from __future__ import annotations

import collections
import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jtoolbox.tensor import from_host
from jtoolbox.utils.data.collate import wrap_arrays
from jtoolbox.utils.data.fetch import Fetcher
from jtoolbox.utils.data.seeding import globals_kept
from jtoolbox.utils.data.worker import END, FAILURE

TOO_LONG = (
    "Length of IterableDataset {dataset} was reported to make {length} batches (when len of the "
    "DataLoader was asked), but {number} have been fetched. With several workers each must yield "
    "only its share of the samples: see get_worker_info."
)
TIMED_OUT = (
    "DataLoader timed out after {timeout} seconds: no batch came from its workers. Give a larger "
    "timeout, or find what is slow in the dataset with num_workers=0."
)
NO_TIMEOUT = "timeout is for workers: with num_workers=0 it must be 0, but got timeout={timeout}"


@dataclass
class Position:
    """Where a loader is. A seed of None says that the epoch has not begun."""

    seed: int | None = None
    epoch: int = 0
    batch: int = 0


class Epoch:
    """What both iterations share: counting, the end of the epoch, and length that was wrong."""

    def __init__(self, loader: Any, position: Position):
        self._loader = loader
        self._position = position
        self._requests = loader._requests(position)
        self._streaming = loader._recipe().iterable

    def _skip_delivered(self) -> None:
        """A stream has no places to start at: what was delivered before is read once more."""
        if self._streaming:
            with contextlib.suppress(StopIteration):
                for _ in range(self._position.batch):
                    self._fetch()

    def _fetch(self) -> Any:
        raise NotImplementedError

    def __iter__(self) -> Iterator[Any]:
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> Any:
        try:
            batch = self._fetch()
        except StopIteration:
            self._finish()
            raise
        self._position.batch += 1
        if self._streaming and self._loader._length_told:
            self._check_length()
        return batch

    def _finish(self) -> None:
        loader, position = self._loader, self._position
        if loader._position is position:
            loader._position = Position(epoch=position.epoch + 1)

    def _check_length(self) -> None:
        length, number = len(self), self._position.batch
        if number == length + 1:
            dataset = self._loader.dataset
            message = TOO_LONG.format(dataset=dataset, length=length, number=number)
            warnings.warn(message, stacklevel=3)


class Serial(Epoch):
    """Batches made in the main process, each when it is asked for."""

    def __init__(self, loader: Any, position: Position):
        if loader.timeout:
            raise AssertionError(NO_TIMEOUT.format(timeout=loader.timeout))
        super().__init__(loader, position)
        seeded = loader.seed is not None and not self._streaming
        self._seeded = seeded
        self._fetcher = Fetcher(loader._recipe(), from_host, position.seed if seeded else None)
        self._skip_delivered()

    def _fetch(self) -> Any:
        number, indices = next(self._requests)
        if not self._seeded:
            return self._fetcher(number, indices)
        with globals_kept():
            return self._fetcher(number, indices)


class Parallel(Epoch):
    """Batches made by workers, which are kept `prefetch_factor` requests ahead.

    Requests go to the workers in turn. Each answers in order, so the order of all batches is known:
    the next one comes from the worker asked longest ago.
    """

    def __init__(self, loader: Any, position: Position):
        super().__init__(loader, position)
        self._pool: Any = loader._take_pool(position.seed)
        self._finishes = loader._recipe().finishes_arrays
        self._asked: collections.deque[int] = collections.deque()
        self._active = collections.deque(range(loader.num_workers))
        with self._pool_at_stake():
            for _ in range(self._pool.ahead * loader.num_workers):
                self._ask()
        self._skip_delivered()

    def _ask(self) -> None:
        """Gives the next request to the next worker in turn that has room for one."""
        for _ in range(len(self._active)):
            worker = self._active[0]
            self._active.rotate(-1)
            if self._pool.pending[worker] < self._pool.ahead:
                request = next(self._requests, None)
                if request is not None:
                    self._pool.request(worker, *request)
                    self._asked.append(worker)
                return

    def _fetch(self) -> Any:
        while self._asked:
            with self._pool_at_stake():
                kind, value = self._answer()
            if kind == FAILURE:
                raise value.exception()
            if kind != END:
                return wrap_arrays(value) if self._finishes else value
        raise StopIteration

    def _answer(self) -> tuple[str, Any]:
        worker = self._next_worker()
        kind, value = self._pool.receive(worker, self._loader.timeout)
        self._asked.remove(worker)
        if kind != END:
            self._ask()
        elif worker in self._active:
            self._active.remove(worker)
        return kind, value

    def _next_worker(self) -> int:
        if self._loader.in_order:
            return self._asked[0]
        return self._pool.first_ready(self._loader.timeout)

    @contextlib.contextmanager
    def _pool_at_stake(self) -> Iterator[None]:
        """An error in the dealings with the workers, Ctrl-C among them, ends them all."""
        try:
            yield
        except BaseException as error:
            self._asked.clear()
            pool, self._pool = self._pool, None
            pool.close()
            if isinstance(error, TimeoutError):
                message = TIMED_OUT.format(timeout=self._loader.timeout)
                raise RuntimeError(message) from None
            raise

    def _finish(self) -> None:
        super()._finish()
        self._release()

    def _release(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            self._loader._give_back(pool)

    def __del__(self) -> None:
        try:  # noqa: SIM105 - at the interpreter's exit contextlib may be gone
            self._release()
        except Exception:
            pass
