"""The sampler that shares one dataset out among several processes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sized

import jax
import numpy as np

from jtoolbox.utils.data.sampler import OrderedSampler
from jtoolbox.utils.data.seeding import mix, numpy_generator

__all__ = ["DistributedSampler"]

SAME_EPOCH = (
    "DistributedSampler is iterated a second time with epoch {epoch}, and gives the same order "
    "again. Call sampler.set_epoch(epoch) at the beginning of every epoch."
)


class DistributedSampler(OrderedSampler):
    """Every `num_replicas`-th index, beginning with `rank`, of an order all processes agree on.

    Every process gets the same number of indices: the first ones are repeated at the end, or, with
    `drop_last`, the last ones left out. The order comes from `seed` and the number given to
    `set_epoch` alone, and `shuffle=False` keeps the dataset's. `num_replicas` and `rank` are by
    default those of JAX's processes. Raises ValueError for a rank outside [0, num_replicas).
    """

    seeded = False  # By the loader: the order must be the same in every process.

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset = dataset
        self.num_replicas = jax.process_count() if num_replicas is None else num_replicas
        self.rank = jax.process_index() if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ValueError(
                f"Invalid rank {self.rank}, rank should be in the interval "
                f"[0, {self.num_replicas - 1}]"
            )
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        self._iterated: int | None = None

    @property
    def num_samples(self) -> int:
        """Indices for each process."""
        n = len(self.dataset)
        return n // self.num_replicas if self.drop_last else math.ceil(n / self.num_replicas)

    @property
    def total_size(self) -> int:
        """Indices for all processes together."""
        return self.num_samples * self.num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, which changes the order of a shuffled sampler. Call it in each epoch."""
        if epoch != self.epoch:
            self._iterated = None
        self.epoch = epoch

    def order(self, seed: int) -> np.ndarray:
        """This process's indices; the loader's seed plays no part, set_epoch does."""
        if self.shuffle and self._iterated == self.epoch:
            warnings.warn(SAME_EPOCH.format(epoch=self.epoch), stacklevel=2)
        self._iterated = self.epoch
        n = len(self.dataset)
        rng = numpy_generator(mix(self.seed, self.epoch))
        order = rng.permutation(n) if self.shuffle else np.arange(n)
        return np.resize(order, self.total_size)[self.rank :: self.num_replicas]

    def __len__(self) -> int:
        return self.num_samples
