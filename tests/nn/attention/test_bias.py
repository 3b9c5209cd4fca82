"""Causal masks that know their corner, against PyTorch."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as TF
from torch.nn.attention import bias as theirs

import jtoolbox.nn.functional as F
from jtoolbox.nn.attention import bias as ours
from tests.nn.twins import normal
from tests.reference import compare, same_error


def test_the_module_has_pytorchs_names():
    assert set(theirs.__all__) == set(ours.__all__)
    assert [v.value for v in ours.CausalVariant] == [v.value for v in theirs.CausalVariant]


@pytest.mark.filterwarnings("ignore:Lower right causal bias")
@pytest.mark.parametrize("corner", ["causal_upper_left", "causal_lower_right"])
@pytest.mark.parametrize(("queries", "keys"), [(2, 4), (4, 2), (3, 3)])
def test_attention_with_a_causal_bias_is_pytorchs(corner, queries, keys):
    def attention(lib, functional):
        mask = getattr(lib, corner)(queries, keys)
        return lambda q, k, v: functional.scaled_dot_product_attention(q, k, v, mask)

    inputs = normal(1, 2, queries, 3), normal(1, 2, keys, 3), normal(1, 2, keys, 2)
    compare(attention(ours, F), attention(theirs, TF), *inputs)
    assert repr(getattr(ours, corner)(queries, keys)).split() == (
        repr(getattr(theirs, corner)(queries, keys)).split()
    )


def test_a_bias_from_the_upper_left_fits_any_scores():
    q, k = normal(1, 2, 3, 4), normal(1, 2, 5, 4)
    compare(
        lambda q, k: F.scaled_dot_product_attention(q, k, k, ours.causal_upper_left(2, 9)),
        lambda q, k: TF.scaled_dot_product_attention(q, k, k, theirs.causal_upper_left(2, 9)),
        q, k,
    )  # fmt: skip


def test_a_triangle_that_leaves_queries_no_key_warns():
    for lib in (ours, theirs):
        with pytest.warns(UserWarning, match="Lower right causal bias"):
            lib.causal_lower_right(4, 2)


def test_what_does_not_fit_raises_pytorchs_error():
    q, k = normal(1, 2, 3, 4), normal(1, 2, 5, 4)

    def attention(lib, functional, queries, **settings):
        return lambda q, k: functional.scaled_dot_product_attention(
            q, k, k, lib.causal_lower_right(queries, 5), **settings
        )

    same_error(attention(ours, F, 4), attention(theirs, TF, 4), q, k, match="size of tensor a")
    causal = {"is_causal": True}
    same_error(
        attention(ours, F, 3, **causal),
        attention(theirs, TF, 3, **causal),
        q, k, match="should not be used with causal=True",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda lib: lib.causal_upper_left(3), "only supports 2D"),
        (lambda lib: lib.causal_lower_right(3, 4, 5), "only supports 2D"),
        (lambda lib: lib.CausalBias(1, 3, 4), "must be a CausalVariant, got int"),
        (lambda lib: lib.causal_upper_left(3.0, 2), "must be ints from 0 on"),
        (lambda lib: lib.causal_upper_left(-3, 2), "must be ints from 0 on"),
    ],
)
def test_wrong_lengths_raise_pytorchs_error(make, match):
    with pytest.raises(Exception) as expected:  # noqa: PT011
        make(theirs)
    with pytest.raises(type(expected.value), match=match):
        make(ours)
    assert torch.is_tensor(theirs.causal_upper_left(1, 1))
