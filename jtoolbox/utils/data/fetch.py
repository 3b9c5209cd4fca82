"""Fetching: what a batch is made of, and how one request becomes one batch.

The main process and the workers share this file, so a batch is the same wherever it was made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jtoolbox.utils.data.arrays import Columns
from jtoolbox.utils.data.collate import Wrap, collate, convert, default_collate, default_convert
from jtoolbox.utils.data.dataset import IterableDataset, fetch_samples
from jtoolbox.utils.data.seeding import mix, seed_globals

COLLATIONS: dict[Any, Callable[[Any, Wrap], Any]] = {
    default_collate: collate,
    default_convert: convert,
}


@dataclass
class Recipe:
    """What a worker must know to make batches; it travels to worker processes by pickle."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batch_size: int | None
    batched: bool
    drop_last: bool
    worker_init_fn: Callable[[int], Any] | None = None

    @property
    def iterable(self) -> bool:
        return isinstance(self.dataset, IterableDataset)

    @property
    def finishes_arrays(self) -> bool:
        """Whether the collation is one of ours, which leaves its arrays for the loader to wrap."""
        return self.collate_fn in COLLATIONS

    def collation(self, wrap: Wrap) -> Callable[[Any], Any]:
        """The collation, which gives finished arrays to `wrap` if it is one of ours."""
        ours = COLLATIONS.get(self.collate_fn)
        return self.collate_fn if ours is None else lambda samples: ours(samples, wrap)


class Fetcher:
    """Makes batches from requests: (number of the batch, indices or None).

    With a `seed`, the process's global generators are seeded for each batch. Raises StopIteration
    when an iterable dataset has no more.
    """

    def __init__(self, recipe: Recipe, wrap: Wrap, seed: int | None = None):
        self.recipe = recipe
        self.collate = recipe.collation(wrap)
        self.seed = seed
        self.stream = iter(recipe.dataset) if recipe.iterable else None

    def __call__(self, number: int, indices: Any) -> Any:
        if self.seed is not None:
            seed_globals(mix(self.seed, number))
        if self.stream is not None:
            samples = self._next_samples()
        elif self.recipe.batched:
            samples = self._samples(indices)
        else:
            samples = self.recipe.dataset[indices]
        return self.collate(samples)

    def _samples(self, indices: Sequence[Any]) -> Any:
        samples = fetch_samples(self.recipe.dataset, indices)
        if isinstance(samples, Columns) and not self.recipe.finishes_arrays:
            return list(samples)
        return samples

    def _next_samples(self) -> Any:
        if not self.recipe.batched:
            return next(self.stream)  # type: ignore[arg-type]
        size = self.recipe.batch_size
        samples = list(itertools.islice(self.stream, size))  # type: ignore[arg-type]
        if not samples or (self.recipe.drop_last and len(samples) < size):  # type: ignore[operator]
            raise StopIteration
        return samples
