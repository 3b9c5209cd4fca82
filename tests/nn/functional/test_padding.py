"""Padding against PyTorch's: every mode, negative amounts, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as TF

from jtoolbox.nn.functional.padding import pad
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


CONSTANTS = {
    "last": ((2, 3), (1, 2), {}),
    "two": ((2, 3), (1, 2, 0, 3), {}),
    "all of four": ((2, 1, 3, 2), (1, 0, 0, 2, 1, 1, 2, 0), {}),
    "value": ((2, 3), (1, 2), {"value": 1.5}),
    "no value": ((2, 3), (1, 2), {"value": None, "mode": "constant"}),
    "a list": ((2, 3), [1, 2], {}),
    "cropped": ((4, 5), (-1, 2, 1, -2), {}),
    "cropped at both ends": ((4, 5), (-1, -2), {}),
    "nothing left": ((2, 3), (-2, -1), {}),
    "nothing to do": ((2, 3), (0, 0), {}),
}


@pytest.mark.parametrize("case", CONSTANTS)
def test_constant_padding_equals_pytorchs(case: str) -> None:
    shape, amounts, settings = CONSTANTS[case]
    compare(pad, TF.pad, normal(*shape), pad=amounts, **settings)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize(
    ("shape", "amounts"),
    [
        ((2, 4), (1, 2)),
        ((2, 3, 4), (3, 0)),
        ((3, 4, 5), (1, 2, 3, 1)),
        ((2, 3, 4, 5), (1, 2, 0, 1)),
        ((2, 3, 4, 5), (1, 2, 0, 1, 2, 1)),
        ((2, 1, 3, 4, 5), (1, 2, 0, 1, 2, 1)),
        ((0, 3, 4), (1, 2)),
        ((2, 3, 5), (2, -1)),
        ((2, 3, 5), (-2, 1)),
    ],
)
def test_padding_from_the_input_equals_pytorchs(mode, shape, amounts) -> None:
    if mode == "replicate" and min(amounts) < 0:
        compare(pad, TF.pad, normal(*shape), grad=False, pad=amounts, mode=mode)
    else:
        compare(pad, TF.pad, normal(*shape), pad=amounts, mode=mode)


def test_padding_takes_integers_and_bools() -> None:
    whole = np.arange(6).reshape(2, 3)
    compare(pad, TF.pad, whole, pad=(1, 1), value=1.5)
    compare(pad, TF.pad, whole, pad=(1, 1), mode="reflect")
    compare(pad, TF.pad, whole > 2, pad=(1, 1), value=True)


ERRORS = {
    "too many": ((2, 3), (1,) * 6, {}, "less than or equal to two times the input dimension"),
    "odd": ((2, 3), (1,), {}, "Padding length must be divisible by 2"),
    "no integers": ((2, 3), (1, 1.5), {}, "must be tuple of ints"),
    "unknown mode": ((2, 3), (1, 1), {"mode": "foo"}, "Unrecognised padding mode foo"),
    "dimensions": ((3,), (1, 1), {"mode": "reflect"}, "Padding size 2 is not supported for 1D"),
    "dimensions, 4 of 5": ((1,) * 5, (1,) * 4, {"mode": "circular"}, "is not supported for 5D"),
    "reflected too far": ((2, 3), (3, 1), {"mode": "reflect"}, r"padding \(3, 1\) at dimension 1"),
    "wrapped too far": ((2, 3), (4, 1), {"mode": "circular"}, "wrapping around more than once"),
    "nothing to repeat": ((2, 3), (-2, -1), {"mode": "replicate"}, "Calculated output size: 0"),
    "a value": ((2, 3), (1, 1), {"mode": "reflect", "value": 3.0}, "doesn't take in value"),
    "cropped too far": ((2, 3), (-4, 2), {}, "length must be non-negative"),
    "empty": ((1, 2, 0), (1, 1), {"mode": "reflect"}, "other non-zero dimensions"),
}


@pytest.mark.parametrize("case", ERRORS)
def test_wrong_padding_raises_pytorchs_error(case: str) -> None:
    shape, amounts, settings, match = ERRORS[case]
    same_error(pad, TF.pad, normal(*shape), match=match, pad=amounts, **settings)
