"""`torch.quasirandom`: points that fill the unit cube more evenly than random ones."""

from __future__ import annotations

import functools
import importlib
import warnings
from typing import Any

import numpy as np

from jtoolbox import dtypes
from jtoolbox.random import default_generator
from jtoolbox.tensor import Tensor, tensor

__all__ = ["SobolEngine"]

_BALANCE = (
    "The balance properties of Sobol' points require n to be a power of 2. {before} points have "
    "been previously generated, then: n={before}+2**{m}={total}. If you still want to do this, "
    "please use 'SobolEngine.draw()' instead."
)


@functools.cache
def _scipy() -> Any:
    """SciPy's module, which JAX brings along. Loaded when used, since that takes half a second."""
    return importlib.import_module("scipy.stats.qmc")


class SobolEngine:
    """Sobol's sequence in [0, 1)^dimension: `draw(n)` gives the next n points, (n, dimension).

    Without `scramble` the points are PyTorch's. With it, a random matrix and shift of the bits, set
    by `seed`, keep the evenness and make estimates unbiased; these are not PyTorch's. The points
    are computed by `scipy.stats.qmc.Sobol`. ValueError unless there are 1 to 21201 dimensions.
    Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals",
    https://doi.org/10.1016/0041-5553(67)90144-9; scrambling: Owen, "Scrambling Sobol and
    Niederreiter-Xing points", https://doi.org/10.1006/jcom.1998.0487.
    """

    MAXBIT = 30
    MAXDIM = 21201

    def __init__(self, dimension: int, scramble: bool = False, seed: int | None = None):
        if not 1 <= dimension <= self.MAXDIM:
            raise ValueError(
                f"Supported range of dimensionality for SobolEngine is [1, {self.MAXDIM}], got "
                f"{dimension}"
            )
        self.dimension, self.scramble, self.seed = dimension, scramble, seed
        self.num_generated = 0
        rng = np.random.default_rng(default_generator.next_seed() if scramble and seed is None
                                    else seed)  # fmt: skip
        self._points = _scipy().Sobol(dimension, scramble=scramble, bits=self.MAXBIT, seed=rng)

    def draw(self, n: int = 1, out: Any = None, dtype: dtypes.dtype | None = None) -> Tensor:
        """The next n points, in the default float type or `dtype`; written into `out` if given."""
        if n < 1:
            raise RuntimeError(f"SobolEngine.draw needs a positive number of points, got {n}")
        with warnings.catch_warnings():  # SciPy warns of counts that are no powers of two
            warnings.simplefilter("ignore", UserWarning)
            values = self._points.random(n)
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
        self._points.reset()
        self.num_generated = 0
        return self

    def fast_forward(self, n: int) -> SobolEngine:
        """Passes over n points."""
        self._points.fast_forward(n)
        self.num_generated += n
        return self

    def __repr__(self) -> str:
        text = f"dimension={self.dimension}"
        text += f", scramble={self.scramble}" if self.scramble else ""
        text += f", seed={self.seed}" if self.seed is not None else ""
        return f"SobolEngine({text})"
