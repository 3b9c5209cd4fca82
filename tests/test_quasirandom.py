"""Sobol's points are PyTorch's; scrambled ones stay even."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both, same, same_error
from tests.reference import assert_same


@pytest.mark.parametrize("dimension", [1, 2, 7, 21201])
def test_points_are_pytorchs(dimension):
    engines = [lib.quasirandom.SobolEngine(dimension) for lib in (jt, torch)]
    assert_same(*[e.draw(33) for e in engines], rtol=0, atol=0)
    for e in engines:
        e.fast_forward(1000)
    ours, theirs = engines
    assert_same(ours.draw(3, dtype=jt.float64), theirs.draw(3, dtype=torch.float64), 0, 0)
    assert_same(*[e.reset().draw() for e in engines], rtol=0, atol=0)
    assert engines[0].num_generated == engines[1].num_generated == 1


@both
def test_scrambled_points_are_as_even(lib):
    x = lib.quasirandom.SobolEngine(3, scramble=True, seed=4).draw(64)
    again = lib.quasirandom.SobolEngine(3, scramble=True, seed=4).draw(64)
    other = lib.quasirandom.SobolEngine(3, scramble=True, seed=5).draw(64)
    assert x.tolist() == again.tolist() != other.tolist()
    cells = np.sort((np.asarray(x) * 64).astype(int), axis=0)
    assert (cells == np.arange(64)[:, None]).all()


@both
def test_points_go_into_a_tensor_that_is_there(lib):
    out = lib.zeros(2, 2)
    assert lib.quasirandom.SobolEngine(2).draw_base2(1, out=out) is out
    assert out.tolist() == [[0, 0], [0.5, 0.5]]


def test_texts_and_errors_are_pytorchs():
    same(lambda lib: repr(lib.quasirandom.SobolEngine(2)))
    same(lambda lib: repr(lib.quasirandom.SobolEngine(2, scramble=True, seed=3)))

    def unbalanced(lib):
        engine = lib.quasirandom.SobolEngine(2)
        engine.draw()
        engine.draw_base2(2)

    same_error(unbalanced)
    for dimension in (0, 21202):
        with pytest.raises(ValueError, match=rf"\[1, 21201\], got {dimension}"):
            jt.quasirandom.SobolEngine(dimension)
    with pytest.raises(RuntimeError, match="positive number of points"):
        jt.quasirandom.SobolEngine(2).draw(0)
