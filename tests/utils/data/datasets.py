"""Datasets that the tests send to workers; no PyTorch here, which every worker would import."""

import itertools
import os
import random
import signal
import time

import jax
import numpy as np

import jtoolbox
import jtoolbox.utils.data as data


class Squares(data.Dataset):
    """Sample i is an array full of i * i, and i."""

    def __init__(self, length, width=3):
        self.length, self.width = length, width

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return np.full(self.width, index * index, np.float32), index


class Doing(Squares):
    """Does `what(index)` at one index."""

    def __init__(self, length, at, what):
        super().__init__(length)
        self.at, self.what = at, what

    def __getitem__(self, index):
        if index == self.at:
            self.what()
        return index


class Odd(Exception):
    """An exception that does not take a message alone."""

    def __init__(self, a, b):
        super().__init__(a, b)


def raise_key_error():
    raise KeyError("no such label")


def raise_odd():
    raise Odd(1, 2)


def raise_stop():
    raise StopIteration("early")


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def leave():
    os._exit(3)


def sleep():
    time.sleep(30)


class Whole(Squares):
    """Fetches whole batches, and counts the calls."""

    calls = 0

    def __getitems__(self, indices):
        self.calls += 1
        return [self[i] for i in indices]


class Random(Squares):
    """Random numbers of Python, NumPy and jtoolbox."""

    def __getitem__(self, index):
        seed = jtoolbox.random.default_generator.next_seed()
        ours = np.random.PCG64(seed).random_raw() % 2**30
        return np.array([index, random.random(), np.random.rand(), ours])


class WhoAmI(Squares):
    def __getitem__(self, index):
        info = data.get_worker_info()
        return [info.id, info.num_workers, len(info.dataset), os.getpid()]


class Values(data.Dataset):
    """A list of samples."""

    def __init__(self, values):
        self.values = values

    def __len__(self):
        return len(self.values)

    def __getitem__(self, index):
        return self.values[index]


class Stream(data.IterableDataset):
    """0 .. length - 1, shared out among the workers by turns; uneven: worker w reads on a while."""

    def __init__(self, length, uneven=False):
        self.length, self.uneven = length, uneven

    def __iter__(self):
        info = data.get_worker_info()
        if info is None:
            return iter(range(self.length))
        end = self.length + (100 * info.id if self.uneven else 0)
        return itertools.islice(range(end), info.id, None, info.num_workers)


class SizedStream(Stream):
    def __len__(self):
        return 3


class Tensors(data.Dataset):
    """Holds a Tensor and computes with it in the worker."""

    def __init__(self):
        self.x = jtoolbox.tensor(np.arange(12, dtype=np.float32).reshape(6, 2))

    def __len__(self):
        return 6

    def __getitem__(self, index):
        return self.x[index] * 2


class Unpicklable(Squares):
    """Samples that cannot travel."""

    def __getitem__(self, index):
        return lambda: index


def identity(samples):
    return samples


def as_tensors(samples):
    return [data.default_collate(samples), np.zeros(3), "text"]


def label_worker(worker):
    random.worker = worker


class Labelled(Squares):
    def __getitem__(self, index):
        return random.worker


def failing_init(worker):
    raise ValueError("bad init")


def backends(samples):
    """The platforms that JAX may use in this process, by its settings and by the environment."""
    return jax.config.jax_platforms, os.environ["JAX_PLATFORMS"]
