"""Dimensions joined into one, and one dimension split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.nn.module import Module
from jtoolbox.ops.shape import flatten, unflatten
from jtoolbox.tensor import Tensor

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins dimensions `start_dim` to `end_dim` into one; by default all but the batch.

    >>> nn.Flatten()(torch.randn(32, 1, 5, 5)).shape
    torch.Size([32, 25])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits dimension `dim` into `unflattened_size`, of which one may be -1.

    Raises TypeError where the size is no tuple of integers. Dimensions have no names here.

        >>> nn.Unflatten(1, (2, 5, 5))(torch.randn(32, 50)).shape
        torch.Size([32, 2, 5, 5])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(
                "unflattened_size must be a tuple of ints, but found type "
                f"{type(unflattened_size).__name__}"
            )
        for i, size in enumerate(unflattened_size):
            self._check(size, i)
        self.dim = dim
        self.unflattened_size = unflattened_size

    @staticmethod
    def _check(size: Any, position: int) -> None:
        if not isinstance(size, int):
            raise TypeError(
                "unflattened_size must be tuple of ints, but found element of type "
                f"{type(size).__name__} at pos {position}"
            )

    def forward(self, input: Tensor) -> Tensor:
        return unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
