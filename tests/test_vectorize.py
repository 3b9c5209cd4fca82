"""`vmap`: what is mapped, what random operations do, and errors, compared with PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
import jtoolbox.nn.functional as F
from jtoolbox import func
from tests.reference import assert_same

X = np.linspace(-1, 1.5, 6, dtype=np.float32).reshape(3, 2)


def both(call, **settings):
    return (
        func.vmap(call, **settings)(jt.tensor(X)),
        torch.func.vmap(call, **settings)(torch.tensor(X)),
    )


def test_keyword_arguments_are_given_whole():
    ours = func.vmap(lambda v, w: v * w)(jt.tensor(X), w=jt.tensor(X))
    assert_same(ours, torch.func.vmap(lambda v, w: v * w)(torch.tensor(X), w=torch.tensor(X)))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_chunks_give_the_same(size):
    assert_same(*both(lambda v: (v * 2, v.sum()), out_dims=(1, 0), chunk_size=size))


def test_random_operations_follow_randomness():
    ones = jt.ones(3, 40)
    different = func.vmap(F.dropout, randomness="different")(ones)
    assert not jt.equal(different[0], different[1])
    same = func.vmap(F.dropout, randomness="same")(ones)
    assert jt.equal(same[0], same[1])
    draws = func.vmap(lambda v: (jt.rand(4), jt.rand(4)), randomness="different")(ones)
    assert not jt.equal(draws[0], draws[1])
    with pytest.raises(RuntimeError, match="randomness error mode"):
        func.vmap(F.dropout)(ones)


@pytest.mark.parametrize(
    ("call", "settings", "error"),
    [
        (lambda v: 3.0, {}, ValueError),
        (lambda v: None, {}, ValueError),
        (lambda v: v, {"in_dims": "a"}, ValueError),
        (lambda v: v, {"in_dims": (0, 0)}, ValueError),
        (lambda v: v, {"in_dims": 5}, ValueError),
        (lambda v: v, {"in_dims": None}, ValueError),
        (lambda v: v, {"out_dims": 3}, IndexError),
        (lambda v: v, {"out_dims": "a"}, ValueError),
        (lambda v: v, {"randomness": "other"}, RuntimeError),
        (lambda v: v, {"chunk_size": 0}, ValueError),
    ],
)
def test_errors_are_pytorchs(call, settings, error):
    for transform, x in ((func.vmap, jt.tensor(X)), (torch.func.vmap, torch.tensor(X))):
        with pytest.raises(error):
            transform(call, **settings)(x)
