"""Convolutions and pooling on the CPU: XLA's own operation against jtoolbox's, with gradients.

    python -m benchmarks.convolutions

Milliseconds of processor time over all threads, which other programs disturb less than the clock;
the least of several runs. The two results are compared as well.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import jtoolbox  # noqa: F401 (sets up memory before the first computation)
from jtoolbox.nn import functional as F

WITHOUT_YNN = {"xla_cpu_experimental_ynn_fusion_type": ""}
REPEATS = 9


def plain(
    stride: int = 1, padding: int = 0, groups: int = 1, spread: int = 1
) -> Callable[..., Any]:
    """`lax.conv_general_dilated` with PyTorch's settings."""

    def convolve(x: Any, w: Any) -> Any:
        n = x.ndim - 2
        return lax.conv_general_dilated(
            x, w, (stride,) * n, [(padding, padding)] * n, feature_group_count=groups
        )

    def transposed(x: Any, w: Any) -> Any:
        n, edge = x.ndim - 2, w.shape[2] - 1 - padding
        w = jnp.flip(w.swapaxes(0, 1), range(2, x.ndim))
        pads = [(edge, edge)] * n
        return lax.conv_general_dilated(x, w, (1,) * n, pads, lhs_dilation=(spread,) * n)

    return transposed if spread > 1 else convolve


def greatest(kernel: int, stride: int, padding: int) -> Callable[..., Any]:
    """Max-pooling by `reduce_window`."""
    window, strides = (1, 1, kernel, kernel), (1, 1, stride, stride)
    pads = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    return lambda x: lax.reduce_window(x, -np.inf, lax.max, window, strides, pads)


# name: shapes of the operands, XLA's operation, jtoolbox's
CASES: dict[str, tuple[list[tuple[int, ...]], Callable[..., Any], Callable[..., Any]]] = {
    "depthwise 3x3": (
        [(16, 128, 28, 28), (128, 1, 3, 3)],
        plain(1, 1, 128),
        lambda x, w: F.conv2d(x, w, padding=1, groups=128),
    ),
    "4 groups 3x3": (
        [(16, 128, 14, 14), (128, 32, 3, 3)],
        plain(1, 1, 4),
        lambda x, w: F.conv2d(x, w, padding=1, groups=4),
    ),
    "32 groups 3x3": (
        [(16, 128, 14, 14), (128, 4, 3, 3)],
        plain(1, 1, 32),
        lambda x, w: F.conv2d(x, w, padding=1, groups=32),
    ),
    "3-d 3x3x3": (
        [(4, 32, 8, 16, 16), (32, 32, 3, 3, 3)],
        plain(1, 1),
        lambda x, w: F.conv3d(x, w, padding=1),
    ),
    "patches 16x16": (
        [(4, 3, 224, 224), (192, 3, 16, 16)],
        plain(16),
        lambda x, w: F.conv2d(x, w, stride=16),
    ),
    "transposed 4x4 stride 2": (
        [(16, 128, 16, 16), (128, 64, 4, 4)],
        plain(padding=1, spread=2),
        lambda x, w: F.conv_transpose2d(x, w, stride=2, padding=1),
    ),
    "max-pool 2x2": ([(64, 64, 24, 24)], greatest(2, 2, 0), lambda x: F.max_pool2d(x, 2)),
    "max-pool 3x3 stride 2": (
        [(16, 64, 56, 56)],
        greatest(3, 2, 1),
        lambda x: F.max_pool2d(x, 3, 2, 1),
    ),
}


def compiled(function: Callable[..., Any], operands: list[Any]) -> Callable[[], Any]:
    """The function and its gradient as one program."""

    def both(*operands: Any) -> Any:
        y, pullback = jax.vjp(function, *operands)
        return y, pullback(2 * y)

    program = jax.jit(both).lower(*operands).compile(compiler_options=WITHOUT_YNN)
    return lambda: jax.block_until_ready(program(*operands))


def measure(programs: list[Callable[[], Any]]) -> list[float]:
    """The least processor time of each, in milliseconds; the programs alternate."""
    times: list[list[float]] = [[] for _ in programs]
    for _ in range(REPEATS):
        for i, program in enumerate(programs):
            start = time.process_time()
            program()
            times[i].append(1e3 * (time.process_time() - start))
    return [min(t) for t in times]


def main() -> None:
    rng = np.random.default_rng(0)
    print(f"{'case':26} {'XLA':>9} {'jtoolbox':>9}   ratio")
    for name, (shapes, theirs, ours) in CASES.items():
        # Rectified, so that pooling meets windows full of zeros.
        x = [jnp.maximum(rng.standard_normal(s, np.float32), 0) for s in shapes]
        programs = [compiled(f, x) for f in (theirs, ours)]
        for a, b in zip(*(jax.tree.leaves(p()) for p in programs), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3 * float(jnp.abs(a).max()))
        before, after = measure(programs)
        print(f"{name:26} {before:9.1f} {after:9.1f} {after / before:7.2f}")


if __name__ == "__main__":
    main()
