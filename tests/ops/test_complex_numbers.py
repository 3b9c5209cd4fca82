"""Functions of complex numbers agree with PyTorch."""

import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox.ops import complex_numbers
from tests.ops.cases import SPECIAL, floats, integers
from tests.reference import assert_same, compare, same_error

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


def test_parts_and_conjugate_are_views():
    found = []
    for t in (jtoolbox, torch):
        z = t.zeros(3, dtype=t.complex64)
        conjugate = z.conj()
        z.real.fill_(2)
        z.imag[0] = 5
        conjugate[1] = 4 - 4j
        real = t.zeros(2)
        real.real.add_(1)
        (+real)[0] = 7
        found.append((z, conjugate.resolve_conj(), real))
    assert_same(*found)


def test_gradients_flow_through_a_written_part():
    found = []
    for t in (jtoolbox, torch):
        x = t.tensor([0.5, -1.25], requires_grad=True)
        z = t.complex(x * 1, x * 2)
        z.real.mul_(3)
        z.abs().sum().backward()
        found.append(x.grad)
    assert_same(*found)


def test_tensors_that_are_their_own_result_are_returned_themselves():
    for t in (jtoolbox, torch):
        x = t.ones(2, 2)
        for same in (+x, x.positive(), x.real, x.conj(), x.conj_physical(), x.resolve_conj()):
            assert same is x
