"""Datasets: where samples come from, and ways to cut, join and stack them.

A map-style dataset has `__getitem__` and usually `__len__`; an iterable one has `__iter__`. Nothing
here knows of batches, except that a dataset may offer `__getitems__(indices)`, which fetches a
whole batch at once and returns a list of samples, or `Columns` if it has arrays to gather from.
"""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from jtoolbox.tensor import Tensor, from_host
from jtoolbox.utils.data.arrays import Columns, aligned_copy, gather
from jtoolbox.utils.data.seeding import draw, numpy_generator

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]

T_co = TypeVar("T_co", covariant=True)

CHAINED = "ChainDataset only supports IterableDataset: use ConcatDataset"
BAD_SUM = (
    "Sum of input lengths does not equal the length of the input dataset! The lengths {lengths} "
    "sum to {total}, the dataset has {size} samples; fractions that sum to 1 would fit any size."
)


class Dataset(Generic[T_co]):
    """Base of map-style datasets: define `__getitem__(index)` and `__len__()`.

    `a + b` is their concatenation. A dataset may also define `__getitems__(indices)`, which returns
    the samples of a whole batch and is then used in place of `__getitem__`.
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base of datasets that are read as a stream: define `__iter__()`.

    With several workers each one iterates over a copy of its own: share the stream out by
    `get_worker_info()`, or every sample comes once from each worker. `a + b` chains two streams.
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError("Subclasses of IterableDataset should implement __iter__.")

    def __add__(self, other: Dataset) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple]):
    """Samples along the first axis of one or more tensors: sample i is `(a[i], b[i], ...)`.

    Batches are gathered in one call for each tensor. NumPy arrays are taken as well, without a
    copy, and their samples come as tensors. Raises AssertionError when the first axes differ.

    >>> dataset = TensorDataset(images, labels)  # (N, C, H, W), (N,)
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ValueError("TensorDataset needs at least one tensor, got none")
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if any(not shape or shape[0] != (shapes[0] or (0,))[0] for shape in shapes):
            raise AssertionError(
                f"Size mismatch between tensors: the shapes {shapes} should agree in their first "
                "axis, the number of samples"
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple:
        if isinstance(index, Tensor):
            index = np.asarray(index)
        return tuple(_select(tensor, index) for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> Columns:
        rows = np.asarray(indices, np.intp)
        return Columns([gather(_host(tensor), rows) for tensor in self.tensors])

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "tensors": tuple(_host(t) for t in self.tensors)}


def _host(tensor: Any) -> np.ndarray:
    """The values on the host: a view where the tensor lives there, else a copy that JAX keeps."""
    return tensor.numpy(force=True) if isinstance(tensor, Tensor) else np.asarray(tensor)


def _select(tensor: Any, index: Any) -> Any:
    if isinstance(tensor, Tensor) and tensor.requires_grad:
        return tensor[index]  # type: ignore[index]
    return from_host(aligned_copy(np.asarray(_host(tensor)[index])))


class StackDataset(Dataset[Any]):
    """Several datasets side by side: sample i is the tuple, or dict, of their samples i.

    Raises ValueError for no dataset, for unequal lengths, and for positions and names together.

    >>> StackDataset(image=images, text=texts)[0]  # {"image": ..., "text": ...}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ValueError(
                "StackDataset takes datasets by position (samples are tuples) or by name (samples "
                "are dicts), not both"
                if args
                else "At least one dataset should be passed to StackDataset"
            )
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in args or kwargs.values()]
        if len(set(lengths)) > 1:
            raise ValueError(f"Size mismatch between datasets: their lengths are {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: Sequence[int]) -> list:
        if isinstance(self.datasets, dict):
            columns = [fetch_samples(dataset, indices) for dataset in self.datasets.values()]
            rows = zip(*columns, strict=True)
            return [dict(zip(self.datasets, row, strict=True)) for row in rows]
        columns = [fetch_samples(dataset, indices) for dataset in self.datasets]
        return list(zip(*columns, strict=True))

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after another.

    Raises AssertionError for no dataset and for iterable ones, which `ChainDataset` joins.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset: use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(len(d) for d in self.datasets))

    def __getitem__(self, index: int) -> T_co:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        if index >= len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} samples")
        which = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - start]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Any]):
    """Iterable datasets one after another.

    Raises AssertionError while iterating over one that is not iterable-style.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        for dataset in self._checked():
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._checked())  # type: ignore[arg-type]

    def _checked(self) -> Iterator[IterableDataset]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError(CHAINED)
            yield dataset


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        return fetch_samples(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def fetch_samples(dataset: Any, indices: Sequence[int]) -> Any:
    """The samples at `indices`: in one call where the dataset offers it, else one by one."""
    if getattr(dataset, "__getitems__", None):
        samples = dataset.__getitems__(indices)
        if len(samples) != len(indices):
            raise ValueError(
                f"{type(dataset).__name__}.__getitems__ returned {len(samples)} samples for "
                f"{len(indices)} indices"
            )
        return samples
    return [dataset[index] for index in indices]


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Any = None
) -> list[Subset]:
    """Cuts a dataset into random parts that do not overlap.

    `lengths` are numbers of samples, or fractions that sum to 1: then each part gets the floor of
    its share, and what remains goes one by one to the first parts. The cut comes from one seed of
    `generator`, by default the default generator. Raises ValueError for lengths that do not sum to
    the dataset's and for a fraction outside [0, 1].

    >>> train, test = random_split(dataset, [0.9, 0.1])
    """
    size = len(dataset)
    if math.isclose(sum(lengths), 1):
        lengths = _shares(size, lengths)
    if sum(lengths) != size:
        raise ValueError(BAD_SUM.format(lengths=list(lengths), total=sum(lengths), size=size))
    order = numpy_generator(draw(generator)).permutation(size).tolist()
    ends = list(itertools.accumulate(int(n) for n in lengths))
    return [
        Subset(dataset, order[end - int(n) : end]) for end, n in zip(ends, lengths, strict=True)
    ]


def _shares(size: int, fractions: Sequence[float]) -> list[int]:
    for place, fraction in enumerate(fractions):
        if not 0 <= fraction <= 1:
            raise ValueError(f"Fraction at index {place} is not between 0 and 1")
    shares = [math.floor(size * fraction) for fraction in fractions]
    for place in range(size - sum(shares)):
        shares[place % len(shares)] += 1
    if 0 in shares:
        place = shares.index(0)
        warnings.warn(f"Length of split at index {place} is 0: the part is empty", stacklevel=3)
    return shares
