"""Scaled dot-product attention against PyTorch's: masks, groups, dropout, derivatives, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from jtoolbox.nn.functional.attention import attend, attention_weights
from tests.reference import compare, same_error

OURS, THEIRS = F.scaled_dot_product_attention, TF.scaled_dot_product_attention
INF = float("inf")


def normal(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def inputs(query=(2, 3, 4, 5), key=(2, 3, 6, 5), value=(2, 3, 6, 7)):
    return normal(*query), normal(*key), normal(*value)


KEEP = np.random.default_rng(1).random((4, 6)) < 0.6
KEEP[2] = False  # a query that no key is left to
FLOAT = np.where(KEEP, normal(4, 6), -INF).astype(np.float32)
CASES = [
    (inputs(), {}),
    (inputs((4, 5), (6, 5), (6, 7)), {"scale": 0.3}),
    (inputs((2, 1, 4, 5), (3, 6, 5), (1, 3, 6, 7)), {}),
    (inputs(), {"is_causal": True}),
    (inputs((2, 4, 3, 5), (2, 2, 6, 5), (2, 1, 6, 7)), {"enable_gqa": True, "is_causal": True}),
    (inputs((2, 4, 0), (2, 6, 0), (2, 6, 3)), {}),
    (inputs((2, 4, 5), (2, 0, 5), (2, 0, 3)), {}),
]


@pytest.mark.parametrize(("arrays", "settings"), CASES)
def test_attention_equals_pytorchs(arrays, settings):
    compare(OURS, THEIRS, *arrays, **settings)


@pytest.mark.parametrize("mask", [KEEP, KEEP[1:2], normal(2, 1, 4, 6)])
def test_masks_broadcast_and_float_masks_have_gradients(mask):
    compare(OURS, THEIRS, *inputs(), mask)


def test_a_query_that_no_key_is_left_to_gives_zero_and_no_nan_gradients():
    x = [jt.tensor(a).requires_grad_() for a in inputs()]
    y = F.scaled_dot_product_attention(*x, jt.tensor(FLOAT))
    y.sum().backward()
    assert not y.detach().numpy()[:, :, 2].any()
    assert all(np.isfinite(a.grad.numpy()).all() for a in x)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float64])
def test_other_types_keep_their_type(dtype):
    arrays = [normal(2, 4, 8, dtype=np.float64).astype(dtype) for _ in range(3)]
    compare(OURS, THEIRS, *arrays, rtol=2e-2, atol=1e-2)


def plain(q, k, v, mask):
    scores = jnp.where(mask, q @ jnp.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), -INF)
    return jax.nn.softmax(scores, -1) @ v


def test_derivatives_of_every_kind_are_those_of_the_plain_formula():
    q, k, v = (jnp.array(a) for a in inputs((2, 3, 4), (2, 3, 4), (2, 3, 4)))
    mask = jnp.tril(jnp.ones((3, 3), bool))
    tangent = tuple(jnp.sin(a) for a in (q, k, v))

    def results(attention):
        def loss(q, k, v):
            return jnp.sum(jnp.sin(attention(q, k, v, mask)))

        first = jax.grad(loss, (0, 1, 2))
        forward = jax.jvp(loss, (q, k, v), tangent)[1]
        return (
            first(q, k, v),
            forward,
            jax.jvp(first, (q, k, v), tangent)[1],
            jax.grad(lambda *x: sum(jnp.sum(g**2) for g in first(*x)), (0, 1, 2))(q, k, v),
        )

    for ours, theirs in zip(
        jax.tree.leaves(jax.jit(lambda: results(OURS))()),
        jax.tree.leaves(jax.jit(lambda: results(plain))()),
        strict=True,
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_second_derivative_by_backward_works():
    q, k, v = (jt.tensor(a).requires_grad_() for a in inputs())
    (first,) = jt.autograd.grad(OURS(q, k, v).sum(), [q], create_graph=True)
    (second,) = jt.autograd.grad((first**2).sum(), [q])
    assert np.isfinite(second.numpy()).all()
    assert second.numpy().any()


def test_vmap_adds_a_dimension():
    q, k, v = (jnp.array(a) for a in inputs())
    np.testing.assert_allclose(jax.vmap(OURS)(q, k, v), OURS(q, k, v), rtol=1e-5, atol=1e-6)


def test_dropout_drops_weights_and_keeps_the_mean():
    jt.manual_seed(0)
    q, k, v = jt.zeros(8, 200, 4), jt.zeros(8, 300, 4), jt.ones(8, 300, 1)
    y = OURS(q, k, v, dropout_p=0.4).numpy()
    assert abs(y.mean() - 1) < 0.01
    assert abs(y.std() - np.sqrt(0.4 / 0.6 / 300)) < 0.01
    assert (OURS(q, k, v, dropout_p=0.4).numpy() != y).any()
    jt.manual_seed(0)
    np.testing.assert_array_equal(OURS(q, k, v, dropout_p=0.4).numpy(), y)
    compare(OURS, THEIRS, *inputs(), dropout_p=1.0)


def test_the_gradient_has_the_mask_of_the_result():
    q, k = jt.zeros(1, 5, 4), jt.zeros(1, 6, 4)
    v = jt.ones(1, 6, 1).requires_grad_()
    y = OURS(q, k, v, dropout_p=0.5)
    y.sum().backward()
    np.testing.assert_allclose(v.grad.numpy().sum(), y.detach().numpy().sum(), rtol=1e-5)


def test_weights_and_their_means_are_the_parts_of_attention():
    q, k, v = (jt.tensor(a) for a in inputs())
    weights = attention_weights(q, k)
    np.testing.assert_allclose(weights.sum(-1).numpy(), 1, rtol=1e-5)
    np.testing.assert_allclose(attend(weights, v).numpy(), OURS(q, k, v).numpy(), rtol=1e-5)


Q, K, V = inputs((2, 4, 5), (2, 6, 5), (2, 6, 7))
ERRORS = [
    ((Q[0, 0], K, V), {}, "at least 2 dimensional, but got query.dim: 1"),
    ((Q, K[..., :3], V), {}, "same number of features"),
    ((Q, K, V[:, :3]), {}, "same number of positions"),
    ((Q, K.astype(np.float64), V), {}, "same dtype, but got query.dtype: Float key.dtype: Double"),
    ((Q.astype(int), K.astype(int), V.astype(int)), {}, "expected scalar type Float but found Lo"),
    ((Q, normal(3, 6, 5), normal(3, 6, 7)), {}, r"tensor a \(2\) must match .* tensor b \(3\)"),
    ((Q, K, V, KEEP), {"is_causal": True}, "should not be set when is_causal=True"),
    ((Q, K, V, KEEP.astype(int)), {}, "attn_mask dtype to be bool or float"),
    ((Q, K, V, KEEP[:, :3]), {}, r"tensor a \(6\) must match .* tensor b \(3\)"),
    ((Q, K, V, normal(3, 2, 4, 6)), {}, r"output with shape \[2, 4, 6\] doesn't match the"),
    ((Q, K, V), {"dropout_p": 1.5}, "between 0 and 1, but got 1.5"),
    ((Q[0], K[0], V[0]), {"enable_gqa": True}, "heads at dimension -3"),
    ((normal(4, 3, 5), normal(3, 6, 5), normal(3, 6, 7)), {"enable_gqa": True}, "must divide the"),
]


@pytest.mark.parametrize(("arrays", "settings", "match"), ERRORS)
def test_what_does_not_fit_raises_pytorchs_error(arrays, settings, match):
    same_error(OURS, THEIRS, *arrays, match=match, **settings)


def test_a_negative_probability_is_refused_too():
    with pytest.raises(RuntimeError, match=r"between 0 and 1, but got -0\.1"):
        OURS(jt.ones(2, 3), jt.ones(2, 3), jt.ones(2, 3), dropout_p=-0.1)
