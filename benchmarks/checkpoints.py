"""Saving and loading a checkpoint of 110 MB: jtoolbox against PyTorch and safetensors.

    python -m benchmarks.checkpoints [folder] [--megabytes 110] [--rounds 9]

All take turns in one process, the order rotated, on the same folder (a temporary one by default).
jtoolbox's saves are on the disk when they return (fsync) and never leave half a file; the others
are timed as they come and with an fsync after them. Loads are from the page cache, into memory of
their own; a mapped load that reads nothing is not timed. Compare medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy
import safetensors.torch
import torch

import jtoolbox.serialization as jt
from jtoolbox.tensor import from_host


def arrays(megabytes: float) -> dict[str, np.ndarray]:
    """Parameters like a small transformer's: matrices, and vectors that take no room."""
    width, generator = 1024, np.random.default_rng(0)
    layers = max(round(megabytes * 1e6 / (4 * width * width)), 1)
    out = {}
    for i in range(layers):
        out[f"{i}.weight"] = generator.random((width, width), dtype=np.float32)
        out[f"{i}.bias"] = generator.random(width, dtype=np.float32)
    return out


def synced(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def savers(values: dict[str, np.ndarray], folder: Path) -> dict[str, Callable[[], object]]:
    ours = {name: from_host(value) for name, value in values.items()}
    theirs = {name: torch.from_numpy(value) for name, value in values.items()}
    pt, other, st, other_st = (folder / n for n in ("a.pt", "b.pt", "a.safetensors", "b.st"))
    return {
        "jtoolbox .pt, fsync": lambda: jt.save(ours, pt),
        "torch.save": lambda: torch.save(theirs, other),
        "torch.save, fsync": lambda: (torch.save(theirs, other), synced(other)),
        "jtoolbox .safetensors, fsync": lambda: jt.save(ours, st),
        "safetensors": lambda: safetensors.torch.save_file(theirs, other_st),
        "safetensors, fsync": lambda: (
            safetensors.torch.save_file(theirs, other_st),
            synced(other_st),
        ),
    }


def loaders(folder: Path) -> dict[str, Callable[[], object]]:
    pt, other, st, other_st = (folder / n for n in ("a.pt", "b.pt", "a.safetensors", "b.st"))
    return {
        "jtoolbox .pt": lambda: jt.load(pt),
        "jtoolbox, torch's .pt": lambda: jt.load(other),
        "torch.load": lambda: torch.load(other, weights_only=True),
        "jtoolbox .safetensors": lambda: jt.load(st),
        "safetensors.numpy": lambda: safetensors.numpy.load_file(other_st),
    }


def medians(competitors: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Seconds, each competitor once a round, after a round that does not count."""
    names, seconds = list(competitors), {name: [] for name in competitors}
    for turn in range(rounds + 1):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            start = time.perf_counter()
            result = competitors[name]()
            seconds[name].append(time.perf_counter() - start)
            del result
    return {name: statistics.median(times[1:]) for name, times in seconds.items()}


def report(title: str, found: dict[str, float], reference: str) -> None:
    print(f"\n{title:32} {'ms':>8} {'x ' + reference:>16}")
    for name, median in found.items():
        print(f"{name:32} {median * 1e3:8.1f} {median / found[reference]:16.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--megabytes", type=float, default=110)
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    values = arrays(options.megabytes)
    size = sum(value.nbytes for value in values.values())
    print(f"{len(values)} tensors, {size / 1e6:.0f} MB, torch {torch.__version__}")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        saved = medians(savers(values, Path(folder)), options.rounds)
        report("save", saved, "torch.save")
        report("load", medians(loaders(Path(folder)), options.rounds), "torch.load")


if __name__ == "__main__":
    main()
