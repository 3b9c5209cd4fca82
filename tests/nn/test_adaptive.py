"""The adaptive softmax against PyTorch's: values, gradients, all classes, errors."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.func import functional_call
from tests.nn.twins import build, normal, same_layer
from tests.reference import assert_same

TEXT = "AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], 2.0, True)"
X, TARGET = normal(4, 8), np.array([1, 5, 19, 3])


def test_the_layer_is_pytorchs():
    same_layer(TEXT, X, TARGET)


def test_a_single_sample_gives_a_single_number_and_clusters_without_targets_zeros():
    ours, theirs = build(TEXT)
    y = ours(jt.tensor(X[0]), jt.tensor(12))
    assert_same(y, theirs(torch.tensor(X[0]), torch.tensor(12)), rtol=1e-4)
    y.loss.backward()
    assert not ours.tail[0][1].weight.grad.numpy().any()
    assert ours.tail[1][1].weight.grad.numpy().any()


def test_all_classes_and_the_best_are_pytorchs():
    ours, theirs = build(TEXT)
    assert_same(ours.log_prob(jt.tensor(X)), theirs.log_prob(torch.tensor(X)), rtol=1e-4)
    assert ours.predict(jt.tensor(X)).tolist() == theirs.predict(torch.tensor(X)).tolist()
    y = ours(jt.tensor(X), jt.tensor(TARGET))
    assert_same(y.loss, theirs(torch.tensor(X), torch.tensor(TARGET)).loss, rtol=1e-4)
    with pytest.raises(IndexError, match="expected to be in range"):
        ours.log_prob(jt.tensor(X[0]))


def test_inside_jit_a_target_out_of_range_gives_nan():
    layer = eval(f"jt.nn.{TEXT}")
    f = jax.jit(lambda p, x, t: functional_call(layer, p, (x, t))[0])
    y = f(jt.tree(layer), jnp.array(X), jnp.array([0, 20, -1, 4]))
    assert np.isnan(y).tolist() == [False, True, True, False]


@pytest.mark.parametrize("cutoffs", [[], [10, 4], [0, 4], [4, 20], [4, 4]])
def test_wrong_cutoffs_raise_pytorchs_error(cutoffs):
    for lib in (jt, torch):
        with pytest.raises(ValueError, match="cutoffs should be a sequence of"):
            lib.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs)


@pytest.mark.parametrize(
    ("x", "target", "match"),
    [
        (X, TARGET[:2], "same size in the batch dimension"),
        (X, TARGET[:, None], "multi-target not supported"),
        (X[None, :2], TARGET[:1], "1D target tensor expects 2D input"),
        (X, np.array(1), "0D target tensor expects 1D input"),
        (X, TARGET + 1, r"in \[0, 19\], but values in range \[2, 20\]"),
        (X, TARGET - 2, r"in \[0, 19\], but values in range \[-1, 17\]"),
        (X, TARGET.astype("f4"), "Expected dtype int32/int64 for index"),
    ],
)
def test_what_does_not_fit_raises_pytorchs_error(x, target, match):
    for lib in (torch, jt):
        layer = eval(f"lib.nn.{TEXT}", {"lib": lib})
        with pytest.raises(RuntimeError, match=match):
            layer(lib.tensor(x), lib.tensor(target))
