"""Tensors as text, letter for letter as PyTorch's."""

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import jtoolbox as jt
from jtoolbox.ops import printing
from jtoolbox.ops.printing import format_array
from tests.reference import to_torch

SHAPES = [(), (1,), (3,), (0,), (0, 2), (2, 0, 3), (30,), (2, 3), (2, 3, 4), (1, 1, 1), (1001,),
          (40, 40), (12, 12, 12), (2, 2, 2, 2), (1100, 2), (2, 1100), (7, 30)]  # fmt: skip


def assert_prints_as_pytorch(x):
    x = np.asarray(x)
    assert format_array(x) == repr(to_torch(x))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_floats_print_as_pytorchs(shape):
    rng = np.random.default_rng(0)
    for scale in (1, 10, 1e3, 1e5, 1e9, 1e-3, 1e-6):
        for dtype in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16):
            x = np.asarray(np.clip(rng.standard_normal(shape) * scale, -6e4, 6e4)).astype(dtype)
            assert_prints_as_pytorch(x)
            assert_prints_as_pytorch(np.round(x))
            if x.size > 2:
                x.flat[:3] = np.nan, np.inf, -np.inf
                assert_prints_as_pytorch(x)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_other_types_print_as_pytorchs(shape):
    rng = np.random.default_rng(0)
    for dtype in (np.int64, np.int32, np.uint8, np.int8, np.bool_):
        assert_prints_as_pytorch(np.asarray(rng.integers(0, 120, shape)).astype(dtype))
    for scale in (0, 1, 1e4, 1e-5):
        z = np.asarray((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * scale)
        assert_prints_as_pytorch(z.astype(np.complex64))
        assert_prints_as_pytorch(np.round(z).astype(np.complex128))


@settings(max_examples=150, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64, np.int64]),
        arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9),
    )
)
def test_any_array_prints_as_pytorchs(x):
    assert_prints_as_pytorch(np.asarray(x))


def test_what_requires_grad_says_so():
    for build in (lambda m: m.tensor([1.0, 2.0], requires_grad=True),
                  lambda m: m.tensor([1.0, 2.0], requires_grad=True) + 1,
                  lambda m: m.tensor([[1.5]] * 3, requires_grad=True).exp(),
                  lambda m: m.tensor(3.0, requires_grad=True).view(1, 1),
                  lambda m: m.zeros(30, requires_grad=True, dtype=m.float64) * 2):  # fmt: skip
        assert repr(build(jt)).replace("Reshape", "View") == repr(build(torch))


@pytest.mark.parametrize(
    "options",
    [{"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"threshold": 5}, {"linewidth": 40},
     {"threshold": 5, "edgeitems": 1}, {"profile": "short"}, {"profile": "full"}],
    ids=str,
)  # fmt: skip
def test_print_options_work_as_pytorchs(options):
    jt.set_printoptions(**options)
    torch.set_printoptions(**options)
    try:
        for x in (np.linspace(-3, 1e3, 24).reshape(2, 12), np.arange(40), np.zeros(0)):
            assert_prints_as_pytorch(x)
    finally:
        jt.set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


def test_an_unknown_profile_raises():
    with pytest.raises(ValueError, match="profile must be one of default, short, full"):
        printing.set_printoptions(profile="loud")
