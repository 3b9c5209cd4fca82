"""Pixel and channel shuffles against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional.pixelshuffle import channel_shuffle, pixel_shuffle, pixel_unshuffle
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(2, 18, 2, 3), (18, 2, 3), (2, 1, 9, 3, 2)])
def test_pixel_shuffle_equals_pytorchs(shape) -> None:
    compare(pixel_shuffle, TF.pixel_shuffle, normal(*shape), upscale_factor=3)


@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (3, 4, 6), (2, 1, 1, 2, 4)])
def test_pixel_unshuffle_equals_pytorchs(shape) -> None:
    compare(pixel_unshuffle, TF.pixel_unshuffle, normal(*shape), downscale_factor=2)


@pytest.mark.parametrize("shape", [(2, 6, 2), (2, 6, 2, 3), (1, 6, 2, 1, 2)])
def test_channel_shuffle_equals_pytorchs(shape) -> None:
    compare(channel_shuffle, TF.channel_shuffle, normal(*shape), groups=3)


def test_wrong_shuffles_raise_pytorchs_error() -> None:
    x = normal(1, 8, 2, 3)
    same_error(pixel_shuffle, TF.pixel_shuffle, x, match="not divisible by 9", upscale_factor=3)
    same_error(pixel_shuffle, TF.pixel_shuffle, x, match="a positive upscale", upscale_factor=0)
    rank = "at least 3 dimensions"
    same_error(pixel_shuffle, TF.pixel_shuffle, normal(2, 2), match=rank, upscale_factor=2)
    width = "expects width to be divisible"
    same_error(pixel_unshuffle, TF.pixel_unshuffle, x, match=width, downscale_factor=2)
    same_error(channel_shuffle, TF.channel_shuffle, x, match="8 channels and 3 groups", groups=3)
    same_error(channel_shuffle, TF.channel_shuffle, x, match="must be positive", groups=0)
    same_error(channel_shuffle, TF.channel_shuffle, normal(8, 2), match="> 2 dims", groups=2)
