"""Max-pooling layers whose windows lie at random."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.nn import functional as F
from jtoolbox.nn.functional.windows import Ints
from jtoolbox.nn.module import Module
from jtoolbox.nn.sizes import ntuple
from jtoolbox.tensor import Tensor

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPool(Module):
    _dims: int
    _function: Callable[..., Any]

    def __init__(
        self,
        kernel_size: Ints,
        output_size: Ints | None = None,
        output_ratio: float | Sequence[float] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        super().__init__()
        name, n = type(self).__name__, self._dims
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{name} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        ratios: Any = None if output_ratio is None else ntuple(output_ratio, n)
        if ratios is not None and len(ratios) != n:
            raise IndexError(f"output_ratio must have {n} elements, got {output_ratio}")
        if ratios is not None and not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")
        self.kernel_size = ntuple(kernel_size, n)
        self.return_indices = return_indices
        self.output_size = None if output_size is None else ntuple(output_size, n)
        self.output_ratio = ratios
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        size, ratio, samples = self.output_size, self.output_ratio, self._random_samples
        settings = (self.kernel_size, size, ratio, self.return_indices)
        return type(self)._function(input, *settings, _random_samples=samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The greatest element of windows at random places: (N, C, H, W) or (C, H, W).

    The result has `output_size`, or `output_ratio` (between 0 and 1) of the input's size: exactly
    one of them must be given, or ValueError is raised. With `return_indices` the positions come
    too, as `MaxUnpool2d` takes them. Places are drawn anew in every call, in evaluation as well.
    Paper: Fractional Max-Pooling, https://arxiv.org/abs/1412.6071.

        >>> nn.FractionalMaxPool2d(3, output_ratio=0.5)(torch.randn(20, 16, 50, 32)).shape
        torch.Size([20, 16, 25, 16])
    """

    _dims = 2
    _function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """`FractionalMaxPool2d` for volumes (N, C, T, H, W) or (C, T, H, W)."""

    _dims = 3
    _function = staticmethod(F.fractional_max_pool3d)
