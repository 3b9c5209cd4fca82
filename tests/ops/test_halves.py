"""Sums of many halves are computed in float32, where halves would stop at 256."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.engine.record import spread

MANY = 1024

# Each takes the library and a tensor of ones, and uses every element of it many times.
USES = {
    "a convolution's bias": lambda lib, b: lib.nn.functional.conv2d(
        lib.ones(4, 1, 16, 16, dtype=b.dtype), lib.ones(4, 1, 1, 1, dtype=b.dtype), b
    ),
    "a linear map's bias": lambda lib, b: lib.nn.functional.linear(
        lib.ones(64, 16, 2, dtype=b.dtype), lib.ones(4, 2, dtype=b.dtype), b
    ),
    "a slope": lambda lib, b: lib.nn.functional.prelu(-lib.ones(64, 4, 16, dtype=b.dtype), b),
    "a border": lambda lib, b: lib.nn.functional.pad(b[None, None], (MANY, 0), "replicate"),
}


def rounded(values: torch.Tensor) -> list[float]:
    return values.bfloat16().float().tolist()


@pytest.mark.parametrize("use", USES)
def test_the_gradient_of_what_is_used_often_is_summed_in_float32(use):
    half, full = jt.ones(4, dtype=jt.bfloat16), torch.ones(4)
    for lib, b in ((jt, half), (torch, full)):
        USES[use](lib, b.requires_grad_()).float().sum().backward()
    assert half.grad.dtype == jt.bfloat16
    assert half.grad.float().tolist() == rounded(full.grad)
    assert full.grad.abs().max() >= MANY


ADDITIONS = {
    "mean": lambda lib, x, i: lib.zeros(2, dtype=x.dtype).scatter_reduce(
        0, i, x, "mean", include_self=False
    ),
    "segments": lambda lib, x, i: lib.segment_reduce(x, "sum", lengths=lib.tensor([MANY])),
}


@pytest.mark.parametrize("kind", ADDITIONS)
def test_many_halves_are_added_up_in_one_place_without_rounding_each_time(kind):
    add, places = ADDITIONS[kind], np.zeros(MANY, np.int64)
    ours = add(jt, jt.ones(MANY, dtype=jt.bfloat16), jt.tensor(places))
    theirs = add(torch, torch.ones(MANY), torch.tensor(places))
    assert ours.dtype == jt.bfloat16
    assert ours.float().tolist() == rounded(theirs)


def test_other_types_are_left_to_jax():
    x = jnp.ones(3)
    assert spread(x, (2, 3)) is x
    assert spread(x.astype(jnp.bfloat16), (2, 3)).shape == (2, 3)
