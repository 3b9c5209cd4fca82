"""Functions of `jtoolbox.masked` agree with PyTorch's `torch.masked`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox
from jtoolbox import masked
from tests.ops.cases import BFLOAT16, bools, floats, integers
from tests.reference import compare, same_error

A = floats(3, 4)
MASK = bools(3, 4, seed=3)
MASK[1], MASK[0, :2] = False, True
ROWS = ["amax", "amin", "logsumexp", "mean", "prod", "sum"]
LINES = ["cumprod", "cumsum", "log_softmax", "softmax", "softmin"]
COMPLEX = (A + 1j * floats(3, 4, seed=1)).astype(np.complex64)


def pair(name, *args, **kwargs):
    """Ours and PyTorch's function of (input, mask) with the same other arguments."""
    ours, theirs = getattr(masked, name), getattr(torch.masked, name)
    return (
        lambda x, m: ours(x, *args, mask=m, **kwargs),
        lambda x, m: theirs(x, *args, mask=m, **kwargs),
    )


@pytest.mark.parametrize("name", ROWS)
def test_reductions_leave_out_what_the_mask_does(name):
    compare(*pair(name, 1), A, MASK)
    compare(*pair(name, keepdim=True), A, MASK[:1], grad=False)


@pytest.mark.parametrize("name", LINES)
def test_results_along_a_dimension_leave_out_what_the_mask_does(name):
    # A row of nothing has NaN gradients in a softmax, here as there.
    compare(*pair(name, 1), A.astype(BFLOAT16), MASK, grad=False)
    compare(*pair(name, 0), A, MASK | (MASK.sum(0) == 0))


@pytest.mark.parametrize("name", ["amax", "amin", "argmax", "argmin", "logsumexp", "prod", "sum"])
def test_integers_count_as_their_types_limits(name):
    compare(*pair(name, 1), integers(3, 4), MASK, grad=False)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places_are_numbers_of_the_inputs_type(name):
    compare(*pair(name, keepdim=True), A, MASK, grad=False)


@pytest.mark.parametrize("name", ["var", "std"])
def test_variance_of_what_the_mask_keeps(name):
    full = MASK | (np.arange(4) < 2)
    compare(*pair(name, 1), A, full)
    compare(*pair(name, 1, False), A, MASK, grad=False)
    compare(*pair(name, None, correction=2, keepdim=True), A, MASK, grad=False)
    compare(*pair(name, 1), integers(3, 4), MASK, grad=False)
    compare(*pair(name, 1), COMPLEX, full, grad=False)
    compare(*pair(name, 1), A.astype(BFLOAT16), None, grad=False)


@pytest.mark.parametrize("ord", [2.0, 1.0, 3.0, np.inf, -np.inf, 0.0])
def test_norm_and_normalize(ord):
    compare(*pair("norm", ord, 1), A, MASK, grad=ord not in (0, -np.inf))
    if ord in (1, 2):
        compare(*pair("normalize", ord, 1), A, MASK)
        compare(*pair("norm", ord), COMPLEX, MASK, grad=False)


def test_median_of_what_the_mask_keeps():
    compare(*pair("median", 1), A, MASK)
    compare(*pair("median", 0, keepdim=True), A, MASK[:1], grad=False)
    full = MASK | (np.arange(4) < 2)
    ours, theirs = pair("median", 1)
    x = jtoolbox.tensor(integers(3, 4))
    expected = theirs(torch.tensor(integers(3, 4)), torch.tensor(full))
    np.testing.assert_array_equal(ours(x, jtoolbox.tensor(full)).numpy(), expected.numpy())


def test_logaddexp_has_two_masks():
    other = floats(3, 4, seed=5)
    compare(
        lambda x, y, m: masked.logaddexp(x, y, input_mask=m, other_mask=m[:1]),
        lambda x, y, m: torch.masked.logaddexp(x, y, input_mask=m, other_mask=m[:1]),
        A, other, MASK, grad=False,
    )  # fmt: skip


def test_dtype_is_the_inputs_before_the_operation():
    for name in ("sum", "amax", "mean"):
        ours = getattr(masked, name)(jtoolbox.tensor(A), 1, dtype=jtoolbox.float64, mask=None)
        theirs = getattr(torch.masked, name)(torch.tensor(A), 1, dtype=torch.float64)
        assert ours.dtype == jtoolbox.float64
        np.testing.assert_allclose(ours.numpy(), theirs.numpy())


def test_what_is_left_out_may_be_nan_and_has_no_gradient():
    x = np.where(MASK, A, np.nan).astype(np.float32)
    for name in ("sum", "mean", "amax", "logsumexp"):
        compare(*pair(name, 1), x[:1], MASK[:1])
    grad = jax.grad(lambda v: masked.var(v, 1, mask=MASK[:1]).sum())(jnp.asarray(x[:1]))
    assert np.isfinite(np.asarray(grad)).all()


def test_masks_that_do_not_fit_raise():
    wide = np.ones((2, 3, 4), bool)
    same_error(*pair("sum"), A, wide, match="mask dimensionality higher")
    same_error(*pair("sum"), A, np.ones(3, bool), match="must match the existing size")
    same_error(*pair("sum", 5), A, MASK, match="Dimension out of range")


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("amax", "identity of amax"),
        ("cumsum", "cumsum_out_cpu"),
        ("mean", "Could not infer output dtype"),
        ("var", "Subtraction"),
    ],
)
def test_bools_raise_where_pytorch_does(name, match):
    same_error(*pair(name, 1), MASK, MASK, match=match)


def test_settings_that_exclude_each_other_raise():
    same_error(*pair("var", 1, True, correction=0), A, MASK, match="Only one of unbiased")
    same_error(*pair("amax", 1), COMPLEX, MASK, match="order")
    same_error(*pair("median", 1), integers(3, 4), MASK, match="no fully masked out rows")
