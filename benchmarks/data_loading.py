"""Samples a second through `DataLoader`, jtoolbox's against PyTorch's, taking turns.

Run with `python -m benchmarks.data_loading`. Every competitor reads whole epochs; the table gives
the median rate, and its ratio to PyTorch's loader without workers on the same dataset. Rates with
workers leave out the first epoch, in which they are started.
"""

import argparse
import functools
import statistics
import time
import warnings

import numpy as np
import torch
import torch.utils.data as theirs

import jtoolbox
import jtoolbox.utils.data as ours

SAMPLES, FEATURES, BATCH = 60_000, 784, 64


class Images:
    """A dataset of Python code: each sample is an array and a label, with some work in NumPy."""

    def __init__(self, samples: int, work: int):
        self.images = np.random.default_rng(0).standard_normal((samples, FEATURES)).astype("f")
        self.work = work

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        for _ in range(self.work):
            image = np.fft.irfft2(np.fft.rfft2(image.reshape(28, 28))).astype(np.float32)
        return image, index % 10


def loaders(kind: str) -> dict:
    """The competitors on one dataset, by name."""
    if kind == "tensors":
        x = np.random.default_rng(0).standard_normal((SAMPLES, FEATURES)).astype(np.float32)
        y = np.arange(SAMPLES) % 10
        their_data = theirs.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        our_data = ours.TensorDataset(jtoolbox.from_numpy(x), jtoolbox.from_numpy(y))
    else:
        their_data = our_data = Images(6000, 0 if kind == "samples" else 10)
    them = functools.partial(theirs.DataLoader, their_data, BATCH, shuffle=True)
    us = functools.partial(ours.DataLoader, our_data, BATCH, shuffle=True)
    workers = {"num_workers": 2, "persistent_workers": True}
    start = {"multiprocessing_context": "forkserver"}
    return {
        "PyTorch": them(),
        "PyTorch, 2 processes": them(**workers, **start),
        "jtoolbox": us(),
        "jtoolbox, 2 processes": us(**workers),
        "jtoolbox, 2 threads": us(**workers, multiprocessing_context="thread"),
    }


def rate(loader) -> float:
    """Samples a second in one epoch."""
    start = time.perf_counter()
    count = sum(len(batch[1]) for batch in loader)
    return count / (time.perf_counter() - start)


def measure(kind: str, rounds: int) -> None:
    competitors = loaders(kind)
    for loader in competitors.values():
        rate(loader)
    rates: dict[str, list[float]] = {name: [] for name in competitors}
    for _ in range(rounds):
        for name, loader in competitors.items():
            rates[name].append(rate(loader))
    base = statistics.median(rates["PyTorch"])
    print(f"\n{kind}: batch {BATCH}, shuffled, medians of {rounds} epochs")
    for name, values in rates.items():
        median = statistics.median(values)
        spread = f"{min(values):,.0f} to {max(values):,.0f}"
        print(f"  {name:24} {median:12,.0f} samples/s  {median / base:6.2f}x  ({spread})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--kinds", nargs="*", default=["tensors", "samples", "work"])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for kind in arguments.kinds:
        measure(kind, arguments.rounds)


if __name__ == "__main__":
    main()
