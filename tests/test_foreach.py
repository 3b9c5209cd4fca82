"""Functions of lists of tensors against PyTorch's."""

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.foreach import find
from tests.nn.both import both
from tests.reference import assert_same

RNG = np.random.default_rng(0)
ARRAYS = [RNG.uniform(0.1, 0.9, s).astype("f") for s in ((2, 3), (4,), (3, 2))]
NAMES = sorted(n for n in dir(torch) if n.startswith("_foreach_") and n not in ("_foreach_powsum",))
BINARY = ("add", "clamp_max", "clamp_min", "copy", "div", "maximum", "minimum", "mul", "pow", "sub")


def lists(lib, count):
    return [[lib.tensor(a + k / 10) for a in ARRAYS] for k in range(count)]


def arguments(lib, name):
    word = name.removeprefix("_foreach_").removesuffix("_")
    if word == "mm":
        return [[lib.tensor(ARRAYS[0])], [lib.tensor(ARRAYS[2])]]
    if word == "lerp":
        return [*lists(lib, 2), 0.3]
    if word in ("addcdiv", "addcmul"):
        return [*lists(lib, 3), 0.5]
    return lists(lib, 1 + (word in BINARY))


@pytest.mark.parametrize("name", NAMES)
def test_lists_are_pytorchs(name):
    ours, theirs = arguments(jt, name), arguments(torch, name)
    found, expected = getattr(jt, name)(*ours), getattr(torch, name)(*theirs)
    if name.endswith("_"):
        found, expected = ours[0], theirs[0]
    else:
        assert isinstance(found, tuple)
    for a, b in zip(found, expected, strict=True):
        assert_same(a, b, 1e-5, 1e-6)


@both
def test_scalars_lists_of_scalars_and_alpha(lib):
    (x,) = lists(lib, 1)
    assert_all(lib._foreach_mul(x, 2.0), [a * 2 for a in ARRAYS])
    assert_all(lib._foreach_mul(x, [1.0, 2.0, 3.0]), [a * k for k, a in enumerate(ARRAYS, 1)])
    assert_all(lib._foreach_add(x, x, alpha=3), [a * 4 for a in ARRAYS])
    assert_all(lib._foreach_norm(x, 1), [np.abs(a).sum() for a in ARRAYS])
    with pytest.raises(RuntimeError, match="Tensor lists must have the same number of tensors"):
        lib._foreach_add(x, x[:2])


def assert_all(found, expected):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(a), b, 1e-5)


def test_other_names_are_not_there():
    assert find("_foreach_clone_") is find("_foreach_nothing") is None
    with pytest.raises(AttributeError, match="_foreach_nothing"):
        getattr(jt, "_foreach_nothing")  # noqa: B009
