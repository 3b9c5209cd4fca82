"""Fixtures for all tests: a fixed seed, and a counter of XLA compilations."""

from __future__ import annotations

import os
from collections.abc import Iterator

os.environ["JTOOLBOX_CACHE"] = "0"

import jax
import pytest

import jtoolbox

COMPILE_EVENT = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """Counts the programs that XLA compiles; `count()` gives those since the last call."""

    def __init__(self) -> None:
        self.total = 0
        self.seen = 0
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **_: object) -> None:
        self.total += event == COMPILE_EVENT

    def count(self) -> int:
        new, self.seen = self.total - self.seen, self.total
        return new


_compilations = Compilations()


@pytest.fixture
def compilations() -> Compilations:
    _compilations.count()
    return _compilations


@pytest.fixture(autouse=True, scope="module")
def _bounded_memory() -> Iterator[None]:
    """Forgets the programs of each test file: all of them together would fill the memory."""
    yield
    jtoolbox.synchronize()
    jtoolbox.engine.clear_programs()
    jax.clear_caches()


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    jtoolbox.manual_seed(0)
    yield
    jtoolbox.synchronize()
