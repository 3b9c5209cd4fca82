"""Bags of embeddings against PyTorch's: modes, offsets, weights, padding, norms, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
from jtoolbox.nn.functional.embedding_bag import embedding_bag
from tests.nn.twins import build
from tests.reference import assert_same, compare, same_error

TABLE = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
TABLE[3] = TABLE[1]  # ties for the maximum
ROWS = np.array([[0, 2, 2], [5, 1, 3]])
RUN = np.array([0, 2, 2, 5, 1, 3, 1])
STARTS = np.array([0, 3, 3, 5])
WEIGHTS = np.random.default_rng(1).standard_normal(7).astype(np.float32)
MODES = ["sum", "mean", "max"]


def bags(function):
    """The function with offsets last, so that `compare` may leave them out."""

    def call(indices, table, offsets=None, weights=None, **settings):
        return function(indices, table, offsets, per_sample_weights=weights, **settings)

    return call


OURS, THEIRS = bags(embedding_bag), bags(TF.embedding_bag)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("arrays", [(ROWS, TABLE), (RUN, TABLE, STARTS)])
def test_bags_equal_pytorchs(mode, arrays):
    compare(OURS, THEIRS, *arrays, mode=mode)
    compare(OURS, THEIRS, *arrays, mode=mode, padding_idx=2)


def test_settings_are_pytorchs():
    ends = np.append(STARTS, 7).astype(np.int32)
    compare(OURS, THEIRS, RUN.astype(np.int32), TABLE, ends, include_last_offset=True)
    # PyTorch mixes up the counts of rows that are used unequally often.
    compare(OURS, THEIRS, np.array([[0, 2, 4], [2, 4, 0]]), TABLE, scale_grad_by_freq=True)
    compare(OURS, THEIRS, RUN, TABLE, STARTS, mode="sum", padding_idx=-1)
    compare(OURS, THEIRS, RUN, TABLE, STARTS, WEIGHTS, mode="sum", padding_idx=2)
    compare(OURS, THEIRS, ROWS, TABLE.astype(np.float16), grad=False)
    compare(OURS, THEIRS, RUN, TABLE, STARTS[:0], grad=False)


def test_gradients_are_divided_by_how_often_a_row_is_used():
    weight = jt.tensor(TABLE).requires_grad_()
    y = embedding_bag(jt.tensor(RUN), weight, jt.tensor([0]), mode="sum", scale_grad_by_freq=True)
    y.sum().backward()
    assert weight.grad[:, 0].tolist() == [1, 1, 1, 1, 0, 1]


def test_what_lies_behind_the_last_offset_is_in_no_bag():
    offsets = jt.tensor([0, 3, 5])
    for mode in MODES:
        found = embedding_bag(jt.tensor(RUN), jt.tensor(TABLE), offsets, mode=mode,
                              include_last_offset=True)  # fmt: skip
        expected = TF.embedding_bag(torch.tensor(RUN[:5]), torch.tensor(TABLE),
                                    torch.tensor([0, 3]), mode=mode)  # fmt: skip
        assert_same(found, expected)


def test_max_norm_scales_the_used_rows_in_place():
    ours, theirs = jt.tensor(TABLE), torch.tensor(TABLE)
    found = embedding_bag(jt.tensor(ROWS), ours, max_norm=1.0, norm_type=1.0)
    expected = TF.embedding_bag(torch.tensor(ROWS), theirs, max_norm=1.0, norm_type=1.0)
    assert_same(found, expected)
    assert_same(ours, theirs)


def test_swapped_arguments_warn_and_work():
    with pytest.warns(UserWarning, match="Argument order of nn.functional.embedding_bag"):
        found = embedding_bag(jt.tensor(TABLE), jt.tensor(ROWS))
    assert_same(found, TF.embedding_bag(torch.tensor(ROWS), torch.tensor(TABLE)))


def test_inside_jit_an_index_out_of_range_gives_nan():
    y = jax.jit(lambda i: embedding_bag(i, jnp.array(TABLE)))(jnp.array([[0, 6], [1, 2]]))
    assert np.isnan(y[0]).all()
    assert not np.isnan(y[1]).any()


OTHER = WEIGHTS[:6].reshape(2, 3)
ERRORS = [
    ((ROWS, TABLE, STARTS), {}, ValueError, "if input is 2D, then offsets has to be None"),
    ((RUN, TABLE), {}, ValueError, "offsets has to be a 1D Tensor but got None"),
    ((RUN, TABLE, STARTS[None]), {}, ValueError, "offsets has to be a 1D Tensor"),
    ((ROWS[None], TABLE), {}, ValueError, "input has to be 1D or 2D Tensor, but got"),
    ((RUN, TABLE, STARTS + 1), {}, RuntimeError, r"offsets\[0\] has to be 0"),
    ((RUN, TABLE, np.array([0, 8])), {}, RuntimeError, "greater than input's length 7 but got"),
    ((RUN, TABLE, np.array([0, 3, 2])), {}, RuntimeError, "offsets must not decrease: bag 1"),
    ((RUN, TABLE, STARTS[:0]), {"include_last_offset": True}, RuntimeError, "at least 1"),
    ((ROWS, TABLE), {"mode": "min"}, ValueError, "mode has to be one of sum, mean or max"),
    ((ROWS, TABLE, None, OTHER), {}, NotImplementedError, "only supported for mode='sum'"),
    ((ROWS, TABLE, None, OTHER[:, :2]), {"mode": "sum"}, ValueError, "same shape as the input"),
    ((ROWS, TABLE, None, OTHER.astype("f8")), {"mode": "sum"}, RuntimeError, "does not equal"),
    ((ROWS, TABLE), {"mode": "max", "scale_grad_by_freq": True}, ValueError, "by the frequency"),
    ((ROWS, TABLE), {"mode": "max", "sparse": True}, ValueError, "does not support sparse"),
    ((ROWS, TABLE), {"padding_idx": 6}, RuntimeError, "-6 through 5, but got 6"),
    ((ROWS + 1, TABLE), {}, RuntimeError, "Index 3 of input takes value 6 which is not in the"),
    ((ROWS - 1, TABLE), {}, RuntimeError, "Index 0 of input takes value -1"),
    ((ROWS.astype("f4"), TABLE), {}, RuntimeError, "arguments for embedding_bag"),
]


@pytest.mark.parametrize(("arrays", "settings", "kind", "match"), ERRORS)
def test_what_does_not_fit_raises_pytorchs_error(arrays, settings, kind, match):
    with pytest.raises(kind, match=match):
        OURS(*[None if a is None else jt.tensor(a) for a in arrays], **settings)
    same_error(OURS, THEIRS, *arrays, match=match, **settings)


def test_the_layer_is_pytorchs():
    for settings in (
        "max_norm=1.0, norm_type=1.0, mode='max', padding_idx=2, include_last_offset=True",
        "scale_grad_by_freq=True, sparse=True",
        "mode='sum'",
    ):
        build(f"EmbeddingBag(6, 4, {settings})")
    ours, theirs = build("EmbeddingBag(6, 4, mode='sum', padding_idx=-1)")
    assert ours.padding_idx == theirs.padding_idx == 5
    given = [(RUN, STARTS, WEIGHTS)]
    for arrays in given:
        found, expected = ours(*map(jt.tensor, arrays)), theirs(*map(torch.tensor, arrays))
        assert_same(found, expected)
        (found**2).sum().backward()
        (expected**2).sum().backward()
        assert_same(ours.weight.grad, theirs.weight.grad, rtol=1e-4)
    assert not jt.nn.EmbeddingBag(6, 4, padding_idx=2).weight[2].detach().numpy().any()


def test_a_given_table_is_frozen_unless_asked():
    table = jt.ones(3, 2)
    layer = jt.nn.EmbeddingBag.from_pretrained(table, padding_idx=1, mode="max")
    assert not layer.weight.requires_grad
    assert repr(layer) == "EmbeddingBag(3, 2, mode='max', padding_idx=1)"
    assert jt.nn.EmbeddingBag.from_pretrained(table, freeze=False).weight.requires_grad
    for lib in (jt, torch):
        with pytest.raises(AssertionError, match="expected to be 2-dimensional"):
            lib.nn.EmbeddingBag.from_pretrained(lib.ones(3))
        with pytest.raises(AssertionError, match="padding_idx must be within num_embeddings"):
            lib.nn.EmbeddingBag(3, 4, padding_idx=3)
        with pytest.raises(AssertionError, match="does not match num_embeddings"):
            lib.nn.EmbeddingBag(3, 4, _weight=lib.ones(2, 2))
