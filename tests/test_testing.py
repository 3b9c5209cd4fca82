"""`assert_close` finds what PyTorch's finds and says it in the same words; tensors to test with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both

PAIRS = [
    "torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.1])",
    "torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-7])",
    "torch.tensor([1, 2]), torch.tensor([1, 3])",
    "torch.tensor([255], dtype=torch.uint8), torch.tensor([0], dtype=torch.uint8)",
    "torch.tensor([True, False]), torch.tensor([True, True])",
    "torch.tensor([1 + 1j]), torch.tensor([1 + 2j])",
    "torch.ones(2, dtype=torch.float16), torch.ones(2, dtype=torch.float16) * 1.1",
    "torch.ones(2), torch.ones(3)",
    "torch.ones(2), torch.ones(2, dtype=torch.float64)",
    "torch.ones(2, 2, 2), torch.zeros(2, 2, 2)",
    "torch.tensor(1.0), torch.tensor(2.0)",
    "torch.tensor(float('nan')), torch.tensor(float('nan'))",
    "torch.tensor([float('inf'), 1.0]), torch.tensor([float('inf'), 1.0])",
    "torch.tensor([float('inf'), 1.0]), torch.tensor([-float('inf'), 1.0])",
    "torch.tensor([]), torch.tensor([])",
    "torch.nn.Parameter(torch.ones(2)), torch.ones(2)",
    "np.ones(2), np.ones(2) * 2",
    "1.0, 1.1",
    "1, 2",
    "1, 1.0",
    "1j, 2j",
    "True, False",
    "None, None",
    "[1, torch.ones(1)], [1, torch.zeros(1)]",
    "[1], [1, 2]",
    "{'a': 1}, {'b': 1}",
    "{'a': [1, {'b': 2}]}, {'a': [1, {'b': 3}]}",
    "'a', 'b'",
    "torch.ones(1), 1.0",
    "np.ones(2), torch.ones(2)",
]


def verdict(lib: Any, pair: str, **settings: Any) -> tuple[str, str]:
    a, e = eval(pair, {"torch": lib, "np": np})
    try:
        lib.testing.assert_close(a, e, **settings)
    except (AssertionError, TypeError, ValueError) as error:
        return type(error).__name__, str(error).replace("jtoolbox.tensor.Tensor", "torch.Tensor")
    return "close", ""


@pytest.mark.parametrize("pair", PAIRS)
def test_verdicts_and_words_are_pytorchs(pair):
    assert verdict(jt, pair) == verdict(torch, pair)


@pytest.mark.parametrize(
    ("pair", "settings"),
    [
        ("torch.ones(2), torch.ones(2) * 1.1", {"rtol": 0.2, "atol": 0.0}),
        ("torch.ones(2), torch.ones(2) * 1.1", {"rtol": 0.0, "atol": 0.0}),
        ("torch.ones(2), torch.ones(2) * 1.1", {"rtol": 0.2}),
        ("torch.tensor([float('nan')]), torch.tensor([float('nan')])", {"equal_nan": True}),
        ("torch.ones(2), torch.ones(2, dtype=torch.float64)", {"check_dtype": False}),
        ("torch.ones(2, 3).t(), torch.ones(3, 2)", {"check_stride": True}),
        ("torch.nn.Parameter(torch.ones(2)), torch.ones(2)", {"allow_subclasses": False}),
        ("1, 1.0", {"check_dtype": False}),
        ("1, 2", {"msg": "mine"}),
        ("1, 2", {"msg": lambda text: text[:7]}),
    ],
)
def test_settings_count_as_in_pytorch(pair, settings):
    found, expected = verdict(jt, pair, **settings), verdict(torch, pair, **settings)
    if "allow_subclasses" in settings:
        found, expected = found[0], expected[0]
    assert found == expected


@both
@pytest.mark.parametrize("name", ["float32", "bfloat16", "int64", "uint8", "bool", "complex64"])
def test_made_tensors_have_the_type_and_lie_in_the_range(lib, name):
    x = lib.testing.make_tensor(3, 40, dtype=getattr(lib, name), device="cpu")
    assert (tuple(x.shape), x.dtype) == ((3, 40), getattr(lib, name))
    parts = lib.view_as_real(x) if x.is_complex() else x
    assert parts.float().min() >= -9
    assert parts.float().max() <= 9
    assert parts.float().max() > 0


@both
def test_made_tensors_follow_their_settings(lib):
    make = lib.testing.make_tensor
    x = make((2, 3), dtype=lib.float32, device="cpu", low=2, high=3, requires_grad=True)
    assert x.requires_grad
    assert x.is_leaf
    assert x.min() >= 2
    assert x.max() <= 3
    assert not make((4, 3), dtype=lib.int64, device="cpu", noncontiguous=True).is_contiguous()
    assert (make((50,), dtype=lib.uint8, device="cpu", high=2, exclude_zero=True) > 0).all()
    with pytest.raises(ValueError, match="must be less than"):
        make(2, dtype=lib.int64, device="cpu", low=3, high=3)
