"""Arithmetic agrees with PyTorch: promotion, broadcasting, gradients, integers, errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import jtoolbox as jt
from jtoolbox.ops import arithmetic, bitwise, choosing, special
from tests.ops.cases import BFLOAT16, SPECIAL, bools, floats, integers
from tests.reference import compare, same_error

A, B = floats(2, 5), floats(2, 5, low=0.5, seed=1)
N, M = integers(2, 5), integers(2, 5, low=1, seed=1)


def ours(name):
    for module in (arithmetic, choosing, bitwise, special):
        if hasattr(module, name):
            return getattr(module, name)
    raise AttributeError(name)


BINARY = [
    *("add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "maximum", "minimum"),
    *("fmax", "fmin", "atan2", "hypot", "copysign", "logaddexp", "logaddexp2", "xlogy", "ldexp"),
]
WHOLE = ["add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "maximum", "minimum"]
BITS = ["bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"]


@pytest.mark.parametrize("name", BINARY)
def test_values_and_gradients(name):
    compare(ours(name), getattr(torch, name), A, B, grad=name != "floor_divide")


@pytest.mark.parametrize("name", WHOLE + BITS)
def test_integers(name):
    compare(ours(name), getattr(torch, name), N, M)


@pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor", "add", "mul"])
def test_bools(name):
    compare(ours(name), getattr(torch, name), bools(2, 5), bools(2, 5, seed=1))


@pytest.mark.parametrize("name", ["bitwise_left_shift", "bitwise_right_shift"])
def test_shifts(name):
    compare(ours(name), getattr(torch, name), N, integers(2, 5, low=0))


NUMBERS = [(A, 2), (A, 2.5), (N, 2), (N, 2.5), (A, np.array(3)), (B, True)]


@pytest.mark.parametrize("name", ["add", "mul", "div", "remainder", "floor_divide"])
@pytest.mark.parametrize(("x", "y"), NUMBERS)
def test_numbers_and_scalars_do_not_widen_tensors(name, x, y):
    compare(ours(name), getattr(torch, name), x, y, grad=name != "floor_divide")


@pytest.mark.parametrize("number", [2, 2.5])
@pytest.mark.parametrize("x", [M, B])
def test_a_number_may_come_first(number, x):
    compare(lambda v: arithmetic.mul(number, v), lambda v: number * v, x)
    compare(lambda v: arithmetic.sub(number, v), lambda v: number - v, x)
    compare(lambda v: arithmetic.div(number, v), lambda v: number / v, x)
    compare(lambda v: arithmetic.remainder(number, v), lambda v: number % v, x, grad=False)


DTYPES = [np.bool_, np.uint8, np.int32, np.int64, BFLOAT16, np.float16, np.float32, np.float64]
SHAPES = [((2, 3), (2, 3)), ((2, 3), ()), ((), (3,)), ((2, 1), (3,)), ((0, 3), (1,)), ((), ())]


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["add", "mul", "div", "maximum"]),
    st.sampled_from(DTYPES),
    st.sampled_from(DTYPES),
    st.sampled_from(SHAPES),
)
def test_promotion_and_broadcasting(name, first, second, shapes):
    x = floats(*shapes[0], low=1, high=4).astype(first)
    y = floats(*shapes[1], low=1, high=4, seed=1).astype(second)
    compare(ours(name), getattr(torch, name), x, y, grad=False)


@pytest.mark.parametrize(("x", "y"), [(A, B[:1]), (A[:, :1], B), (A, np.array(0.5, np.float32))])
@pytest.mark.parametrize("name", ["mul", "div", "maximum"])
def test_gradients_of_broadcast_operands(name, x, y):
    compare(ours(name), getattr(torch, name), x, y)


@pytest.mark.parametrize("x", [A, N])
@pytest.mark.parametrize("name", ["add", "sub", "rsub"])
def test_alpha(name, x):
    compare(ours(name), getattr(torch, name), x, x, alpha=3)


@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
@pytest.mark.parametrize(("x", "y"), [(A, B), (N, M), (-N, M), (N, 3), (A, -0.7), (N, 2.5)])
def test_div_with_rounding(mode, x, y):
    compare(arithmetic.div, torch.div, x, y, rounding_mode=mode)


SIGNED = np.array([7.0, -7.0, 7.0, -7.0, 1.0, 0.3, 0.0], np.float32)
DIVISORS = np.array([3.0, 3.0, -3.0, -3.0, 0.1, 0.1, 2.0], np.float32)


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_signs_of_quotients_and_remainders(name, dtype):
    x, y = SIGNED.astype(dtype), DIVISORS.astype(dtype)
    compare(ours(name), getattr(torch, name), x, y, grad=name != "floor_divide")


@pytest.mark.parametrize("name", ["floor_divide", "div", "remainder", "fmod"])
def test_floats_divided_by_zero(name):
    compare(ours(name), getattr(torch, name), SPECIAL, np.zeros(10, np.float32), grad=False)


EXPONENTS = [2, 3, -1, -2, 0, 1, 0.5, -0.5, 4, 7, 2.5, -1.5, 2.0]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_pow_of_a_number(exponent):
    compare(arithmetic.pow, torch.pow, floats(10, low=0.2), exponent)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 7, 2.0])
def test_pow_gradients_at_zero_and_below(exponent):
    points = np.array([0.0, -1.0, -2.0, 1.0, 0.5], np.float32)
    compare(arithmetic.pow, torch.pow, points, exponent)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3, 5, 2.0, 0.5, 2.5])
def test_pow_of_integers(exponent):
    compare(arithmetic.pow, torch.pow, np.abs(N), exponent)


def test_pow_of_bools_is_integer():
    compare(arithmetic.pow, torch.pow, bools(4), 2)


def test_pow_of_tensors_and_of_a_number_to_a_tensor():
    compare(arithmetic.pow, torch.pow, B, A)
    compare(arithmetic.pow, torch.pow, N, M)
    compare(
        arithmetic.pow, torch.pow, np.array([1, -1, 2, -1, 0, 3]), np.array([-1, -1, -1, -2, 2, 0])
    )
    compare(lambda v: arithmetic.pow(2, v), lambda v: torch.pow(2, v), A)
    compare(lambda v: arithmetic.pow(2, v), lambda v: torch.pow(2, v), M)
    compare(lambda v: arithmetic.pow(0.5, v), lambda v: torch.pow(0.5, v), N)


def test_pow_gradients_where_the_base_is_zero():
    base = np.array([0.0, 0.0, 0.0, 2.0], np.float32)
    exponent = np.array([0.0, 1.0, 2.0, 0.0], np.float32)
    compare(arithmetic.pow, torch.pow, base, exponent)


def test_float_power_is_in_double_precision():
    compare(arithmetic.float_power, torch.float_power, B, 2)
    compare(arithmetic.float_power, torch.float_power, N, M)


TIES = np.array([1.0, 2.0, 3.0, -1.0], np.float32)
OTHER = np.array([1.0, 1.0, 4.0, -1.0], np.float32)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_equal_elements_share_the_gradient_as_in_pytorch(name):
    compare(ours(name), getattr(torch, name), TIES, OTHER)


@pytest.mark.parametrize("name", ["maximum", "minimum", "fmax", "fmin"])
def test_nan_in_extremes_of_two(name):
    compare(ours(name), getattr(torch, name), SPECIAL, SPECIAL[::-1].copy(), grad=False)


LOW, HIGH = np.full(4, -1, np.float32), np.full(4, 2, np.float32)


@pytest.mark.parametrize("bounds", [(-1, 2), (1.0, None), (None, 1), (1, 1), (2, -1), (LOW, HIGH)])
@pytest.mark.parametrize("x", [TIES, np.array([1, 5, -3, 2])])
def test_clamp_passes_the_gradient_on_its_bounds(bounds, x):
    compare(choosing.clamp, torch.clamp, x, *bounds)


def test_clamp_keeps_nan():
    compare(choosing.clamp, torch.clamp, SPECIAL, -1, 1, grad=False)
    compare(choosing.clamp, torch.clamp, SPECIAL, SPECIAL[::-1].copy(), grad=False)


def test_clamp_min_and_max():
    compare(choosing.clamp_min, torch.clamp_min, A, 0.5)
    compare(choosing.clamp_max, torch.clamp_max, A, B)


@pytest.mark.parametrize("weight", [0.3, 0.7, floats(2, 5, low=0, high=1, seed=3)])
def test_lerp(weight):
    compare(arithmetic.lerp, torch.lerp, A, B, weight)


@pytest.mark.parametrize("value", [1, 0.5])
@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
def test_addcmul_and_addcdiv(name, value):
    compare(ours(name), getattr(torch, name), A, A, B, value=value)


@pytest.mark.parametrize(("x", "y"), [(A, B), (A, 0.0), (1, B), (1.0, 0.0), (N, 1.5), (N, M)])
def test_where(x, y):
    condition = bools(2, 5)
    compare(choosing.where, torch.where, condition, x, y)


def test_where_takes_uint8_for_bools_with_a_warning():
    for t in (torch, jt):
        condition = t.tensor([1, 0], dtype=t.uint8)
        with pytest.warns(UserWarning, match="where received a uint8 condition tensor"):
            assert t.where(condition, t.ones(2), 0.0).tolist() == [1, 0]


def test_where_with_a_condition_alone_gives_positions():
    compare(choosing.where, torch.where, bools(2, 5))


def test_heaviside():
    compare(choosing.heaviside, torch.heaviside, TIES - 1, HIGH, grad=False)


def test_nextafter_and_copysign():
    compare(choosing.nextafter, torch.nextafter, TIES, OTHER)
    compare(choosing.copysign, torch.copysign, SPECIAL, -1.0, grad=False)
    compare(choosing.copysign, torch.copysign, np.array([0.0, 2.0, -3.0], np.float32), -1.0)
    compare(choosing.copysign, torch.copysign, N, M)


@pytest.mark.parametrize("name", ["xlogy", "hypot", "atan2", "logaddexp"])
def test_special_points_of_two_numbers(name):
    x, y = np.meshgrid(SPECIAL, SPECIAL)
    compare(ours(name), getattr(torch, name), x.ravel(), y.ravel(), grad=False)


def test_xlogy_gradients_at_zero():
    x = np.array([0.0, 0.0, 1.0, 2.0], np.float32)
    y = np.array([1.0, 2.0, 3.0, 0.5], np.float32)
    compare(special.xlogy, torch.xlogy, x, y)


def test_complex_arithmetic():
    x = (floats(5) + 1j * floats(5, seed=1)).astype(np.complex64)
    for name in ("add", "sub", "mul", "div"):
        compare(ours(name), getattr(torch, name), x, x[::-1].copy(), rtol=1e-4)
        compare(ours(name), getattr(torch, name), x, 2.5, rtol=1e-4)


ERRORS = [
    (arithmetic.sub, torch.sub, (bools(2), bools(2)), "bool tensor is not supported"),
    (arithmetic.sub, torch.sub, (bools(2), 1), "bool tensor is not supported"),
    (arithmetic.add, torch.add, (A, B[:, :2]), r"size of tensor a \(5\) must match"),
    (arithmetic.floor_divide, torch.floor_divide, (N, 0), "ZeroDivisionError"),
    (arithmetic.remainder, torch.remainder, (N, np.zeros_like(N)), "ZeroDivisionError"),
    (arithmetic.pow, torch.pow, (N, -1), "negative integer powers"),
    (arithmetic.pow, torch.pow, (bools(2), bools(2)), "not implemented for 'Bool'"),
    (arithmetic.lerp, torch.lerp, (N, N, 0.5), "not implemented"),
    (arithmetic.lerp, torch.lerp, (A, A.astype(np.float64), 0.5), "for `end` but got"),
    (arithmetic.addcdiv, torch.addcdiv, (N, N, M), "Integer division with addcdiv"),
    (choosing.clamp, torch.clamp, (A,), "At least one of 'min' or 'max'"),
    (choosing.where, torch.where, (A, A, A), "expected condition to be a boolean tensor"),
    (choosing.heaviside, torch.heaviside, (A, N), "different dtypes"),
    (bitwise.bitwise_and, torch.bitwise_and, (A, A), "not implemented"),
    (bitwise.gcd, torch.gcd, (A, A), "not implemented"),
]


@pytest.mark.parametrize(("f", "g", "inputs", "message"), ERRORS)
def test_errors(f, g, inputs, message):
    same_error(f, g, *inputs, match=message)


def test_a_wrong_rounding_mode_is_named():
    same_error(arithmetic.div, torch.div, A, B, rounding_mode="up", match="but found 'up'")


def test_a_float_alpha_for_integers_is_refused():
    same_error(arithmetic.add, torch.add, N, N, alpha=1.5, match="alpha must not be a floating")


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod", "floor", "trunc"])
def test_rounded_division_broadcasts_and_promotes(name):
    """Of a column and a row, of floats and integers, of integers."""
    if name in ("floor", "trunc"):
        f, g = ours("div"), torch.div
        kwargs = {"rounding_mode": name}
    else:
        f, g, kwargs = ours(name), getattr(torch, name), {}
    # PyTorch's floor_divide has no derivative.
    compare(f, g, A[:, :1], B[0], grad=name != "floor_divide", **kwargs)
    compare(f, g, B[:, :1], M[0], grad=False, **kwargs)
    compare(f, g, N[:, :1], M[0].astype(np.int32), grad=False, **kwargs)


def test_half_precision_is_rounded_once():
    x, y, z = (floats(3, 4, low=1, seed=s).astype(BFLOAT16) for s in range(3))
    compare(arithmetic.addcmul, torch.addcmul, x, y, z, value=3.14, grad=False, rtol=0, atol=0)
    compare(arithmetic.addcdiv, torch.addcdiv, x, y, z, value=3.14, grad=False, rtol=0, atol=0)
    compare(arithmetic.ldexp, torch.ldexp, x, 3 * y, grad=False, rtol=0, atol=0)


def test_logaddexp_of_complex_numbers_does_not_wrap_the_angle():
    x, y = (np.array(v, np.complex64) for v in ([1 + 2j, 3 - 1j, -8 + 8j], [2 + 5j, -3j, 1 - 8j]))
    compare(special.logaddexp, torch.logaddexp, x, y, grad=False)
