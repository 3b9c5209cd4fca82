"""Kinds of numbers: which an operation refuses, what half precision sums to, which come back."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.ops.cases import floats
from tests.reference import compare, same_error
from tests.test_tensor import outcome

BOOLS = np.array([[True, False], [True, True]])
TRUE = np.ones((2, 2), bool)
WHOLE = np.array([[1, 2], [3, 5]])
BYTES = WHOLE.astype(np.uint8)
REAL = floats(2, 2)
COMPLEX = (floats(2, 2) + 1j * floats(2, 2)).astype(np.complex64)
HALF = floats(2, 2, dtype=np.float16)

REFUSED = {
    "of one tensor": [
        ("abs", lambda t, x: t.abs(x), [BOOLS]),
        ("trace", lambda t, x: t.trace(x), [BOOLS]),
        ("cov", lambda t, x: t.cov(x), [BOOLS]),
        ("topk", lambda t, x: t.topk(x, 1), [BOOLS]),
        ("kthvalue", lambda t, x: t.kthvalue(x, 1), [BOOLS, COMPLEX]),
        ("cumsum", lambda t, x: t.cumsum(x, 0, dtype=t.bool), [BOOLS]),
        ("bitwise_not", lambda t, x: t.bitwise_not(x), [REAL, COMPLEX]),
        ("floor", lambda t, x: t.floor(x), [COMPLEX]),
        ("sign", lambda t, x: t.sign(x), [COMPLEX]),
        ("signbit", lambda t, x: t.signbit(x), [COMPLEX]),
        ("amax", lambda t, x: t.amax(x), [COMPLEX]),
        ("cummax", lambda t, x: t.cummax(x, 0), [COMPLEX]),
        ("mode", lambda t, x: t.mode(x), [COMPLEX]),
        ("unique", lambda t, x: t.unique(x), [COMPLEX]),
        ("erf", lambda t, x: t.erf(x), [COMPLEX]),
        ("i0e", lambda t, x: t.special.i0e(x), [COMPLEX]),
        ("lu_factor", lambda t, x: t.linalg.lu_factor(x), [WHOLE, HALF]),
        ("bessel_j0", lambda t, x: t.special.bessel_j0(x), [COMPLEX, HALF]),
        ("clamp", lambda t, x: t.clamp(x, False, True), [BOOLS]),
    ],
    "of two tensors": [
        ("remainder", lambda t, x: t.remainder(x, x), [TRUE, COMPLEX]),
        ("fmod", lambda t, x: t.fmod(x, x), [TRUE, COMPLEX]),
        ("floor_divide", lambda t, x: t.floor_divide(x, x), [TRUE, COMPLEX]),
        ("div", lambda t, x: t.div(x, x, rounding_mode="trunc"), [TRUE, COMPLEX]),
        ("addcmul", lambda t, x: t.addcmul(x, x, x), [BOOLS]),
        ("gcd", lambda t, x: t.gcd(x, x), [BOOLS]),
        ("logaddexp", lambda t, x: t.logaddexp(x, x), [BOOLS, WHOLE]),
        ("hypot", lambda t, x: t.hypot(x, x), [WHOLE, COMPLEX]),
        ("igamma", lambda t, x: t.igamma(x, x), [WHOLE, COMPLEX]),
        ("nextafter", lambda t, x: t.nextafter(x, x), [WHOLE]),
        ("atan2", lambda t, x: t.atan2(x, x), [COMPLEX]),
        ("copysign", lambda t, x: t.copysign(x, x), [COMPLEX]),
        ("xlogy", lambda t, x: t.xlogy(x, x), [COMPLEX]),
    ],
}


@pytest.mark.parametrize("family", REFUSED)
def test_kinds_of_numbers_that_pytorch_refuses_are_refused(family):
    for name, f, operands in REFUSED[family]:
        for x in operands:
            same_error(lambda x, f=f: f(jt, x), lambda x, f=f: f(torch, x), x,
                       match=f"{name}.* not implemented for|support complex")  # fmt: skip


@pytest.mark.parametrize(
    ("f", "x", "message"),
    [
        (lambda t, x: t.maximum(x, x), COMPLEX, "not implemented"),
        (lambda t, x: t.argmax(x), COMPLEX, "not implemented"),
        (lambda t, x: t.isin(x, x), BOOLS, "not implemented"),
        (lambda t, x: t.cdist(x, x), WHOLE, "not implemented"),
        (lambda t, x: t.dist(x, x), WHOLE, "not implemented"),
        (lambda t, x: t.trapezoid(x), BOOLS, "not implemented"),
        (lambda t, x: t.gradient(x), BYTES, "does not support uint8"),
        (lambda t, x: t.complex(x, x), WHOLE, "Expected both inputs to be"),
        (lambda t, x: t.polar(x, x), COMPLEX, "Expected both inputs to be"),
        (lambda t, x: t.normal(x, 1.0), WHOLE, "not implemented"),
        (lambda t, x: t.multinomial(x, 1), COMPLEX, "only supports floating-point"),
        (lambda t, x: t.renorm(x, 2, 0, 1), WHOLE, "not implemented"),
    ],
)
def test_errors_that_pytorch_raises_as_runtime_errors(f, x, message):
    with pytest.raises(RuntimeError):
        f(torch, torch.tensor(x))
    with pytest.raises(RuntimeError, match=message):
        f(jt, jt.tensor(x))


def test_a_complex_number_of_half_precision_is_named_as_missing():
    x = jt.ones(2, dtype=jt.float16)
    with pytest.raises(RuntimeError, match="complex32 is not supported"):
        jt.complex(x, x)
    with pytest.raises(TypeError, match="complex32 is not supported"):
        x.chalf()
    with pytest.raises(AttributeError, match="use complex64"):
        jt.complex32  # noqa: B018


def test_integers_become_int64_in_powers_and_bools_stay_in_kron():
    compare(jt.vander, torch.vander, np.array([1, 2, 3], np.uint8))
    compare(jt.linalg.vander, torch.linalg.vander, np.array([1, 2, 3], np.int32))
    compare(jt.kron, torch.kron, BOOLS, np.array([True, False]))
    compare(jt.kron, torch.kron, floats(3), floats(2, 2))


def test_new_tensors_of_a_sparse_layout_are_refused():
    for make in (jt.zeros, jt.randn, jt.arange, jt.eye, jt.hann_window):
        with pytest.raises(RuntimeError, match="not supported by functions that make dense"):
            make(3, layout=jt.sparse_coo)
    assert jt.zeros(3, layout=jt.strided).shape == (3,)


# Half precision

COUNT = 20_000


def spread_gradient(t, f):
    """The size of the gradient of one number that meets COUNT ones."""
    one = t.zeros(1, dtype=t.bfloat16).requires_grad_()
    f(t, t.ones(COUNT, 1, dtype=t.bfloat16), one).sum().backward()
    return abs(float(one.grad))


@pytest.mark.parametrize(
    "f",
    [
        lambda t, x, one: x + one,
        lambda t, x, one: x - one,
        lambda t, x, one: one.expand(COUNT, 1) * x,
        lambda t, x, one: t.nn.functional.linear(x, t.ones_like(x[:1]), one),
        lambda t, x, one: one.repeat(COUNT),
        lambda t, x, one: t.gather(one, 0, t.zeros(COUNT, dtype=t.int64)),
        lambda t, x, one: t.index_select(one[None], 0, t.zeros(COUNT, dtype=t.int64)),
    ],
)
def test_gradients_of_what_was_broadcast_in_bfloat16_are_summed_in_float32(f):
    assert spread_gradient(jt, f) == spread_gradient(torch, f) == 19968


def test_sums_in_half_precision_are_rounded_once():
    x = (floats(1000) + 1).astype(jnp.bfloat16)
    for name in ("sum", "nansum", "mean"):
        compare(getattr(jt, name), getattr(torch, name), x, grad=False, rtol=0, atol=0)
    ones = jt.ones(3000, dtype=jt.bfloat16)
    places = jt.zeros(3000, dtype=jt.int64)
    assert jt.zeros(1, dtype=jt.bfloat16).scatter_add(0, places, ones).item() == 3008
    assert jt.linalg.vector_norm(ones, 1).item() == 3008


def test_half_precision_where_jax_has_none():
    x = floats(3, 3, low=-0.5, high=0.5)  # PyTorch's own matrix_exp gives no numbers in bfloat16
    rounded = torch.tensor(x).bfloat16().float()
    ours = jt.matrix_exp(jt.tensor(x).bfloat16())
    assert ours.dtype is jt.bfloat16
    np.testing.assert_allclose(ours.float(), torch.matrix_exp(rounded), rtol=1e-2)
    compare(jt.exp2, torch.exp2, (4 * floats(20)).astype(jnp.bfloat16), grad=False, rtol=4e-3)


# Gamma functions left of 0, where JAX's own are wrong


def test_gamma_functions_of_negative_numbers():
    x = np.array([-20.3, -8.5, -3.3, -0.7, 0.2, 3.7])
    for n in (1, 2, 3):
        compare(lambda x, n=n: jt.polygamma(n, x), lambda x, n=n: torch.polygamma(n, x), x)
    compare(jt.digamma, torch.digamma, x)
    assert float(jax.grad(jax.grad(lambda x: jt.lgamma(x)))(-8.5)) == pytest.approx(9.758607)
    poles = np.array([0.0, -1.0, -2.0])
    compare(lambda x: jt.polygamma(2, x), lambda x: torch.polygamma(2, x), poles, grad=False)


def test_zeta_at_its_poles_and_left_of_them():
    s, q = np.meshgrid([-1.0, 1.0, 1.5, 2.0, 3.0], [-20.5, -8.5, -2.0, 0.0, 0.5, 2.0])
    compare(jt.special.zeta, torch.special.zeta, s, q, grad=False)
    q = np.array([-8.5, 0.5])
    compare(lambda q: jt.special.zeta(2.0, q), lambda q: torch.special.zeta(2.0, q), q)


# Values without a derivative


@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.poisson(x),
        lambda t, x: t.normal(x, 1.0),
        lambda t, x: t.bernoulli(x),
        lambda t, x: (x * 1).normal_(),
        lambda t, x: (x * 1).random_(0, 5),
        lambda t, x: (x * 1).bernoulli_(0.5),
    ],
)
def test_samples_require_grad_and_their_gradient_is_zero(f):
    for t in (torch, jt):
        x = t.tensor([0.2, 0.7], requires_grad=True)
        y = f(t, x)
        assert y.requires_grad
        y.sum().backward()
        assert x.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda t, x: t.unique(x),
        lambda t, x: t.unique(x, dim=0, return_inverse=True)[0],
        lambda t, x: t.unique_consecutive(x),
        lambda t, x: t.bernoulli(x, 0.5),
    ],
)
def test_a_backward_pass_through_what_has_no_derivative_raises(f):
    for t in (torch, jt):
        y = f(t, t.tensor([0.2, 0.7, 0.7], requires_grad=True))
        assert y.requires_grad
        with pytest.raises(RuntimeError, match="not implemented"):
            y.sum().backward()


@pytest.mark.parametrize("name", ["inv_ex", "cholesky_ex", "lu_factor_ex"])
def test_check_errors_raises_for_a_matrix_without_a_result(name):
    batch = np.stack([np.eye(2), np.zeros((2, 2))])
    for t in (torch, jt):
        f = getattr(t.linalg, name)
        assert int(f(t.tensor(batch)).info[1]) != 0
        f(t.tensor(batch[:1]), check_errors=True)
        with pytest.raises(RuntimeError, match=r"\(Batch element 1\)"):
            f(t.tensor(batch), check_errors=True)
    with pytest.raises(jt.linalg.LinAlgError, match="singular"):
        jt.linalg.solve_ex(jt.zeros(2, 2), jt.ones(2), check_errors=True)
    with pytest.raises(RuntimeError, match="check_errors reads values"):
        jax.jit(lambda a: jt.linalg.inv_ex(a, check_errors=True))(batch)


def test_windows_name_wrong_settings():
    for t in (torch, jt):
        windows = t.signal.windows
        with pytest.raises(ValueError, match="float32 or float64"):
            windows.hann(3, dtype=t.int64)
        with pytest.raises(ValueError, match="strided tensors only"):
            windows.hann(3, layout=t.sparse_coo)
        with pytest.raises(ValueError, match="non-negative"):
            windows.kaiser(3, beta=-1)
        with pytest.raises(ValueError, match="cannot be empty"):
            windows.general_cosine(3, a=[])


NUMBERS = [
    "torch.full((2,), -1, dtype=torch.uint8).tolist()",
    "torch.full((2,), -1.0, dtype=torch.uint8)",
    "torch.full((2,), 127.9, dtype=torch.int8)",
    "torch.ones(2, dtype=torch.uint8).fill_(-0.5)",
    "torch.tensor([-1.0], dtype=torch.uint8)",
    "torch.tensor([-1], dtype=torch.uint8).tolist()",
    "torch.nn.functional.pad(torch.ones(1, dtype=torch.uint8), (1, 1), value=-1)",
    "torch.constant_pad_nd(torch.ones(1, dtype=torch.uint8), (1, 1), -1).tolist()",
    "torch.nan_to_num(torch.tensor([float('nan')]), nan=1e40).tolist()",
    "torch.ones(2, dtype=torch.complex64).exponential_()",
]


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers_that_a_type_cannot_hold_are_treated_as_in_pytorch(text):
    assert outcome(jt, text) == outcome(torch, text)
