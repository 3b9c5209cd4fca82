"""`torch.quasirandom`: points that fill the unit cube more evenly than random ones."""

from __future__ import annotations

import base64
import functools
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.random import default_generator
from jtoolbox.sobol_numbers import DEGREES, PACKED
from jtoolbox.tensor import Tensor, tensor

__all__ = ["SobolEngine"]

_BALANCE = (
    "The balance properties of Sobol' points require n to be a power of 2. {before} points have "
    "been previously generated, then: n={before}+2**{m}={total}. If you still want to do this, "
    "please use 'SobolEngine.draw()' instead."
)


@functools.cache
def _initial_numbers() -> list[tuple[int, list[int]]]:
    """The polynomial's inner coefficients and the initial numbers of each dimension after one."""
    bits = np.unpackbits(np.frombuffer(base64.b85decode(PACKED), np.uint8)).tolist()
    place = 0

    def number(width: int) -> int:
        nonlocal place
        place += width
        return int("".join(map(str, bits[place - width : place])) or "0", 2)

    found = []
    for degree, count in enumerate(DEGREES, start=1):
        for _ in range(count):
            polynomial = number(degree - 1)
            found.append((polynomial, [2 * number(k) + 1 for k in range(degree)]))
    return found


@functools.cache
def _directions(dimension: int, width: int) -> np.ndarray:
    """int64 (dimension, width): the direction numbers, as fractions of 2^width."""
    rows = [[1] * width]
    for polynomial, first in _initial_numbers()[: dimension - 1]:
        m, degree = list(first), len(first)
        for j in range(degree, width):
            new = m[j - degree] ^ (m[j - degree] << degree)
            for k in range(1, degree):
                new ^= (m[j - k] << k) * (polynomial >> (degree - 1 - k) & 1)
            m.append(new)
        rows.append(m[:width])
    return np.array(rows, np.int64) << np.arange(width - 1, -1, -1)


class SobolEngine:
    """Sobol's sequence in [0, 1)^dimension: `draw(n)` gives the next n points, (n, dimension).

    Without `scramble` the points are PyTorch's. With it, a random matrix and shift of the bits, set
    by `seed`, keep the evenness and make estimates unbiased; these are not PyTorch's. From 1 to
    1111 dimensions (PyTorch has 21201): ValueError for others. Sobol, "On the distribution of
    points in a cube and the approximate evaluation of integrals",
    https://doi.org/10.1016/0041-5553(67)90144-9; scrambling: Owen, "Scrambling Sobol and
    Niederreiter-Xing points", https://doi.org/10.1006/jcom.1998.0487.
    """

    MAXBIT = 30
    MAXDIM = 1 + sum(DEGREES)

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None):
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}], got "
                f"{dimension}"
            )
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self.num_generated = 0
        self._state = _directions(dimension, self.MAXBIT)
        self._shift = np.zeros(dimension, np.int64)
        if scramble:
            self._scramble(np.random.default_rng(default_generator.next_seed() if seed is None
                                                 else seed))  # fmt: skip

    def _scramble(self, rng: np.random.Generator) -> None:
        width = self.MAXBIT
        weights = 1 << np.arange(width - 1, -1, -1)
        shape = (self.dimension, width, width)
        lower = np.tril(rng.integers(0, 2, shape), -1) + np.eye(width, dtype=np.int64)
        bits = (self._state[:, None, :] & weights[:, None]) > 0  # (dimension, bit, direction)
        self._state = np.einsum("dbk,b->dk", lower @ bits.astype(np.int64) % 2, weights)
        self._shift = rng.integers(0, 2, (self.dimension, width)) @ weights

    def _points(self, n: int) -> np.ndarray:
        """The next n points as integers below 2^30: Gray code tells which directions join."""
        places = np.arange(self.num_generated, self.num_generated + n)
        gray = places ^ (places >> 1)
        points = np.broadcast_to(self._shift, (n, self.dimension)).copy()
        for bit in range(self.MAXBIT):
            points ^= (gray >> bit & 1)[:, None] * self._state[:, bit]
        return points

    def draw(self, n: int = 1, out: Any = None, dtype: dtypes.dtype | None = None) -> Tensor:
        """The next n points, in the default float type or `dtype`; written into `out` if given."""
        if n < 1:
            raise RuntimeError(f"SobolEngine.draw needs a positive number of points, got {n}")
        values = self._points(n) / 2.0**self.MAXBIT
        self.num_generated += n
        kind = dtypes.get_default_dtype() if dtype is None else dtype
        result = tensor(values, dtype=kind)
        if out is None:
            return result
        out.data = result
        return out

    def draw_base2(self, m: int, out: Any = None, dtype: dtypes.dtype | None = None) -> Tensor:
        """The next 2^m points; ValueError unless all points so far are then a power of two."""
        total = self.num_generated + 2**m
        if total & (total - 1):
            raise ValueError(_BALANCE.format(before=self.num_generated, m=m, total=total))
        return self.draw(2**m, out, dtype)

    def reset(self) -> SobolEngine:
        """Goes back to the first point."""
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Passes over n points."""
        self.num_generated += n
        return self

    def __repr__(self) -> str:
        text = f"dimension={self.dimension}"
        text += f", scramble={self.scramble}" if self.scramble else ""
        text += f", seed={self.seed}" if self.seed is not None else ""
        return f"SobolEngine({text})"
