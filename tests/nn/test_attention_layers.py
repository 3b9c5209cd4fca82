"""MultiheadAttention against PyTorch's: settings, masks, weights, start, errors."""

from __future__ import annotations

import jax
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.func import functional_call
from tests.nn.twins import build, normal, same_layer
from tests.reference import assert_same, same_error

QUERY, KEY, VALUE = normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4) + 1
LEFT_OUT = np.array([[False, False, True], [False, True, True]])
TRIANGLE = np.triu(np.ones((3, 3), bool), 1)
FLOAT = normal(3, 3)


@pytest.mark.parametrize(
    ("text", "arrays", "settings"),
    [
        ("MultiheadAttention(4, 2)", (QUERY, KEY, VALUE), {}),
        ("MultiheadAttention(4, 2, bias=False)", (QUERY, KEY, VALUE), {"need_weights": False}),
        (
            "MultiheadAttention(4, 2, kdim=3, vdim=5, add_bias_kv=True, add_zero_attn=True)",
            (QUERY, normal(5, 2, 3), normal(5, 2, 5)),
            {"average_attn_weights": False},
        ),
        (
            "MultiheadAttention(4, 2, batch_first=True)",
            (QUERY, normal(3, 6, 4), normal(3, 6, 4)),
            {},
        ),
        ("MultiheadAttention(4, 2, batch_first=True)", (normal(3, 4), KEY[:, 0], VALUE[:, 0]), {}),
    ],
)
def test_attention_is_pytorchs(text, arrays, settings):
    same_layer(text, *arrays, **settings)


def both(layer, arrays, **settings):
    """Results in PyTorch and here, of the same weights."""
    ours, theirs = build(layer)
    a = ours(*map(jt.tensor, arrays), **{k: _of(jt, v) for k, v in settings.items()})
    b = theirs(*map(torch.tensor, arrays), **{k: _of(torch, v) for k, v in settings.items()})
    return a, b


def _of(lib, value):
    return lib.tensor(value) if isinstance(value, np.ndarray) else value


MASKS = [
    {"key_padding_mask": LEFT_OUT},
    {"attn_mask": TRIANGLE, "key_padding_mask": LEFT_OUT, "need_weights": False},
    {"attn_mask": np.stack([TRIANGLE] * 4), "average_attn_weights": False},
    {"attn_mask": FLOAT, "key_padding_mask": FLOAT[:2], "need_weights": False},
    {"attn_mask": ~TRIANGLE & False, "is_causal": True, "need_weights": False},
    {"attn_mask": ~TRIANGLE & False, "is_causal": True},
    {"key_padding_mask": np.ones((2, 3), bool)},
    {"key_padding_mask": np.ones((2, 3), bool), "need_weights": False},
]


@pytest.mark.parametrize("settings", MASKS)
def test_masks_are_pytorchs(settings):
    assert_same(*both("MultiheadAttention(4, 2)", [QUERY] * 3, **settings), rtol=1e-4, atol=1e-5)


def test_added_keys_are_left_in_by_masks():
    text = "MultiheadAttention(4, 2, add_bias_kv=True, add_zero_attn=True)"
    settings = {"attn_mask": TRIANGLE, "key_padding_mask": LEFT_OUT}
    assert_same(*both(text, [QUERY] * 3, **settings), rtol=1e-4, atol=1e-5)


def test_unbatched_inputs_take_unbatched_masks():
    settings = {"attn_mask": np.stack([TRIANGLE] * 2), "key_padding_mask": LEFT_OUT[0]}
    assert_same(*both("MultiheadAttention(4, 2)", [QUERY[:, 0]] * 3, **settings), atol=1e-5)


def test_masks_of_two_types_warn_and_are_added():
    with pytest.warns(UserWarning, match="Use same type for both"):
        x, y = both("MultiheadAttention(4, 2)", [QUERY] * 3, attn_mask=FLOAT,
                    key_padding_mask=LEFT_OUT)  # fmt: skip
    assert_same(x, y, rtol=1e-4, atol=1e-5)


def forward(lib):
    """`multi_head_attention_forward` with weights of 0.1, on given static keys and values."""

    def call(x, static, bias=None, heads=2, embed=4, packed=True, separate=False):
        f = lib.nn.functional.multi_head_attention_forward
        w = x.new_ones((12, 4)) * 0.1 if hasattr(x, "new_ones") else np.full((12, 4), 0.1, "f4")
        return f(
            *(x, x, x, embed, heads, w if packed else None, None, bias, bias, False, 0.0, w[:4]),
            None,
            static_k=static,
            static_v=static,
            use_separate_proj_weight=separate,
        )

    return call


def test_static_keys_and_values_replace_the_projected():
    static = normal(4, 5, 2)
    ours = forward(jt)(jt.tensor(QUERY), jt.tensor(static))
    theirs = forward(torch)(torch.tensor(QUERY), torch.tensor(static))
    assert_same(ours, theirs, atol=1e-5)
    arrays = forward(jt)(QUERY, static)
    assert_same(arrays, theirs, atol=1e-5)


def test_dropout_acts_on_the_weights_in_training_alone():
    layer = jt.nn.MultiheadAttention(4, 2, dropout=0.5)
    x = jt.tensor(QUERY)
    y, weights = layer(x, x, x)
    assert (y.detach().numpy() != layer(x, x, x)[0].detach().numpy()).any()
    assert abs(weights.detach().numpy().sum(-1) - 1).max() > 0.01
    layer.eval()
    np.testing.assert_allclose(layer(x, x, x)[1].detach().numpy().sum(-1), 1, rtol=1e-5)


def test_the_layer_is_a_pure_function_of_its_parameters():
    layer = jt.nn.MultiheadAttention(4, 2, batch_first=True)
    params = jt.tree(layer)

    def loss(params, x):
        return functional_call(layer, params, (x, x, x))[0].sum()

    x = jax.numpy.array(QUERY)
    grads = jax.jit(jax.grad(loss))(params, x)
    layer(*[jt.tensor(QUERY)] * 3)[0].sum().backward()
    np.testing.assert_allclose(
        grads["in_proj_weight"], layer.in_proj_weight.grad.numpy(), rtol=1e-4, atol=1e-5
    )


def test_projections_start_as_in_pytorch():
    layer = jt.nn.MultiheadAttention(64, 4, add_bias_kv=True)
    weight = layer.in_proj_weight.detach().numpy()
    bound = np.sqrt(6 / (64 + 192))
    assert 0.95 * bound < np.abs(weight).max() <= bound
    assert not layer.in_proj_bias.detach().numpy().any()
    assert not layer.out_proj.bias.detach().numpy().any()
    assert layer.bias_k.detach().numpy().any()


def test_wrong_settings_raise_pytorchs_error():
    for lib in (jt, torch):
        with pytest.raises(AssertionError, match="embed_dim must be divisible by num_heads"):
            lib.nn.MultiheadAttention(5, 2)
        with pytest.raises(ValueError, match="must be greater than 0, got embed_dim=0"):
            lib.nn.MultiheadAttention(0, 2)


Q = QUERY
ERRORS = [
    ((Q[None], Q, Q), {}, "received 4-D query tensor"),
    ((Q, Q[0], Q), {}, r"For batched \(3-D\) `query`.* found 2-D and 3-D"),
    ((Q[0], Q, Q), {}, r"For unbatched \(2-D\) `query`.* found 3-D and 3-D"),
    ((normal(3, 2, 5),) * 3, {}, "embedding dimension of 4, but got 5"),
    ((Q, normal(5, 2, 4), normal(6, 2, 4)), {}, "does not match value shape"),
    ((Q, normal(5, 3, 4), normal(5, 3, 4)), {}, "must have the same batch size"),
    ((Q, Q, Q), {"key_padding_mask": np.zeros((2, 4), bool)}, r"shape\[1\] to be 3, but got 4"),
    ((Q, Q, Q), {"key_padding_mask": np.zeros(3, bool)}, "`None` or 2-D but found 1-D"),
    ((Q, Q, Q), {"key_padding_mask": np.zeros((2, 3), int)}, "only bool and floating types"),
    ((Q, Q, Q), {"attn_mask": np.zeros((4, 3), bool)}, r"but should be \(3, 3\)"),
    ((Q, Q, Q), {"attn_mask": np.zeros((2, 3, 3), bool)}, r"but should be \(4, 3, 3\)"),
    ((Q, Q, Q), {"attn_mask": np.zeros(3, bool)}, "2-D or 3-D but found 1-D"),
    ((Q[0], Q[0], Q[0]), {"attn_mask": np.zeros((1, 2, 2), bool)}, r"to be \(2, 2, 2\)"),
    ((Q, Q, Q), {"is_causal": True}, "Need attn_mask if specifying the is_causal hint"),
]


@pytest.mark.parametrize(("arrays", "settings", "match"), ERRORS)
def test_inputs_that_do_not_fit_raise_pytorchs_error(arrays, settings, match):
    expected = None
    for lib in (torch, jt):
        layer = lib.nn.MultiheadAttention(4, 2)
        given = {k: _of(lib, v) for k, v in settings.items()}
        with pytest.raises((AssertionError, RuntimeError)) as caught:
            layer(*map(lib.tensor, arrays), **given)
        expected = expected or caught.type
    assert caught.type is expected
    with pytest.raises(expected, match=match):
        raise caught.value


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"embed": 5}, "embedding dimension of 5, but got 4"),
        ({"heads": 3}, "embed_dim 4 not divisible by num_heads 3"),
        ({"packed": False}, "use_separate_proj_weight is False but in_proj_weight is None"),
        ({"separate": True}, "use_separate_proj_weight is True but q_proj_weight is None"),
        ({"static": normal(3, 5, 2)}, r"static_k.size\(0\) of 4, but got 3"),
        ({"static": normal(4, 5, 3)}, r"static_k.size\(2\) of 2, but got 3"),
    ],
)
def test_the_functional_checks_its_settings(settings, match):
    static = settings.pop("static", normal(4, 5, 2))
    same_error(forward(jt), forward(torch), Q, static, match=match, **settings)


@pytest.mark.parametrize("masks", [(2, 0), (3, 0), (0, 1), (2, 1), (0, 0)])
def test_masks_are_merged_as_pytorchs(masks):
    rng = np.random.default_rng(0)
    square = (8, 3, 3) if masks[0] == 3 else (3, 3)
    attn = rng.random(square) > 0.5 if masks[0] else None
    padding = rng.random((2, 3)) > 0.5 if masks[1] else None
    query = np.zeros((2, 3, 8), np.float32)
    results = []
    for lib in (jt, torch):
        given = [None if m is None else lib.tensor(m) for m in (attn, padding, query)]
        results.append(lib.nn.MultiheadAttention(8, 4).merge_masks(*given))
    assert_same(*results)
