"""The Transformer and its parts against PyTorch's: settings, masks, padding, start, errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import copy_state
from tests.nn.twins import normal, same_layer
from tests.reference import assert_same

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True:UserWarning")
SOURCE, TARGET = normal(5, 2, 4), normal(3, 2, 4)
PADDING = np.array([[False] * 4 + [True], [False] * 2 + [True] * 3])


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ("TransformerEncoderLayer(4, 2, 8, 0.0)", [SOURCE]),
        (
            "TransformerEncoderLayer(4, 2, 8, 0.0, 'gelu', 1e-3, True, True, False)",
            [SOURCE],
        ),
        ("TransformerEncoderLayer(4, 2, 8, 0.0, activation=nn.Tanh())", [SOURCE[:, 0]]),
        ("TransformerDecoderLayer(4, 2, 8, 0.0)", [TARGET, SOURCE]),
        ("TransformerDecoderLayer(4, 2, 8, 0.0, norm_first=True)", [TARGET, SOURCE]),
        (
            "TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 2, nn.LayerNorm(4))",
            [SOURCE],
        ),
        ("TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, 0.0), 2)", [TARGET, SOURCE]),
        ("Transformer(4, 2, 1, 1, 8, 0.0)", [SOURCE, TARGET]),
    ],
)
def test_layers_are_pytorchs(text, arrays):
    same_layer(text, *arrays)


def pair(build):
    """What `build(nn)` makes in both libraries, with equal parameters."""
    ours, theirs = build(jt.nn), build(torch.nn)
    copy_state(ours, theirs)
    return ours, theirs


def same_result(ours, theirs, *arrays, **masks):
    found = ours(*map(jt.tensor, arrays), **{k: _given(jt, v) for k, v in masks.items()})
    expected = theirs(*map(torch.tensor, arrays), **{k: _given(torch, v) for k, v in masks.items()})
    assert_same(found, expected, rtol=1e-4, atol=1e-4)


def _given(lib, value):
    return lib.tensor(value) if isinstance(value, np.ndarray) else value


def test_all_masks_of_a_transformer_reach_their_place():
    ours, theirs = pair(lambda nn: nn.Transformer(4, 2, 1, 1, 8, 0.0))
    same_result(
        ours,
        theirs,
        SOURCE,
        TARGET,
        src_mask=normal(5, 5),
        tgt_mask=normal(3, 3) * 2,
        memory_mask=normal(3, 5),
        src_key_padding_mask=np.where(PADDING, -np.inf, 0).astype("f4"),
        tgt_key_padding_mask=normal(2, 3),
        memory_key_padding_mask=normal(2, 5),
    )


def test_the_causal_hint_stands_for_the_causal_mask():
    ours, theirs = pair(
        lambda nn: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, 0.0), 1)
    )
    mask = np.triu(np.full((5, 5), -np.inf, "f4"), 1)
    same_result(ours, theirs, SOURCE, mask=mask, is_causal=True)
    same_result(ours, theirs, SOURCE, mask=mask)
    x, m = jt.tensor(SOURCE), jt.tensor(mask)
    with_hint, without = ours(x, m, is_causal=True), ours(x, m)
    assert_same(with_hint, torch.tensor(without.detach().numpy()), atol=1e-5)
    with pytest.raises(RuntimeError, match="Need attn_mask"):
        ours(x, is_causal=True)


def test_the_causal_mask_is_pytorchs():
    ours = jt.nn.Transformer.generate_square_subsequent_mask(3)
    assert_same(ours, torch.nn.Transformer.generate_square_subsequent_mask(3))
    ours = jt.nn.Transformer.generate_square_subsequent_mask(sz=2, dtype=jt.float64)
    assert ours.dtype is jt.float64


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
@pytest.mark.parametrize("padding", [PADDING, PADDING[:, ::-1].copy()])
@pytest.mark.parametrize("nested", [True, False])
def test_padding_is_left_out_without_gradients_where_pytorch_leaves_it_out(padding, nested):
    def build(nn):
        layer = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True)
        return nn.TransformerEncoder(layer, 1, nn.LayerNorm(4), enable_nested_tensor=nested).eval()

    ours, theirs = pair(build)
    x = normal(2, 5, 4)
    assert ours.use_nested_tensor is nested
    same_result(ours, theirs, x, src_key_padding_mask=padding)
    with torch.no_grad(), jt.no_grad():
        same_result(ours, theirs, x, src_key_padding_mask=padding)


def test_copies_start_equal_and_are_separate():
    encoder = jt.nn.TransformerEncoder(jt.nn.TransformerEncoderLayer(4, 2, 8), 2)
    first, second = (layer.linear1.weight for layer in encoder.layers)
    assert first is not second
    np.testing.assert_array_equal(first.detach().numpy(), second.detach().numpy())


def test_a_transformer_starts_with_xavier_matrices():
    model = jt.nn.Transformer(16, 2, 1, 1, 48)
    weight = model.decoder.layers[0].linear1.weight.detach().numpy()
    bound = np.sqrt(6 / (16 + 48))
    assert 0.9 * bound < np.abs(weight).max() <= bound


def test_custom_stacks_take_the_place_of_the_standard_ones():
    for lib in (jt, torch):
        model = lib.nn.Transformer(
            custom_encoder=lib.nn.Identity(), custom_decoder=lib.nn.Identity()
        )
        assert repr(model) == "Transformer(\n  (encoder): Identity()\n  (decoder): Identity()\n)"


def test_training_lowers_the_loss_with_dropout():
    jt.manual_seed(0)
    layer = jt.nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True)
    optimizer = jt.optim.SGD(layer.parameters(), lr=0.1)
    x, target = jt.tensor(normal(4, 6, 8)), jt.tensor(normal(4, 6, 8) * 0.5)
    losses = []
    for _ in range(20):
        loss = jt.nn.functional.mse_loss(layer(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def both_raise(build, arrays, match):
    for lib in (torch, jt):
        with pytest.raises(RuntimeError, match=match):
            build(lib.nn)(*map(lib.tensor, arrays))


def test_what_does_not_fit_raises_pytorchs_error():
    def model(nn):
        return nn.Transformer(4, 2, 1, 1, 8, 0.0)

    both_raise(model, [normal(3, 2, 5), TARGET], "feature number of src and tgt must be equal to d")
    both_raise(model, [SOURCE, normal(3, 3, 4)], "the batch number of src and tgt must be equal")
    both_raise(lambda nn: nn.TransformerEncoderLayer(4, 2, activation="tanh"), [SOURCE],
               "activation should be relu/gelu, not tanh")  # fmt: skip


def test_a_layer_whose_padding_stays_is_warned_of():
    kinds = ({}, {"norm_first": True, "batch_first": True}, {"bias": False, "batch_first": True})
    for settings in kinds:
        for lib in (jt, torch):
            layer = lib.nn.TransformerEncoderLayer(4, 2, 8, **settings)
            with pytest.warns(UserWarning, match="enable_nested_tensor is True, but"):
                lib.nn.TransformerEncoder(layer, 1)
            lib.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
