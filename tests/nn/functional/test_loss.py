"""Losses of regression, decisions and distributions against PyTorch."""

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


def normal(*shape, dtype=np.float32):
    return RNG.standard_normal(shape).astype(dtype)


def uniform(*shape, low=0.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def signs(*shape):
    return RNG.choice([-1, 1], shape).astype(np.float32)


X, Y = normal(4, 3), normal(4, 3)
X[0] = Y[0]  # differences of exactly 0
X[1] = Y[1] + np.array([1, -1, 0.5], np.float32)  # and at the kinks
POSITIVE = np.array([[0, 1, 2], [0.5, 3, 7], [1, 1, 0], [4, 0.2, 9]], np.float32)
P = uniform(4, 3)

CASES = [
    ("mse_loss", (X, Y), {}),
    ("l1_loss", (X, Y), {}),
    ("smooth_l1_loss", (X, Y), {}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.5}),
    ("smooth_l1_loss", (X, Y), {"beta": 0.0}),
    ("huber_loss", (X, Y), {}),
    ("huber_loss", (X, Y), {"delta": 0.5}),
    ("binary_cross_entropy", (P, uniform(4, 3)), {}),
    ("binary_cross_entropy_with_logits", (X * 5, P), {}),
    ("multilabel_soft_margin_loss", (X, P.round()), {}),
    ("multilabel_soft_margin_loss", (X, P.round(), uniform(4, 3)), {}),
    ("multilabel_soft_margin_loss", (X[0], P[0].round(), uniform(3)), {}),
    ("kl_div", (X, P), {"log_target": False}),
    ("kl_div", (X, np.log(P)), {"log_target": True}),
    ("poisson_nll_loss", (X, POSITIVE), {}),
    ("poisson_nll_loss", (X, POSITIVE + 0.5), {"full": True}),
    ("poisson_nll_loss", (P, POSITIVE), {"log_input": False, "eps": 1e-3}),
    ("gaussian_nll_loss", (X, Y, P), {}),
    ("gaussian_nll_loss", (X, Y, P), {"full": True, "eps": 0.5}),
    ("gaussian_nll_loss", (X, Y, uniform(4)), {}),
    ("gaussian_nll_loss", (X, Y, uniform(4, 1)), {}),
    ("gaussian_nll_loss", (X, Y, uniform(1, 3)), {}),
    ("gaussian_nll_loss", (X, Y), {"var": 0.3}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "inputs", "settings"), CASES, ids=IDS)
def test_each_loss_and_its_gradients(name, inputs, settings):
    compare(getattr(F, name), getattr(TF, name), *inputs, reduction="none", **settings)


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_mean_and_sum(name):
    inputs, settings = next((i, s) for n, i, s in CASES if n == name)
    for reduction in ("mean", "sum"):
        compare(getattr(F, name), getattr(TF, name), *inputs, reduction=reduction, **settings)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "huber_loss"])
def test_weights_of_each_element(name, reduction):
    ours, theirs = (
        lambda x, y, w, lib=lib: getattr(lib, name)(x, y, weight=w, reduction=reduction)
        for lib in (F, TF)
    )
    compare(ours, theirs, X, Y, uniform(4, 3))
    same_error(ours, theirs, X, Y, uniform(3), match="Weights and input must have the same size")


def with_constants(name, *constants, **settings):
    """Both functions with arrays that PyTorch gives no gradient, as further arguments."""
    theirs = [torch.tensor(c) for c in constants]
    settings_of_theirs = {
        k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in settings.items()
    }
    return (
        lambda *x: getattr(F, name)(*x, *constants, **settings),
        lambda *x: getattr(TF, name)(*x, *theirs, **settings_of_theirs),
    )


@pytest.mark.parametrize(("shape", "reduction"), [((4, 3), "mean"), ((3,), "none"), ((1,), "sum")])
def test_weights_of_binary_decisions(shape, reduction):
    weight = uniform(*shape, high=4)
    for name, x in (("binary_cross_entropy", P), ("binary_cross_entropy_with_logits", X)):
        compare(*with_constants(name, weight=weight, reduction=reduction), x, uniform(4, 3))
    name = "binary_cross_entropy_with_logits"
    compare(*with_constants(name, pos_weight=weight, reduction=reduction), X, uniform(4, 3))


def test_soft_margins():
    compare(*with_constants("soft_margin_loss", signs(4, 3)), X * 5)


def test_the_full_poisson_loss_has_no_stirling_term_up_to_one():
    compare(*with_constants("poisson_nll_loss", POSITIVE, full=True, reduction="none"), X)


@pytest.mark.parametrize("name", ["mse_loss", "smooth_l1_loss", "l1_loss", "huber_loss"])
def test_other_types_and_promotion(name):
    f, g = getattr(F, name), getattr(TF, name)
    compare(f, g, X.astype(np.float64), Y.astype(np.float64))
    compare(f, g, X.astype(ml_dtypes.bfloat16), Y.astype(ml_dtypes.bfloat16), grad=False)
    compare(f, g, X, RNG.integers(0, 3, (4, 3)), grad=False)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_shapes_that_broadcast_warn_and_those_that_do_not_raise(name):
    f = getattr(F, name)
    with pytest.warns(
        UserWarning, match=r"target size \(torch.Size\(\[4\]\)\).*different"
    ) as caught:
        found = f(jnp.ones((4, 1), jnp.float32), jnp.zeros(4, jnp.float32), reduction="none")
    assert found.shape == (4, 4)
    assert caught[0].filename == __file__
    with pytest.raises(RuntimeError, match=r"size of tensor a \(2\) must match"):
        f(jnp.ones((4, 2), jnp.float32), jnp.zeros((4, 3), jnp.float32))


def test_extreme_probabilities_have_clamped_losses_and_finite_gradients():
    x = np.array([0, 1, 0, 1, 1e-30, 0.5], np.float32)
    t = np.array([0, 1, 1, 0, 1, 0.5], np.float32)
    ours, theirs = (
        functools.partial(f.binary_cross_entropy, target=v, reduction="none")
        for f, v in ((F, t), (TF, torch.tensor(t)))
    )
    compare(ours, theirs, x)


def test_extreme_scores_have_finite_losses():
    x = np.array([0, 100, -100, 1e4, -1e4], np.float32)
    for t in (0.0, 1.0, 0.5):
        compare(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, x,
                np.full(5, t, np.float32), reduction="none")  # fmt: skip
    compare(*with_constants("soft_margin_loss", np.ones(3, np.float32)), x[:3] / 2)
    # PyTorch's loss is infinite here.
    assert F.soft_margin_loss(jnp.float32(-1000), jnp.float32(1)) == 1000


def test_binary_cross_entropy_refuses_what_is_no_probability():
    error = functools.partial(same_error, F.binary_cross_entropy, TF.binary_cross_entropy)
    x, t = np.array([0.5, 1.5], np.float32), np.array([0, 1], np.float32)
    error(x, t, match="all elements of input should be between 0 and 1.*1.5.*with_logits")
    error(t, x, match="all elements of target should be between 0 and 1")
    error(np.array([0.5, np.nan], np.float32), t, match="all elements of input")
    error(P, P[0], match="Using a target size .* is deprecated")
    error(P, P.round().astype(int), match="Found dtype Long but expected Float")
    error(P, P.astype(float), match="Found dtype Double but expected Float")


@pytest.mark.parametrize("x", [1.5, -0.5])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_where_values_cannot_be_seen_no_probability_gives_nan(x, t):
    loss = jax.jit(F.binary_cross_entropy)(jnp.float32(x), jnp.float32(t))
    assert np.isnan(loss)


def test_errors_of_shapes_types_and_settings():
    same_error(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, P[:, :1],
               P[:, 0], match="must be the same as input size.*unsqueeze")  # fmt: skip
    same_error(F.binary_cross_entropy_with_logits, TF.binary_cross_entropy_with_logits, P,
               P.astype(int), match="can't be cast to the desired output type Long")  # fmt: skip
    same_error(F.smooth_l1_loss, TF.smooth_l1_loss, X, Y, beta=-1.0, match="negative values")
    same_error(F.huber_loss, TF.huber_loss, X, Y, delta=0.0, match="non-positive values")
    whole = np.ones(3, int)
    same_error(F.mse_loss, TF.mse_loss, whole, whole, match="not implemented for 'Long'")
    same_error(F.l1_loss, TF.l1_loss, whole, whole, match="Got: Long")
    for name in ("mse_loss", "l1_loss", "poisson_nll_loss", "soft_margin_loss"):
        same_error(getattr(F, name), getattr(TF, name), X, Y, reduction="avg",
                   match="avg is not a valid value for reduction")  # fmt: skip


def test_the_variance_of_a_gaussian_must_fit_and_be_positive():
    error = functools.partial(same_error, F.gaussian_nll_loss, TF.gaussian_nll_loss, X, Y)
    error(-P, match="negative entry")
    error(var=-1.0, match="negative entry")
    error(uniform(3), match="var is of incorrect size")
    error(uniform(1, 1), match="var is of incorrect size")
    error(P, reduction="avg", match="avg is not valid")
    loss = jax.jit(F.gaussian_nll_loss)(X, Y, -P)
    assert np.isnan(loss)


def test_a_weight_of_more_dimensions_is_summed_over_the_inputs_last_as_in_pytorch():
    loss, theirs = F.multilabel_soft_margin_loss, TF.multilabel_soft_margin_loss
    weight = uniform(5, *X.shape)
    compare(lambda x: loss(x, Y, weight, reduction="none"),
            lambda x: theirs(x, torch.tensor(Y), torch.tensor(weight), reduction="none"),
            X)  # fmt: skip


def test_poisson_loss_takes_counts():
    counts = np.array([1, 2, 3])
    compare(F.poisson_nll_loss, TF.poisson_nll_loss, counts, counts + 1, full=True)
    compare(F.poisson_nll_loss, TF.poisson_nll_loss, counts, counts + 1, log_input=False)


def test_integers_give_float32_where_pytorch_takes_them():
    x, y = np.array([[3, 1, 2], [0, 2, 5]]), np.array([[1, 1, 4], [2, 2, 1]])
    compare(F.pairwise_distance, TF.pairwise_distance, x, y)
    compare(F.cosine_embedding_loss, TF.cosine_embedding_loss, x, y, np.array([1, -1]), margin=0.5)
    compare(F.margin_ranking_loss, TF.margin_ranking_loss, x, y, y * 0 + 1, margin=0.5)
    compare(F.local_response_norm, TF.local_response_norm, x[..., None] + y[:, None], size=2)


def test_kl_div_by_batch_and_its_warning_about_the_mean():
    compare(F.kl_div, TF.kl_div, X, P, reduction="batchmean")
    compare(F.kl_div, TF.kl_div, X[0, :1].reshape(()), P[0, :1].reshape(()), reduction="sum")
    with pytest.warns(UserWarning, match="'mean' divides the total loss"):
        F.kl_div(jnp.array(X), jnp.array(P))
    same_error(F.kl_div, TF.kl_div, X, P, reduction="avg", match="not a valid value")


def test_kl_div_of_a_target_of_zero_is_zero():
    compare(lambda x: F.kl_div(x, np.zeros_like(X), reduction="sum"),
            lambda x: TF.kl_div(x, torch.zeros(4, 3), reduction="sum"), X)  # fmt: skip


OLD = [({"size_average": False}, "sum"), ({"reduce": False}, "none"), ({"reduce": True}, "mean")]


@pytest.mark.parametrize(("old", "new"), OLD)
@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "soft_margin_loss"])
def test_the_old_arguments_still_work_and_warn(name, old, new):
    f = getattr(F, name)
    with pytest.warns(UserWarning, match=f"please use reduction='{new}'"):
        found = f(jnp.array(X), jnp.array(Y), **old)
    np.testing.assert_array_equal(found, f(jnp.array(X), jnp.array(Y), reduction=new))


def test_losses_of_pending_tensors_are_recorded():
    x = jt.tensor(X).requires_grad_()
    loss = F.binary_cross_entropy(F.sigmoid(x), jt.tensor(P)) + F.mse_loss(x, jt.tensor(Y))
    loss.backward()
    t = torch.tensor(X, requires_grad=True)
    their = TF.binary_cross_entropy(t.sigmoid(), torch.tensor(P)) + TF.mse_loss(t, torch.tensor(Y))
    their.backward()
    np.testing.assert_allclose(x.grad.numpy(), t.grad, rtol=1e-4, atol=1e-6)
