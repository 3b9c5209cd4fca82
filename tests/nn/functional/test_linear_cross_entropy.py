"""Cross entropy of a linear map against PyTorch's: shapes, settings, options, layer, errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox as jt
import jtoolbox.nn.functional as F
from tests.nn.twins import normal, same_layer
from tests.reference import assert_same, compare, same_error

X, W, B = normal(5, 4), normal(3, 4), normal(3)
LABELS = np.array([0, 2, -100, 1, 0])
SOFT = np.abs(normal(5, 3))
WIDE = normal(3, 2, 7, 4)


def last(function):
    """The function with bias and class weights at the end, as `compare` wants them."""

    def call(x, w, target, bias=None, weight=None, **settings):
        return function(x, w, target, linear_bias=bias, weight=weight, **settings)

    return call


OURS, THEIRS = last(F.linear_cross_entropy), last(TF.linear_cross_entropy)


@pytest.mark.parametrize(
    ("arrays", "settings"),
    [
        ((X, W, LABELS, B), {}),
        ((X, W, LABELS % 3), {"ignore_index": 1, "reduction": "sum", "label_smoothing": 0.1}),
        ((X, WIDE, np.ones((5, 2, 7), int), normal(3, 2, 7)), {"reduction": "none"}),
        ((X[0], W, np.array(1)), {}),
    ],
)
def test_the_loss_is_pytorchs(arrays, settings):
    compare(OURS, THEIRS, *arrays, **settings)


def test_class_weights_are_pytorchs():
    compare(OURS, THEIRS, X, W, LABELS, B, np.abs(B), grad=False)


def test_probabilities_are_targets_too():
    compare(OURS, THEIRS, X, W, SOFT)


def test_options_change_nothing_and_print_as_in_pytorch():
    options = [
        lib.nn.LinearCrossEntropyOptions(True, 4, "aspect_ratio:2", "compact")
        for lib in (jt, torch)
    ]
    assert repr(options[0]) == repr(options[1])
    labels = np.abs(LABELS) % 3
    found = OURS(*map(jt.tensor, (X, W, labels)), options=options[0])
    assert_same(found, THEIRS(*map(torch.tensor, (X, W, labels)), options=options[1]))
    with pytest.raises(dataclasses.FrozenInstanceError):
        options[0].acc_policy = "auto"


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"batch_chunk_size": 0}, "batch_chunk_size must be positive int or None, got 0"),
        ({"chunking_method": "aspect_ratio:0"}, "invalid chunking_method: 'aspect_ratio:0'"),
        ({"acc_policy": "best"}, "invalid acc_policy: 'best'"),
        ({"acc_dtype": "int32"}, "acc_dtype must be one of"),
    ],
)
def test_wrong_options_raise_pytorchs_error(settings, match):
    for lib in (jt, torch):
        if "acc_dtype" in settings:
            settings = {"acc_dtype": lib.int32}
        with pytest.raises(ValueError, match=match):
            lib.nn.LinearCrossEntropyOptions(**settings)


def test_a_type_to_sum_in_must_fit_the_input():
    for lib, f in ((jt, OURS), (torch, THEIRS)):
        options = lib.nn.LinearCrossEntropyOptions(acc_dtype=lib.float64)
        with pytest.raises(RuntimeError, match="supports float32 acc_dtype with float16/bfloat16"):
            f(*map(lib.tensor, (X, W, np.abs(LABELS) % 3)), options=options)


@pytest.mark.parametrize(
    ("arrays", "settings", "match"),
    [
        ((X[0], WIDE, np.zeros((2, 7), int)), {}, "requires batched input"),
        ((normal(2, 5, 4), W, LABELS), {}, "input with dimensionality 1 or 2, got 3"),
        ((X, W[0], LABELS), {}, "linear_weight with dimensionality at least 2, got 1"),
        ((normal(5, 6), W, LABELS), {}, r"got 6 and 4, respectively"),
        ((X, W, LABELS, normal(4)), {}, r"expected linear_bias shape \(3,\), got \(4,\)"),
        ((X, W, SOFT), {"ignore_index": 1}, "cannot be specified when target contains prob"),
        ((X.astype("f8"), W, LABELS), {}, "expected m1 and m2 to have the same dtype"),
        ((X, W, LABELS[:4]), {}, r"batch_size \(5\) to match target batch_size \(4\)"),
        ((X, W, LABELS), {"reduction": "x"}, "x is not a valid value for reduction"),
        ((X, W, LABELS), {"label_smoothing": 1.5}, "between 0.0 and 1.0. Got: 1.5"),
        (
            (X, W, LABELS),
            {"options": 3},
            "options must be LinearCrossEntropyOptions or None, got i",
        ),
    ],
)
def test_what_does_not_fit_raises_pytorchs_error(arrays, settings, match):
    same_error(OURS, THEIRS, *arrays, match=match, **settings)


def test_the_layer_is_pytorchs():
    same_layer("LinearCrossEntropyLoss(4, 3, ignore_index=2, reduction='sum')", X, LABELS % 3)
    target = np.ones((5, 2, 7), int)
    text = "LinearCrossEntropyLoss(4, 3, out_features=(2, 7), bias=True, label_smoothing=0.1)"
    same_layer(text, X, target)
    layer = jt.nn.LinearCrossEntropyLoss(4, 3, weight=jt.ones(3))
    assert list(layer.state_dict()) == ["weight", "linear.weight"]
    for lib in (jt, torch):
        with pytest.raises(RuntimeError, match=r"label_smoothing to be in range \[0, 1\], got 3"):
            lib.nn.LinearCrossEntropyLoss(4, 3, label_smoothing=3.0)
