"""Unfold and fold against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional.fold import fold, unfold
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


SETTINGS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 2, "dilation": (2, 3), "padding": 1},
    {"kernel_size": [4, 2], "stride": 4},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(2, 3, 8, 7), (3, 8, 7)])
def test_unfold_equals_pytorchs(shape, settings) -> None:
    compare(unfold, TF.unfold, normal(*shape), **settings)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("shape", [(2, 3, 8, 7), (3, 8, 7)])
def test_fold_equals_pytorchs(shape, settings) -> None:
    columns = np.asarray(unfold(normal(*shape), **settings))
    compare(fold, TF.fold, columns, output_size=(8, 7), **settings)


def test_wrong_folding_raises_pytorchs_error() -> None:
    x = normal(1, 3, 8, 8)
    same_error(unfold, TF.unfold, x, match="as \\(0, 0\\), but its components", kernel_size=9)
    same_error(unfold, TF.unfold, x, match="stride should be greater than", kernel_size=3, stride=0)
    same_error(unfold, TF.unfold, x, match="expected kernel_size equals", kernel_size=(3, 3, 3))
    settings = {"output_size": 8, "kernel_size": 3}
    same_error(fold, TF.fold, normal(1, 26, 36), match="divisible by the product", **settings)
    same_error(fold, TF.fold, normal(1, 27, 35), match=r"6 \* 6 = 36", **settings)
    same_error(fold, TF.fold, normal(27), match="Expected 2D or 3D", **settings)
