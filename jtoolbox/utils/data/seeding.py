"""Seeds: where loaders and samplers take them from, and how one seed becomes many.

NOTE: random numbers in workers. In a worker process `random`, `numpy.random` and jtoolbox's default
generator are seeded anew for every batch, from the epoch's seed and the number of the batch. So an
augmentation depends neither on the number of workers nor on which of them got the batch, no two
workers repeat each other, a sample drawn twice is augmented twice, and a resumed epoch goes on
exactly. (Seeding for every sample would cost about 30 us each.) A stream's worker is seeded once,
when its epoch begins. Generators that a dataset makes for itself are its own business: seed them in
`worker_init_fn` from `get_worker_info().seed`. Worker threads share the process's generators, and
nothing is seeded there.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from jtoolbox import random as generators

_MASK = 0xFFFFFFFFFFFFFFFF

NO_GENERATOR = "generator should be a jtoolbox.Generator, but got {found}; make one with seed {way}"


def mix(*numbers: int) -> int:
    """A 64-bit seed from several numbers; each of them changes all of it (splitmix64)."""
    state = 0
    for number in numbers:
        state = (state ^ number) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


def draw(generator: Any) -> int:
    """The next seed, 64 bits, of a jtoolbox Generator; of the default one for None."""
    generator = generators.default_generator if generator is None else generator
    if not hasattr(generator, "next_seed"):
        raise TypeError(
            NO_GENERATOR.format(found=type(generator), way="jtoolbox.Generator().manual_seed(0)")
        )
    seed = generator.next_seed()
    return mix(seed >> 64, seed & _MASK)


def numpy_generator(seed: int) -> np.random.Generator:
    """A NumPy generator for orders and draws."""
    return np.random.Generator(np.random.PCG64(seed))


def seed_globals(seed: int) -> None:
    """Seeds Python's, NumPy's and jtoolbox's global generators of this process."""
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    generators.default_generator.manual_seed(mix(seed))


@contextlib.contextmanager
def globals_kept() -> Iterator[None]:
    """Gives the global generators back as they were."""
    python, numpy = random.getstate(), np.random.get_state()
    ours = generators.default_generator.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        generators.default_generator.set_state(ours)
