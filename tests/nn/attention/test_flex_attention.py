"""Attention with a user's functions: PyTorch's values, the formula's gradients, all ways of use."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.nn.attention import flex_attention as theirs

import jtoolbox as jt
from jtoolbox.nn.attention import flex_attention as ours
from tests.nn.twins import normal
from tests.reference import assert_same, compare

Q, K, V = normal(2, 4, 5, 8), normal(2, 4, 7, 8), normal(2, 4, 7, 3)
FEW_K, FEW_V = normal(2, 2, 7, 8), normal(2, 2, 7, 3)
pytestmark = pytest.mark.filterwarnings(
    "ignore::UserWarning:torch", "ignore:.*torch.compile", "ignore:return_lse is deprecated"
)


def later(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx + 2


def near(b, h, q_idx, kv_idx):
    return (q_idx - kv_idx).abs() <= h + 1


def slope(score, b, h, q_idx, kv_idx):
    return score * 2 + (h + 1) * (kv_idx - q_idx)


def call(lib, module, mask=None, q=Q, k=K, v=V, **settings):
    block_mask = None if mask is None else module.create_block_mask(mask, None, 4, 5, 7, "cpu")
    return module.flex_attention(*map(lib.tensor, (q, k, v)), block_mask=block_mask, **settings)


def test_the_module_has_pytorchs_names():
    assert set(theirs.__all__) == set(ours.__all__)


@pytest.mark.parametrize(
    "settings",
    [
        {"return_lse": True},
        {"score_mod": slope, "mask": near, "scale": 0.3},
        {"mask": later, "k": FEW_K, "v": FEW_V, "enable_gqa": True, "return_lse": True},
    ],
    ids=["plain", "score and mask", "groups and rows without keys"],
)
def test_values_are_pytorchs(settings):
    assert_same(call(jt, ours, **settings), call(torch, theirs, **settings))


def test_the_halves_have_pytorchs_types():
    found = [
        module.flex_attention(*(lib.tensor(x).to(lib.bfloat16) for x in (Q, K, V)), return_lse=True)
        for lib, module in ((jt, ours), (torch, theirs))
    ]
    assert_same(*found)


def test_gradients_are_those_of_the_formula_also_for_held_tensors():
    rows = np.tri(5, 7, -2, dtype=bool)

    def flex(q, k, v, bias):
        mask = ours.create_block_mask(later, None, None, 5, 7)
        return ours.flex_attention(q, k, v, lambda s, b, h, i, j: s + bias[h, i, j], mask)

    def dense(q, k, v, bias):
        scores = (q @ k.mT / 8**0.5 + bias).masked_fill(~torch.from_numpy(rows), -1e30)
        return (scores.softmax(-1) * torch.from_numpy(rows)) @ v

    compare(flex, dense, Q, K, V, normal(4, 5, 7), rtol=1e-4, atol=1e-5)


def test_it_works_in_a_frozen_step_and_under_jax():
    documents = jt.tensor([0, 0, 1, 1, 1])

    def same_document(b, h, i, j):
        return documents[i] == documents[j]

    def attention(q):
        mask = ours.create_block_mask(same_document, 1, 1, 5, 5)
        return ours.flex_attention(q, q, q, slope, mask)

    expected = attention(jt.tensor(Q)).numpy()
    np.testing.assert_allclose(jt.jit(attention)(jt.tensor(Q)).numpy(), expected, rtol=1e-5)
    found = jax.jit(jax.vmap(lambda q: ours.flex_attention(q[None], q[None], q[None], slope)))(Q)
    plain = call(jt, ours, k=Q, v=Q, score_mod=slope)
    np.testing.assert_allclose(found[:, 0], plain.numpy(), rtol=1e-4, atol=1e-5)
    gradient = jax.grad(lambda q: jnp.sum(ours.flex_attention(q, q, q, slope)))(jnp.asarray(Q))
    q = jt.tensor(Q, requires_grad=True)
    ours.flex_attention(q, q, q, slope).sum().backward()
    np.testing.assert_allclose(gradient, q.grad.numpy(), rtol=1e-4, atol=1e-5)


def test_the_old_way_to_ask_for_the_normalizer_warns():
    with pytest.warns(FutureWarning, match=r"use return_aux=AuxRequest\(lse=True\) instead"):
        call(jt, ours, return_lse=True)


def test_aux_outputs_are_what_was_asked_for():
    y, aux = call(jt, ours, return_aux=ours.AuxRequest(lse=True, max_scores=True))
    scores = torch.tensor(Q) @ torch.tensor(K).mT / 8**0.5
    assert_same(aux.lse, scores.logsumexp(-1))
    assert_same(aux.max_scores, scores.amax(-1))
    assert call(jt, ours, return_aux=ours.AuxRequest())[1] == (None, None)
    assert y.shape == (2, 4, 5, 3)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"k": FEW_K, "v": FEW_V}, "Try setting enable_gqa=True"),
        ({"k": normal(2, 3, 7, 8), "v": V, "enable_gqa": True}, "a multiple of kv heads"),
        ({"k": K[:1], "v": V[:1]}, "the same batch size"),
        ({"k": K[..., :4]}, "the same embedding dimension"),
        ({"k": K[:, :, :3]}, "Expected size for first two dimensions"),
        ({"q": Q[0], "k": K[0], "v": V[0]}, "must be 4D tensors"),
        ({"k": K[:, :, :6], "v": V[:, :, :6], "mask": later}, "block_mask was created for"),
        ({"return_lse": True, "return_aux": 1}, "Cannot specify both"),
    ],
)
def test_what_does_not_fit_raises_pytorchs_error(settings, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        call(torch, theirs, **settings)
    with pytest.raises(type(expected.value), match=match):
        call(jt, ours, **settings)


def test_functions_that_cannot_be_mapped_are_refused():
    with pytest.raises(RuntimeError, match=r"Use jtoolbox\.where in the place of `if`"):
        call(jt, ours, score_mod=lambda s, b, h, i, j: s if i > j else -s)
    with pytest.raises(RuntimeError, match="must not draw random numbers"):
        call(jt, ours, score_mod=lambda s, b, h, i, j: s + jt.rand(()))
    held = jt.zeros(3)
    with pytest.raises(ValueError, match=r"one number for each score, .* shape \(3,\)"):
        call(jt, ours, score_mod=lambda s, b, h, i, j: s + held)
    with pytest.raises(TypeError, match="must return one Tensor, got tuple"):
        call(jt, ours, score_mod=lambda s, b, h, i, j: (s, s))
    with pytest.raises(RuntimeError, match="flex_attention needs floats, got Long"):
        ours.flex_attention(*[jt.ones(1, 1, 2, 2, dtype=jt.int64)] * 3)
