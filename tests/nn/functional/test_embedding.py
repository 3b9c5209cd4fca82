"""Embeddings and one-hot codes against PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
from jtoolbox.nn.functional.embedding import embedding, one_hot
from tests.reference import compare, same_error

TABLE = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
INDICES = np.array([[0, 2, 2], [5, 0, 2]])


@pytest.mark.parametrize("indices", [INDICES, INDICES.astype(np.int32), np.array(3), INDICES[:0]])
def test_embedding_equals_pytorchs(indices) -> None:
    compare(embedding, TF.embedding, indices, TABLE)


@pytest.mark.parametrize(
    "settings",
    [{"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}, {"norm_type": 1.0}],
)
def test_the_gradient_follows_the_settings(settings) -> None:
    compare(embedding, TF.embedding, INDICES, TABLE, **settings)


def test_sparse_changes_nothing_but_the_form_of_pytorchs_gradient() -> None:
    compare(embedding, TF.embedding, INDICES, TABLE, grad=False, sparse=True)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, float("inf")])
def test_max_norm_scales_the_used_rows_of_the_table_in_place(norm_type) -> None:
    ours, theirs = jt.tensor(TABLE), torch.tensor(TABLE)
    rows = embedding(jt.tensor(INDICES), ours, max_norm=1.0, norm_type=norm_type)
    expected = TF.embedding(torch.tensor(INDICES), theirs, max_norm=1.0, norm_type=norm_type)
    np.testing.assert_allclose(rows.numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-5)


def test_max_norm_leaves_an_array_as_it_is() -> None:
    table = jnp.asarray(TABLE)
    rows = embedding(jnp.asarray(INDICES), table, max_norm=1.0)
    assert np.linalg.norm(rows, axis=-1).max() < 1.001
    np.testing.assert_array_equal(table, TABLE)


def test_an_index_out_of_range_raises_pytorchs_error() -> None:
    match = "index out of range in self: .* 6 rows, so indices lie between 0 and 5; got 6"
    same_error(embedding, TF.embedding, np.array([0, 6]), TABLE, match=match)
    same_error(embedding, TF.embedding, np.array([0, -1]), TABLE, match="got -1")


@pytest.mark.parametrize("index", [6, -1, -7])
def test_an_index_out_of_range_that_nobody_can_look_at_gives_nan(index) -> None:
    rows = jax.jit(embedding)(jnp.array([0, index]), jnp.asarray(TABLE))
    assert np.isnan(rows[1]).all()
    assert not np.isnan(rows[0]).any()


@pytest.mark.parametrize(
    ("dtype", "name"), [(np.float32, "Float"), (np.int16, "Short"), (np.uint8, "Byte")]
)
def test_indices_of_a_wrong_type_raise_pytorchs_error(dtype, name) -> None:
    match = f"to have one of the following scalar types: Long, Int; but got torch.{name}Tensor"
    same_error(embedding, TF.embedding, np.array([0, 1], dtype), TABLE, match=match)


def test_other_wrong_arguments_raise_pytorchs_error() -> None:
    same_error(embedding, TF.embedding, INDICES, TABLE[0], match="'weight' must be 2-D")
    for place in (6, -7):
        match = "Padding_idx must be within num_embeddings"
        same_error(embedding, TF.embedding, INDICES, TABLE, match=match, padding_idx=place)


@pytest.mark.parametrize("num_classes", [-1, 6, 9])
def test_one_hot_equals_pytorchs(num_classes) -> None:
    compare(one_hot, TF.one_hot, INDICES, num_classes=num_classes)
    compare(one_hot, TF.one_hot, np.array(3), num_classes=num_classes)


def test_one_hot_of_nothing_equals_pytorchs() -> None:
    compare(one_hot, TF.one_hot, np.zeros(0, np.int64), num_classes=3)


def test_wrong_classes_raise_pytorchs_error() -> None:
    match = "Class values must be smaller than num_classes.* Got 5 for num_classes=3"
    same_error(one_hot, TF.one_hot, INDICES, match=match, num_classes=3)
    negative = "Class values must be non-negative"
    same_error(one_hot, TF.one_hot, np.array([0, -2]), match=negative, num_classes=3)
    for dtype in (np.float32, np.int32):
        wrong = "only applicable to index tensor of type LongTensor"
        same_error(one_hot, TF.one_hot, INDICES.astype(dtype), match=wrong, num_classes=6)
    empty = "Can not infer total number of classes from empty tensor"
    same_error(one_hot, TF.one_hot, np.zeros(0, np.int64), match=empty)
