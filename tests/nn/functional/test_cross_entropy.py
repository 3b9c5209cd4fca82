"""Cross entropy and negative log-likelihood against PyTorch, in every form they take."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.reference import compare, same_error

RNG = np.random.default_rng(0)
REDUCTIONS = ["none", "mean", "sum"]
# Scores, labels: unbatched, plain, and with one to three more dimensions.
SHAPES = [((5,), ()), ((5,), (1,)), ((4, 5), (4,)), ((3, 5, 2), (3, 2)), ((2, 5, 3, 2), (2, 3, 2)),
          ((2, 5, 2, 3, 2), (2, 2, 3, 2))]  # fmt: skip
WEIGHT = np.array([0.5, 1, 2, 0, 3], np.float32)


def normal(*shape, dtype=np.float32):
    return (RNG.standard_normal(shape) * 3).astype(dtype)


def labels(shape, classes=5):
    return np.asarray(RNG.integers(0, classes, shape))


def check(name, x, t, weight=None, **settings):
    """Compares with the class weights as constants: PyTorch has no gradient for them."""
    tolerance = {k: settings.pop(k) for k in ("rtol", "atol", "grad") if k in settings}
    as_torch = None if weight is None else torch.tensor(weight)
    compare(
        functools.partial(getattr(F, name), weight=weight, **settings),
        functools.partial(getattr(TF, name), weight=as_torch, **settings),
        x, t, **tolerance,
    )  # fmt: skip


@pytest.mark.parametrize(("scores", "targets"), SHAPES)
def test_class_indices_of_any_shape(scores, targets):
    x, t = normal(*scores), labels(targets)
    # PyTorch's backward refuses the (1,) that its forward takes.
    grad = targets != (1,)
    for name in ("cross_entropy", "nll_loss"):
        check(name, x, t, grad=grad)
        check(name, x, t, WEIGHT + 1, reduction="none", grad=grad)


# Reduction, weights, ignored label, smoothing: every pair of settings occurs.
SETTINGS = [
    ("mean", WEIGHT, 2, 0.1),
    ("mean", None, 2, 0.0),
    ("mean", WEIGHT, -100, 0.0),
    ("mean", None, -100, 0.1),
    ("sum", WEIGHT, 2, 1.0),
    ("sum", None, -100, 0.1),
    ("none", WEIGHT, -100, 0.1),
    ("none", None, 2, 1.0),
]


@pytest.mark.parametrize(("reduction", "weight", "ignored", "smoothing"), SETTINGS)
def test_weights_ignored_labels_and_smoothing_together(reduction, weight, ignored, smoothing):
    settings = {"reduction": reduction, "ignore_index": ignored}
    x, t = normal(6, 5), np.array([0, 2, 1, 2, 4, 1])
    if ignored == -100:
        t[1] = -100
    check("cross_entropy", x, t, weight, label_smoothing=smoothing, **settings)
    check("nll_loss", x, t, weight, **settings)
    x, t = normal(2, 5, 3), t.reshape(2, 3)
    check("cross_entropy", x, t, weight, label_smoothing=smoothing, **settings)


PROBABLE = [("mean", None, 0.0), ("mean", WEIGHT, 0.2), ("none", WEIGHT, 0.0), ("sum", None, 0.2)]


@pytest.mark.parametrize(("reduction", "weight", "smoothing"), PROBABLE)
@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 5, 2)])
def test_class_probabilities_with_gradients_for_both(shape, reduction, weight, smoothing):
    t = np.exp(normal(*shape))
    t = t / t.sum(1 if t.ndim > 1 else 0, keepdims=True)
    settings = {"label_smoothing": smoothing, "reduction": reduction}
    check("cross_entropy", normal(*shape), t, weight, **settings)


@pytest.mark.parametrize("dtype", [np.float64, np.float16, ml_dtypes.bfloat16])
def test_other_types_of_scores(dtype):
    x = normal(4, 5).astype(dtype)
    check("cross_entropy", x, labels(4), grad=dtype is np.float64)
    check("cross_entropy", x, labels(4), label_smoothing=0.1, grad=dtype is np.float64)


def test_labels_of_one_byte_are_taken_too():
    check("cross_entropy", normal(4, 5), labels(4).astype(np.uint8))


def test_all_ignored_is_nan_for_the_mean_and_zero_for_the_sum():
    t = np.full(4, -100)
    check("cross_entropy", normal(4, 5), t, reduction="mean", grad=False)
    check("cross_entropy", normal(4, 5), t, reduction="sum")


def test_an_empty_batch_is_nan_for_the_mean_and_zero_for_the_sum():
    for reduction in REDUCTIONS:
        check("cross_entropy", normal(0, 5), labels(0), reduction=reduction)


def test_large_scores_neither_overflow_nor_lose_digits():
    x = np.array([[1e4, 1e4 + 2, 0], [-1e4, -1e4, -1e4], [3e38, 0, 0]], np.float32)
    check("cross_entropy", x, np.array([0, 1, 1]), reduction="none")
    check("cross_entropy", x, np.array([1, 2, 0]), reduction="none")


def test_a_class_of_score_minus_infinity_has_no_effect_and_no_nan():
    x = np.array([[1, -np.inf, 2], [0, 1, -np.inf]], np.float32)
    check("cross_entropy", x, np.array([0, 1]), reduction="none")
    check("nll_loss", x, np.array([0, 1]), reduction="none")


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_a_label_that_names_no_class_raises_index_error(name):
    error = functools.partial(same_error, getattr(F, name), getattr(TF, name), normal(3, 5))
    error(np.array([0, 5, 1]), match="Target 5 is out of bounds.*5 classes.*0 to 4")
    error(np.array([0, -1, 1]), match="Target -1 is out of bounds")
    error(np.array([0, -100, 7]), match="Target 7 is out of bounds")
    error(np.array([0, 2, -100]), ignore_index=2, match="Target -100 is out of bounds")
    error(np.array([0, 255, 1], np.uint8), match="Target 255 is out of bounds")
    error(np.array([0, 2**33, 1]), match=f"Target {2**33} is out of bounds")


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("label", [5, -1, -6, 2**33, -(2**33), 2**32])
def test_where_labels_cannot_be_seen_a_wrong_one_gives_nan(label, reduction):
    with jax.enable_x64(True):
        x, t = jnp.array(normal(3, 5)), jnp.array([0, label, 1])
        for f in (F.cross_entropy, F.nll_loss):
            loss = np.asarray(jax.jit(lambda x, t, f=f: f(x, t, reduction=reduction))(x, t))
            assert np.isnan(loss.flat[1] if reduction == "none" else loss)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_labels_of_a_wrong_type_or_shape_raise_pytorchs_errors(name):
    error = functools.partial(same_error, getattr(F, name), getattr(TF, name))
    x = normal(3, 5)
    for dtype, word in ((np.int32, "Int"), (np.int16, "Short"), (bool, "Bool"),
                        (np.float32, "Float")):  # fmt: skip
        error(x, np.array([0, 1, 1]).astype(dtype), match=rf"Long or Byte, but got {word}.*\.long")
    error(x, labels(2), match=r"batch_size \(3\) to match target batch_size \(2\)")
    error(x, labels((3, 1)), match="multi-target not supported.*squeeze")
    error(normal(5), labels(2), match="1D target must have size 1")
    error(normal(2, 5, 4), labels((2, 3)), match=r"Expected target size \[2, 4\], got \[2, 3\]")
    error(normal(2, 5, 4), labels(2), match=r"Expected target size \[2, 4\], got \[2\]")
    error(normal(2, 5, 4, 4), labels((2, 4)), match="3D tensors.*dimension: 2")
    error(normal(2, 5, 4, 4), labels((2, 4, 3)), match="size mismatch")
    error(x, labels(3), weight=None, reduction="avg", match="avg is not a valid value")


def test_class_weights_must_fit():
    wrong = [
        (np.ones(4, np.float32), "all 5 classes or no classes"),
        (np.ones(5), "expected scalar type Float but found Double"),
    ]
    for name in ("cross_entropy", "nll_loss"):
        ours, theirs = getattr(F, name), getattr(TF, name)
        for weight, match in wrong:
            same_error(ours, theirs, normal(3, 5), labels(3), weight, match=match)


def test_probabilities_exclude_what_they_exclude_in_pytorch():
    error = functools.partial(same_error, F.cross_entropy, TF.cross_entropy, normal(3, 5))
    error(np.ones((3, 5), int), match="Expected floating point type.*argmax")
    error(normal(3, 5), ignore_index=1, match="ignore_index is not supported")
    error(labels(3), label_smoothing=1.5, match="between 0.0 and 1.0. Got: 1.5")
    same_error(F.cross_entropy, TF.cross_entropy, np.ones((3, 5), int), labels(3), match="'Long'")


def test_the_old_arguments_still_work_and_warn():
    x, t = normal(3, 5), labels(3)
    for old, new in (({"size_average": False}, "sum"), ({"reduce": False}, "none"),
                     ({"size_average": True}, "mean")):  # fmt: skip
        with pytest.warns(UserWarning, match=f"please use reduction='{new}'"):
            found = F.cross_entropy(jnp.array(x), jnp.array(t), **old)
        expected = F.cross_entropy(jnp.array(x), jnp.array(t), reduction=new)
        np.testing.assert_array_equal(found, expected)


def test_second_derivatives_are_pytorchs():
    x, t = normal(3, 4, dtype=np.float64), labels(3, 4)
    expected = torch.autograd.functional.hessian(
        lambda v: TF.cross_entropy(v, torch.tensor(t)), torch.tensor(x)
    )
    with jax.enable_x64(True):
        target = jnp.array(t)
        found = jax.hessian(lambda v: F.cross_entropy(v, target))(jnp.array(x))
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9)


def test_under_vmap_each_sample_has_its_own_loss():
    x, t = jnp.array(normal(4, 5)), jnp.array(labels(4))
    found = jax.vmap(F.cross_entropy)(x, t)
    np.testing.assert_allclose(found, F.cross_entropy(x, t, reduction="none"), rtol=1e-6)


def test_plain_jax_without_x64_takes_its_int32_labels():
    x, t = jnp.array(normal(4, 5)), jnp.array(labels(4))
    assert t.dtype == np.int32
    expected = TF.cross_entropy(torch.tensor(np.array(x)), torch.tensor(np.array(t)).long())
    np.testing.assert_allclose(jax.jit(F.cross_entropy)(x, t), expected, rtol=1e-6)


def test_the_loss_of_tensors_is_what_training_loops_expect():
    x = jt.tensor(normal(4, 5)).requires_grad_()
    loss = F.cross_entropy(x, jt.tensor(labels(4)))
    loss.backward()
    assert loss.shape == ()
    assert x.grad.shape == (4, 5)
