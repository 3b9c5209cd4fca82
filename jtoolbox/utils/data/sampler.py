"""Samplers: the order in which a dataset's samples are visited.

Any iterable of indices serves as a sampler. Those here can do one thing more: an `OrderedSampler`
gives its whole order as a function of a seed, and so the loader can take up an epoch in its middle
without going through its beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from jtoolbox.utils.data.seeding import draw, numpy_generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)

CHUNK = 8192  # Indices turned into Python integers at once: an order of 10**8 stays an array.

BAD_COUNT = "num_samples should be a positive integer value, but got num_samples={found}"
EMPTY = (
    "num_samples should be a positive integer value, but got num_samples=0: the dataset is empty, "
    "and there is nothing to shuffle. Check its path or filter, or use shuffle=False."
)
BAD_REPLACEMENT = "replacement should be a boolean value, but got replacement={found}"


def is_count(value: Any) -> bool:
    """Whether a value is a positive integer, True not counted as one."""
    integer = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return bool(integer and value > 0)


class Sampler(Generic[T_co]):
    """Base of samplers: `__iter__` gives indices (or, for a batch sampler, lists of indices).

    A `__len__` is needed only by those who ask for the length of the loader.
    """

    def __init__(self, data_source: Sized | None = None) -> None:
        """`data_source` is accepted for old code and not used."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} should implement __iter__.")


class OrderedSampler(Sampler[int]):
    """A sampler whose order is a function of a seed, or of none when it is not `seeded`."""

    generator: Any = None
    seeded = True

    def order(self, seed: int) -> Sequence[int] | np.ndarray:
        """All indices of an epoch, in order."""
        raise NotImplementedError(f"{type(self).__name__} should implement order.")

    def __iter__(self) -> Iterator[int]:
        return _integers(self.order(draw(self.generator) if self.seeded else 0))


def is_ordered(sampler: Any) -> bool:
    """Whether the loader may ask for the order: not when a subclass iterates in its own way."""
    return getattr(type(sampler), "__iter__", None) is OrderedSampler.__iter__


def iterate(sampler: Iterable, seed: int, start: int = 0) -> Iterator:
    """What `sampler` gives from place `start` on, its order taken from `seed` where it has one.

    A sampler of another kind is iterated from its beginning, and what comes before `start` dropped.
    """
    if is_ordered(sampler):
        return _integers(sampler.order(seed)[start:])  # type: ignore[attr-defined]
    if getattr(type(sampler), "__iter__", None) is BatchSampler.__iter__:
        return sampler.batches(seed, start)  # type: ignore[attr-defined]
    return itertools.islice(sampler, start, None)


def _integers(order: Sequence[int] | np.ndarray) -> Iterator[int]:
    if not isinstance(order, np.ndarray):
        return iter(order)
    chunks = (order[i : i + CHUNK].tolist() for i in range(0, len(order), CHUNK))
    return itertools.chain.from_iterable(chunks)


class SequentialSampler(OrderedSampler):
    """0, 1, 2, ... in order."""

    seeded = False

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def order(self, seed: int) -> range:
        return range(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(OrderedSampler):
    """All indices in random order, or `num_samples` of them.

    Without replacement, more samples than the dataset has come as several permutations in a row.
    Each epoch draws one seed from `generator` (the default generator when None), so `manual_seed`
    repeats an order. The orders are NumPy's, not PyTorch's.

    Raises TypeError for a `replacement` that is no bool and ValueError for a `num_samples` that is
    no positive integer, which is also what an empty dataset gives.
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(BAD_REPLACEMENT.format(found=replacement))
        if not is_count(self.num_samples):
            found = EMPTY if num_samples is None else BAD_COUNT.format(found=num_samples)
            raise ValueError(found)

    @property
    def num_samples(self) -> int:
        """The number given, or the dataset's present length."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self, seed: int) -> np.ndarray:
        rng, n, count = numpy_generator(seed), len(self.data_source), self.num_samples
        if self.replacement:
            return rng.integers(n, size=count)
        rounds = [rng.permutation(n) for _ in range(-(-count // n))]
        return np.concatenate(rounds)[:count]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(OrderedSampler):
    """The given indices in random order, without replacement."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def order(self, seed: int) -> list[int]:
        places = numpy_generator(seed).permutation(len(self.indices)).tolist()
        return [self.indices[place] for place in places]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(OrderedSampler):
    """`num_samples` indices, each drawn with a probability proportional to its weight.

    `weights` (N,) need not sum to one. Raises ValueError for weights of another shape, a
    `num_samples` that is no positive integer or a `replacement` that is no bool, and RuntimeError
    for weights that are negative, not finite or all zero, and for more samples than non-zero
    weights without replacement.
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        if not is_count(num_samples):
            raise ValueError(BAD_COUNT.format(found=num_samples))
        if not isinstance(replacement, bool):
            raise ValueError(BAD_REPLACEMENT.format(found=replacement))
        self.weights = np.array(weights, np.float64)
        if self.weights.ndim != 1:
            raise ValueError(
                "weights should be a 1d sequence but given weights have shape "
                f"{self.weights.shape}: give one number for each sample of the dataset"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def order(self, seed: int) -> np.ndarray:
        self._check_weights()
        probabilities = self.weights / self.weights.sum()
        rng, n = numpy_generator(seed), len(self.weights)
        return rng.choice(n, self.num_samples, replace=self.replacement, p=probabilities)

    def _check_weights(self) -> None:
        weights = self.weights
        if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
            raise RuntimeError(
                "invalid multinomial distribution: weights must be finite, not negative, and not "
                f"all zero, got minimum {weights.min(initial=0)} and sum {weights.sum()}"
            )
        available = np.count_nonzero(weights)
        if not self.replacement and self.num_samples > available:
            raise RuntimeError(
                f"cannot sample {self.num_samples} samples without replacement from {available} "
                "non-zero weights; pass replacement=True or a smaller num_samples"
            )

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler; the last may be shorter.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not is_count(batch_size):
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        return self._grouped(iter(self.sampler))

    def batches(self, seed: int, start: int = 0) -> Iterator[list[int]]:
        """The batches from number `start` on, in the order that `seed` gives."""
        return self._grouped(iterate(self.sampler, seed, start * self.batch_size))

    def _grouped(self, indices: Iterator[int]) -> Iterator[list[int]]:
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) < self.batch_size and self.drop_last:
                return
            yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)
