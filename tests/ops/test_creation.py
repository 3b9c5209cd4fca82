"""New tensors agree with PyTorch: sizes, inferred types, values, errors."""

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import dtypes
from jtoolbox.ops import creation, ranges, windows
from tests.ops.cases import BFLOAT16, floats, integers
from tests.reference import assert_same, compare


def ours(name):
    for module in (creation, ranges, windows):
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(name)


def both(name, *args, dtype=None, **settings):
    """The same call of both libraries."""
    first, second = dict(settings), dict(settings)
    if dtype is not None:
        first["dtype"], second["dtype"] = getattr(dtypes, dtype), getattr(torch, dtype)
    return ours(name)(*args, **first), getattr(torch, name)(*args, **second)


SIZES = [(2, 3), ((2, 3),), ([2, 3],), (0,), ((),), (4,)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["zeros", "ones"])
def test_sizes_as_numbers_or_a_tuple(name, size):
    assert_same(*both(name, *size))


def test_empty_has_a_shape_and_a_type():
    a, b = both("empty", 2, 3, dtype="int64")
    assert (tuple(a.shape), a.dtype) == (tuple(b.shape), dtypes.int64)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bfloat16", "int64", "int32", "bool", "uint8"]
)
@pytest.mark.parametrize("name", ["zeros", "ones", "eye"])
def test_types(name, dtype):
    assert_same(*both(name, 3, dtype=dtype))


@pytest.mark.parametrize("value", [1, 2.5, True, -3, float("nan"), 1 + 2j])
def test_full_takes_the_type_of_its_number(value):
    assert_same(*both("full", (2, 3), value))


def test_full_with_a_type():
    assert_same(*both("full", (2,), 3, dtype="float64"))
    assert_same(*both("full", [], 3))


LIKE = [floats(2, 3), integers(3), floats(2, dtype=np.float64), floats(2).astype(BFLOAT16)]


@pytest.mark.parametrize("x", LIKE)
@pytest.mark.parametrize("name", ["zeros_like", "ones_like"])
def test_like_another(name, x):
    compare(ours(name), getattr(torch, name), x, grad=False)


@pytest.mark.parametrize("value", [2, 2.5])
def test_full_like(value):
    compare(creation.full_like, torch.full_like, floats(2, 3), value, grad=False)
    compare(creation.full_like, torch.full_like, integers(2, 3), value, grad=False)
    compare(
        lambda x: creation.ones_like(x, dtype=dtypes.float64),
        lambda x: torch.ones_like(x, dtype=torch.float64),
        integers(3),
    )


RANGES = [
    *((5,), (0,), (2, 7), (2, 9, 3), (5.0,), (0, 1, 0.1), (1, 0, -0.25), (10, 0, -3)),
    *((0.5, 3), (-3, 3), (0.0, 1.0, 0.3)),
]


@pytest.mark.parametrize("args", RANGES)
def test_arange(args):
    assert_same(*both("arange", *args))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bfloat16"])
def test_arange_of_a_type(dtype):
    assert_same(*both("arange", 1, 20, 3, dtype=dtype))


def test_arange_takes_tensors_of_one_element():
    assert_same(ranges.arange(jt.tensor(4)), torch.arange(torch.tensor(4)))


@pytest.mark.filterwarnings("ignore:torch.range is deprecated")
def test_range_includes_its_end():
    assert_same(*both("range", 1, 4))
    assert_same(*both("range", 0, 1, 0.25))


@pytest.mark.parametrize(
    "args", [(0, 1, 5), (3, -2, 6), (1, 1, 3), (0, 1, 1), (0, 1, 0), (-1, 1, 2)]
)
@pytest.mark.parametrize("name", ["linspace", "logspace"])
def test_evenly_spaced(name, args):
    assert_same(*both(name, *args))


def test_evenly_spaced_of_a_type():
    assert_same(*both("linspace", 0, 10, 4, dtype="int64"))
    assert_same(*both("logspace", 0, 3, 4, 2.0, dtype="float64"))


@pytest.mark.parametrize("args", [(3,), (2, 4), (0,), (4, 2)])
def test_eye(args):
    assert_same(*both("eye", *args))


@pytest.mark.parametrize("args", [(3, 3), (2, 4, 1), (4, 2, -1), (0, 3)])
@pytest.mark.parametrize("name", ["tril_indices", "triu_indices"])
def test_indices_of_triangles(name, args):
    assert_same(*both(name, *args))


@pytest.mark.parametrize("settings", [{}, {"N": 2}, {"N": 4, "increasing": True}])
def test_vander(settings):
    compare(creation.vander, torch.vander, floats(3), grad=False, **settings)
    compare(creation.vander, torch.vander, integers(3), **settings)


@pytest.mark.parametrize("indexing", ["ij", "xy"])
def test_meshgrid(indexing):
    compare(creation.meshgrid, torch.meshgrid, floats(2), floats(3), floats(4), indexing=indexing)


def test_meshgrid_warns_without_indexing():
    with pytest.warns(UserWarning, match="indexing"):
        creation.meshgrid(jt.tensor([1, 2]), jt.tensor([3]))


WINDOWS = ["hann", "hamming", "blackman", "bartlett", "kaiser"]


@pytest.mark.parametrize("n", [0, 1, 2, 5, 8])
@pytest.mark.parametrize("kind", WINDOWS)
def test_windows(kind, n):
    if kind == "kaiser" and n == 0:
        return
    assert_same(*both(f"{kind}_window", n))
    assert_same(*both(f"{kind}_window", n, periodic=False))


def test_requires_grad_makes_a_leaf():
    x = creation.zeros(3, requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    assert creation.ones_like(x, requires_grad=True).requires_grad


def test_scalar_tensor_is_a_float():
    assert_same(creation.scalar_tensor(3), torch.scalar_tensor(3))


ERRORS = [
    ("zeros", (-1,), "must be non-negative"),
    ("zeros", ("a",), "must be tuple of ints"),
    ("zeros", (2.5,), "must be tuple of ints"),
    ("full", (2, 1), "must be tuple of ints, not int"),
    ("arange", (0, 1, 0), "step must be nonzero"),
    ("arange", (1, 0), "inconsistent with step sign"),
    ("linspace", (0, 1, -1), "must be non-negative"),
    ("eye", (-1,), "greater or equal to 0"),
    ("hann_window", (-1,), "non-negative window_length"),
]


@pytest.mark.parametrize(("name", "args", "message"), ERRORS)
def test_errors(name, args, message):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        getattr(torch, name)(*args)
    with pytest.raises(type(theirs.value), match=message):
        ours(name)(*args)
