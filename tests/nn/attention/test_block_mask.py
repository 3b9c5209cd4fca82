"""Tables of blocks against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.attention import flex_attention as theirs

import jtoolbox as jt
from jtoolbox.nn.attention import flex_attention as ours
from tests.nn.twins import normal
from tests.reference import assert_same


def causal(b, h, q_idx, kv_idx):
    return q_idx >= kv_idx


def early(b, h, q_idx, kv_idx):
    return kv_idx < 3 + h


LIBRARIES = ((jt, ours), (torch, theirs))


def both(make):
    return [make(lib, module) for lib, module in LIBRARIES]


def same_tables(found, expected):
    assert found.shape == expected.shape
    assert found.numel() == expected.numel()
    assert abs(found.sparsity() - expected.sparsity()) < 1e-9
    assert repr(found) == repr(expected)
    assert_same(found.to_dense(), expected.to_dense())
    pairs = zip(found.as_tuple(), expected.as_tuple(), strict=False)
    tables = [(a, b) for a, b in pairs if torch.is_tensor(b)]
    assert len(tables) in (4, 8)
    for a, b in tables:
        assert_same(a, b)


@pytest.mark.parametrize("mask", [causal, early])
@pytest.mark.parametrize("separate", [True, False])
def test_tables_are_pytorchs(mask, separate):
    same_tables(
        *both(
            lambda lib, m: m.create_block_mask(
                mask, 2, 3, 10, 9, "cpu", (4, 3), separate_full_blocks=separate
            )
        )
    )


def test_a_part_of_the_batches_and_heads_is_pytorchs():
    made = both(lambda lib, m: m.create_block_mask(early, 2, 3, 10, 9, "cpu", 4))
    for index in (0, (slice(None), 1), (0, -1)):
        same_tables(*(m[index] for m in made))
        with pytest.raises(RuntimeError, match="mask_mod from a sliced BlockMask"):
            made[1][index].mask_mod(0, 0, 0, 0)
        with pytest.raises(RuntimeError, match="mask_mod from a sliced BlockMask"):
            made[0][index].mask_mod(0, 0, 0, 0)
    with pytest.raises(IndexError, match="by batch and head alone"):
        made[0][0, 0, 0]


def test_masks_are_combined_as_pytorchs():
    for how in ("and_masks", "or_masks"):
        found, expected = both(
            lambda lib, m, how=how: m.create_mask(
                getattr(m, how)(causal, early), None, 2, 4, 5, "cpu"
            )
        )
        assert_same(found, expected)
        place = [torch.tensor(1)] * 4
        empty = getattr(ours, how)()(*map(jt.tensor, [1] * 4))
        assert bool(empty) == bool(getattr(theirs, how)()(*place))
    with pytest.raises(RuntimeError, match="should be callable mask_mods"):
        ours.and_masks(3)


def test_a_mask_from_scores_is_where_they_are_finite():
    def score(lib):
        return lambda s, b, h, i, j: lib.where(i >= j, s, -float("inf"))

    assert_same(*both(lambda lib, m: m.create_mask(score(lib), 1, 1, 3, 4, "cpu")))


def test_blocks_not_listed_are_not_seen():
    counts = jt.tensor([[[1, 2]]]).int()
    numbers = jt.tensor([[[[0, 1], [1, 0]]]]).int()
    mask = ours.BlockMask.from_kv_blocks(counts, numbers, BLOCK_SIZE=2)
    x = jt.tensor(normal(1, 1, 4, 3))
    seen = jt.tensor(np.kron([[1, 0], [1, 1]], np.ones((2, 2))) > 0)
    expected = jt.nn.functional.scaled_dot_product_attention(x, x, x, seen)
    np.testing.assert_allclose(
        ours.flex_attention(x, x, x, block_mask=mask).numpy(), expected.numpy(), rtol=1e-5
    )
    assert_same(mask.q_indices, np_table := torch.tensor([[[[0, 1], [1, 0]]]]).int())
    assert np_table.shape == mask.q_indices.shape


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda lib, m: m.create_mask(lambda b, h, q: q, 1, 1, 3, 3, "cpu"), "takes 4 arguments"),
        (
            lambda lib, m: m.create_block_mask(lambda s, b, h, q, k: s, 1, 1, 3, 3, "cpu"),
            "requires a mask_mod function",
        ),
        (
            lambda lib, m: m.BlockMask.from_kv_blocks(lib.tensor([1]), lib.tensor([0])),
            "at least 2 dimensions",
        ),
        (
            lambda lib, m: m.BlockMask.from_kv_blocks(
                lib.tensor([[[1]]]), lib.tensor([[[[0]]]]), lib.tensor([[[1]]])
            ),
            "must be both provided or omitted",
        ),
    ],
)
def test_what_does_not_fit_raises_pytorchs_error(make, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        make(torch, theirs)
    with pytest.raises(type(expected.value), match=match):
        make(jt, ours)
