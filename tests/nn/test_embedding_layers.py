"""Embedding against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.twins import build, same_layer

INDICES = np.array([[0, 2, 2], [5, 0, 2]])


@pytest.mark.parametrize(
    "settings", ["", ", padding_idx=2", ", padding_idx=-1", ", scale_grad_by_freq=True"]
)
def test_embedding_is_pytorchs(settings) -> None:
    same_layer(f"Embedding(6, 4{settings})", INDICES)


def test_max_norm_changes_the_table_as_in_pytorch() -> None:
    ours, theirs = build("Embedding(6, 4, max_norm=1.0, norm_type=1.0, sparse=True)")
    ours(jt.tensor(INDICES))
    theirs(torch.tensor(INDICES))
    np.testing.assert_allclose(ours.weight.detach().numpy(), theirs.weight.detach(), rtol=1e-5)


def test_the_table_starts_normal_and_its_padding_row_at_zero() -> None:
    weight = jt.nn.Embedding(1000, 20, padding_idx=3).weight.detach().numpy()
    assert abs(weight.std() - 1) < 0.05
    assert abs(weight.mean()) < 0.05
    assert not weight[3].any()
    assert weight[4].all()


def test_a_given_table_is_frozen_unless_asked() -> None:
    table = jt.ones(3, 2)
    layer = jt.nn.Embedding.from_pretrained(table, padding_idx=1)
    assert not layer.weight.requires_grad
    assert layer.weight[1].tolist() == [1, 1]
    assert repr(layer) == "Embedding(3, 2, padding_idx=1)"
    assert jt.nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(AssertionError, match="expected to be 2-dimensional"):
        jt.nn.Embedding.from_pretrained(jt.ones(3))


def test_wrong_arguments_raise_pytorchs_error() -> None:
    for place in (3, -4):
        with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
            jt.nn.Embedding(3, 4, padding_idx=place)
    with pytest.raises(AssertionError, match="does not match num_embeddings and embedding_dim"):
        jt.nn.Embedding(3, 4, _weight=jt.ones(2, 2))
    with pytest.raises(IndexError, match="index out of range in self"):
        jt.nn.Embedding(3, 4)(jt.tensor([0, 3]))
