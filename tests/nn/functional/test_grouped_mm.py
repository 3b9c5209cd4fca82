"""Products of groups against PyTorch's; scaled products are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.nn.twins import normal
from tests.reference import compare, same_error

ENDS = np.array([3, 8], np.int32)


def last(function):
    return lambda a, b, offs=None, **settings: function(a, b, offs=offs, **settings)


OURS, THEIRS = last(F.grouped_mm), last(TF.grouped_mm)
CASES = [
    (normal(8, 16), normal(2, 16, 24), ENDS),
    (normal(2, 8, 16), normal(16, 24), np.array([8, 24], np.int32)),
    (normal(8, 16), normal(16, 24), np.array([8, 16], np.int32)),
    (normal(2, 8, 16), normal(2, 16, 24)),
]


@pytest.mark.parametrize("arrays", CASES)
def test_products_of_groups_are_pytorchs(arrays):
    compare(OURS, THEIRS, *arrays, grad=False, rtol=1e-4, atol=1e-4)


def test_gradients_reach_both_and_what_lies_behind_is_zero():
    a, b = jt.tensor(normal(8, 4)).requires_grad_(), jt.tensor(normal(2, 4, 5)).requires_grad_()
    y = F.grouped_mm(a, b, offs=jt.tensor(np.array([3, 6], np.int32)))
    rows, matrices = normal(8, 4), normal(2, 4, 5)
    expected = np.concatenate([rows[:3] @ matrices[0], rows[3:6] @ matrices[1], np.zeros((2, 5))])
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-4, atol=1e-5)
    y.sum().backward()
    expected = matrices[0].sum(1)[None].repeat(3, 0)
    np.testing.assert_allclose(a.grad[:3].numpy(), expected, rtol=1e-4, atol=1e-5)
    assert not a.grad[6:].numpy().any()
    assert b.grad.numpy().any()


A, B = normal(8, 16), normal(2, 16, 24)
ERRORS = [
    ((A, B), {}, "Have to provide offsets if there is a 2d matrix"),
    ((normal(2, 8, 16), B, ENDS), {}, "or no offset if both matrices are 3d"),
    ((A, B, ENDS.astype(int)), {}, "Offsets have to be int32"),
    ((A, B, ENDS), {"bias": normal(24)}, "Bias not supported yet"),
    ((A, normal(2, 8, 24), ENDS), {}, "contraction dimension of mat_a and mat_b must match"),
    ((A[0], B, ENDS), {}, "mat_a has to be 2 or 3d"),
    ((A, B, np.array([3, 5, 8], np.int32)), {}, "matrix batch sizes have to match"),
    ((A, B.astype(np.float16), ENDS), {}, "expected m1 and m2 to have the same dtype"),
    ((A.astype("f8"), B.astype("f8"), ENDS), {}, "Float32, BFloat16 or Float16 matrix, got Double"),
    ((normal(3, 8, 16), B), {}, "batched dimension has to match"),
]


@pytest.mark.parametrize(("arrays", "settings", "match"), ERRORS)
def test_what_does_not_fit_raises_pytorchs_error(arrays, settings, match):
    if settings:
        with pytest.raises(RuntimeError, match=match):
            OURS(*map(jt.tensor, arrays), bias=jt.tensor(settings["bias"]))
        return
    same_error(OURS, THEIRS, *arrays, match=match)


def test_another_type_of_result_is_refused():
    with pytest.raises(RuntimeError, match="output dtype must match `mat_a` dtype"):
        OURS(*map(jt.tensor, (A, B, ENDS)), out_dtype=jt.bfloat16)


def test_scaled_products_are_refused():
    assert {k.name for k in F.ScalingType} == set(TF.ScalingType.__members__)
    assert {k.name for k in F.SwizzleType} == set(TF.SwizzleType.__members__)
    for f in (F.scaled_mm, F.scaled_grouped_mm):
        with pytest.raises(NotImplementedError, match="multiplies float8 matrices by GPU kernels"):
            f(jt.ones(2, 2), jt.ones(2, 2), jt.ones(1), F.ScalingType.TensorWise)
