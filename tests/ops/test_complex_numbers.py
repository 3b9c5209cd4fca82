"""Functions of complex numbers agree with PyTorch."""

import numpy as np
import pytest
import torch

from jtoolbox.ops import complex_numbers
from tests.ops.cases import SPECIAL, floats, integers
from tests.reference import compare, same_error

Z = (floats(2, 3) + 1j * floats(2, 3, seed=1)).astype(np.complex64)
A, B = floats(2, 3), floats(2, 3, low=0.1, seed=1)


@pytest.mark.parametrize("name", ["real", "imag", "conj", "conj_physical", "angle", "resolve_conj"])
def test_parts_and_angles(name):
    compare(getattr(complex_numbers, name), getattr(torch, name), Z, rtol=1e-4)


@pytest.mark.parametrize("name", ["real", "conj", "angle"])
def test_of_real_numbers(name):
    compare(getattr(complex_numbers, name), getattr(torch, name), SPECIAL, grad=False)
    compare(getattr(complex_numbers, name), getattr(torch, name), integers(3))


@pytest.mark.parametrize("name", ["complex", "polar"])
def test_from_parts(name):
    compare(getattr(complex_numbers, name), getattr(torch, name), B, A)
    x, y = B.astype(np.float64), A[:1].astype(np.float64)
    compare(getattr(complex_numbers, name), getattr(torch, name), x, y, grad=False)


ERRORS = [
    (complex_numbers.imag, torch.imag, (A,), "non-complex dtypes"),
    (complex_numbers.complex, torch.complex, (A, integers(2, 3)), "Half, Float or Double"),
    (complex_numbers.polar, torch.polar, (A, B.astype(np.float64)), "second argument"),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)
