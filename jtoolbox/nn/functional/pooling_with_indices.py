"""Max-pooling that always returns positions: `max_pool2d` with `return_indices`, by other names.

Like PyTorch's, these take `return_indices` and do not look at it.
"""

from __future__ import annotations

from collections.abc import Sequence

from jtoolbox.engine import Array
from jtoolbox.nn.functional.pooling import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from jtoolbox.nn.functional.windows import Ints

__all__ = [
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d_with_indices",
    "max_pool1d_with_indices",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
]


def max_pool1d_with_indices(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Array, Array]:
    """`max_pool1d` and the positions of what it found."""
    return max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool2d_with_indices(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Array, Array]:
    """`max_pool2d` and the positions of what it found."""
    return max_pool2d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def max_pool3d_with_indices(
    input: Array,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Array, Array]:
    """`max_pool3d` and the positions of what it found."""
    return max_pool3d(input, kernel_size, stride, padding, dilation, ceil_mode, True)


def adaptive_max_pool1d_with_indices(
    input: Array, output_size: Ints, return_indices: bool = False
) -> tuple[Array, Array]:
    """`adaptive_max_pool1d` and the positions of what it found."""
    return adaptive_max_pool1d(input, output_size, True)


def adaptive_max_pool2d_with_indices(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> tuple[Array, Array]:
    """`adaptive_max_pool2d` and the positions of what it found."""
    return adaptive_max_pool2d(input, output_size, True)


def adaptive_max_pool3d_with_indices(
    input: Array, output_size: int | Sequence[int | None], return_indices: bool = False
) -> tuple[Array, Array]:
    """`adaptive_max_pool3d` and the positions of what it found."""
    return adaptive_max_pool3d(input, output_size, True)
