"""Random numbers: generators that count, and keys that programs take as input.

A `Generator` is a seed and a counter. A random operation takes the next (seed, counter) pair as an
input of its program, so a new mask needs no new program and `manual_seed` repeats a run exactly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jtoolbox.devices import device as Device

_LOW = 0xFFFFFFFF


def jax_key(key: Any) -> jax.Array:
    """A `jax.random` key from an operation's key, uint32[2] of (seed, counter)."""
    return jax.random.wrap_key_data(jnp.asarray(key, jnp.uint32), impl="threefry2x32")


def _mix(x: jax.Array) -> jax.Array:
    """A bijective 32-bit mixer with low bias (Ettinger's lowbias32)."""
    x = (x ^ (x >> 16)) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> 15)) * np.uint32(0x846CA68B)
    return x ^ (x >> 16)


def uniform_bits(key: Any, shape: tuple[int, ...]) -> jax.Array:
    """32 random bits for each element: a hash of (seed, counter, index of the element).

    NOTE: cheap bits. threefry costs more than the layer it masks on a CPU. The hash fuses into
    whatever uses it, and a backward pass computes it again instead of storing a mask. It is meant
    for masks; sampling uses `jax_key`.
    """
    seed, counter = jnp.asarray(key, jnp.uint32)
    size = int(np.prod(shape, dtype=np.int64))
    index = jax.lax.iota(jnp.uint32, max(size, 1))[:size].reshape(shape)
    salt = _mix(seed ^ _mix(counter + np.uint32(0x9E3779B9)))
    return _mix(_mix(index ^ salt) + seed + np.uint32(0x85EBCA6B) * counter)


DEFAULT_SEED = 67280421310721


class Generator:
    """A source of random numbers: a seed, and how many keys were drawn since it was set.

    `device` is accepted for PyTorch's sake; keys are made on the host. Two generators with the same
    seed give the same numbers, and a new one begins with PyTorch's seed, 67280421310721.
    """

    def __init__(self, device: Any = "cpu"):
        self.device = Device(device)
        self._seed = DEFAULT_SEED
        self._counter = 0

    def manual_seed(self, seed: int) -> Generator:
        """Starts the sequence of this seed anew; negative seeds count from 2**64 as in PyTorch.

        ValueError for seeds that take more than 64 bits.
        """
        if not -(2**63) <= int(seed) < 2**64:
            raise ValueError(
                f"Overflow when unpacking long long: a seed lies in [-2**63, 2**64), got {seed}"
            )
        self._seed = int(seed) % 2**64
        self._counter = 0
        return self

    def seed(self) -> int:
        """Sets a seed that the operating system provides, and returns it."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed that the present sequence began with."""
        return self._seed

    def next_key(self) -> np.ndarray:
        """The next key of the sequence: uint32[2] of (seed, counter)."""
        self._counter += 1
        return np.array(((self._seed ^ (self._seed >> 32)) & _LOW, self._counter & _LOW), np.uint32)

    def take_back(self, count: int) -> None:
        """Makes the last `count` keys come again."""
        self._counter -= count

    def next_seed(self) -> int:
        """The next key as one integer, for a random generator of NumPy on the host."""
        self._counter += 1
        return (self._seed << 32) ^ self._counter

    def get_state(self) -> Any:
        """Seed and counter as a tensor of 16 bytes, to be given to `set_state`."""
        return Hooks.tensor(np.array([self._seed, self._counter], np.uint64).view(np.uint8).copy())

    def set_state(self, state: Any) -> None:
        """Continues where `get_state` was called. Raises RuntimeError for anything else."""
        state = np.ascontiguousarray(state)
        if state.dtype != np.uint8 or state.size != 16:
            raise RuntimeError(
                f"expected the 16 bytes of a generator's get_state(), got {state.dtype} of shape "
                f"{state.shape}"
            )
        self._seed, self._counter = (int(v) for v in state.view(np.uint64))

    def clone_state(self) -> Generator:
        """Another generator that goes on from the same point."""
        other = Generator(self.device)
        other._seed, other._counter = self._seed, self._counter
        return other


default_generator = Generator()
default_generator.seed()


def manual_seed(seed: int) -> Generator:
    """Seeds the default generator, which layers, samplers and random operations draw from."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Gives the default generator a seed of the operating system, and returns it."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


class Hooks:
    """What the layers above plug in, so that nothing below imports them."""

    tensor: Callable[[np.ndarray], Any]


def get_rng_state() -> Any:
    """The state of the default generator, a tensor to be given to `set_rng_state`."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Continues the default generator where `get_rng_state` was called."""
    default_generator.set_state(np.asarray(new_state))


@contextmanager
def fork_rng(
    devices: Any = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str = "cuda",
) -> Iterator[None]:
    """Inside, random numbers are drawn as ever; afterwards the generator is where it was before.

    `devices` and `device_type` are accepted: there is one generator for all devices.
    """
    state = default_generator.get_state()
    try:
        yield
    finally:
        if enabled:
            default_generator.set_state(state)
