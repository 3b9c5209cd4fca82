"""The layers that are functions of `torch` itself take PyTorch's arguments there."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.reference import compare, same_error


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def both(name: str) -> tuple:
    return getattr(jt, name), getattr(torch, name)


X, Y, T = normal(3, 4), normal(4, 3).T.copy(), np.array([1.0, -1.0, 1.0], np.float32)
SEQUENCE = normal(2, 3, 6)
IMAGE = normal(1, 2, 3, 4)
STATISTICS = normal(3), np.abs(normal(3)) + 0.5
WEIGHTS = normal(3), normal(3)

LOSSES = {
    "kl_div": (X, Y),
    "hinge_embedding_loss": (X, np.sign(Y)),
    "margin_ranking_loss": (X[0], Y[0], np.sign(X[1])),
    "cosine_embedding_loss": (X, Y, T),
    "triplet_margin_loss": (X, Y, normal(3, 4) + 1),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_reduce_by_number_and_not_at_all_by_default(name: str) -> None:
    inputs = LOSSES[name]
    compare(*both(name), *inputs, grad=False)
    for reduction in (1, 2):
        compare(*both(name), *inputs, grad=False, reduction=reduction)
    ours, _ = both(name)
    with pytest.raises(TypeError, match="'reduction' must be int, not str"):
        ours(*(jt.tensor(x) for x in inputs), reduction="mean")


def test_losses_with_other_arguments_are_pytorchs() -> None:
    compare(*both("poisson_nll_loss"), X, np.abs(Y), True, True, 1e-8, 1)
    compare(
        *both("binary_cross_entropy_with_logits"), X, np.abs(Y), None, np.abs(Y[0]), 1, grad=False
    )
    compare(*both("binary_cross_entropy_with_logits"), X, np.abs(Y), grad=False)
    compare(*both("kl_div"), X, Y, 1, log_target=True)
    scores = torch.log_softmax(torch.tensor(normal(5, 1, 3)), 2).numpy()
    labels = np.array([[1, 2]])
    for reduction in (0, 1):
        compare(*both("ctc_loss"), scores, labels, (5,), (2,), 0, reduction, grad=False)


CALLS = {
    "batch_norm": (SEQUENCE, *WEIGHTS, *STATISTICS, False, 0.1, 1e-5, True),
    "instance_norm": (SEQUENCE, *WEIGHTS, *STATISTICS, False, 0.1, 1e-5, True),
    "layer_norm": (X, (4,), None, None, 1e-5, True),
    "group_norm": (SEQUENCE, 3, None, None, 1e-5, True),
    "embedding": (X, np.array([0, 2])),
    "rrelu": (X,),
    "dropout": (X, 0.5, False),
    "feature_dropout": (X, 0.5, False),
    "alpha_dropout": (X, 0.5, False),
    "feature_alpha_dropout": (X, 0.5, False),
    "constant_pad_nd": (X, (1, 2), 3.0),
    "adaptive_max_pool1d": (SEQUENCE, 4),
    "max_pool1d_with_indices": (SEQUENCE, 2),
    "grid_sampler": (IMAGE, normal(1, 2, 2, 2), 0, 1, True),
    "grid_sampler_2d": (IMAGE, normal(1, 2, 2, 2), 1, 0, False),
    "affine_grid_generator": (normal(1, 2, 3), (1, 1, 2, 3), False),
    "conv_tbc": (normal(5, 2, 3), normal(2, 3, 4), normal(4), 1),
    "pdist": (X,),
    "pixel_shuffle": (normal(1, 4, 2, 2), 2),
    "pixel_unshuffle": (normal(1, 1, 4, 4), 2),
    "channel_shuffle": (SEQUENCE, 3),
}


@pytest.mark.parametrize("name", CALLS)
def test_functions_of_torch_take_pytorchs_arguments(name: str) -> None:
    compare(*both(name), *CALLS[name], grad=False, rtol=1e-4)


def test_convolution_chooses_by_the_weight() -> None:
    settings = ((1, 2), (1, 0), (1, 1), False, (0, 0), 1)
    compare(*both("convolution"), IMAGE, normal(3, 2, 2, 2), None, *settings, grad=False, atol=1e-5)
    settings = ((2,), (0,), (1,), True, (1,), 1)
    weight = normal(3, 2, 2)
    compare(*both("convolution"), SEQUENCE, weight, None, *settings, grad=False, atol=1e-5)
    with pytest.raises(RuntimeError, match="at most five dimensions, got 2"):
        jt.convolution(jt.tensor(X), jt.tensor(X), None, *settings)


def test_names_with_an_underscore_write_in_place() -> None:
    for name, rest in (
        ("relu_", ()),
        ("selu_", ()),
        ("celu_", (0.5,)),
        ("rrelu_", ()),
        ("threshold_", (0.1, 7.0)),
        ("dropout_", (1.0, True)),
        ("feature_dropout_", (1.0, True)),
    ):
        ours, theirs = jt.tensor(X), torch.tensor(X)
        result = getattr(jt, name)(ours, *rest)
        getattr(torch, name)(theirs, *rest)
        assert result is ours
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6, err_msg=name)


def test_whole_channels_are_dropped_and_alpha_dropout_keeps_its_limits() -> None:
    x = jt.ones(4, 50, 3)
    y = jt.feature_dropout(x, 0.5, True).numpy()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert (y == y[..., :1]).all()
    assert len(np.unique(jt.alpha_dropout_(jt.ones(50), 0.5, True).numpy())) == 2
    channels = jt.feature_alpha_dropout_(jt.ones(4, 50, 3), 0.5, True).numpy()
    assert (channels == channels[..., :1]).all()


def test_wrong_arguments_raise_pytorchs_error() -> None:
    words = "dropout probability has to be between 0 and 1, but got 1.5"
    for name in ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"):
        same_error(*both(name), X, match=words, p=1.5, train=True)
    same_error(*both("feature_dropout"), X[0], 0.5, True, match="at least 2 dimensions")
    with pytest.raises(RuntimeError, match="padding_mode must be 0, 1 or 2, got 5"):
        jt.grid_sampler(jt.tensor(IMAGE), jt.zeros(1, 2, 2, 2), 0, 5, True)
    with pytest.raises(RuntimeError, match="seed the default generator with manual_seed"):
        jt.rrelu(jt.tensor(X), generator=jt.Generator())
    tbc = normal(5, 2, 3), normal(2, 3, 4), normal(4)
    same_error(*both("conv_tbc"), tbc[0][0], *tbc[1:], match="Input must have 3 dims: time, batch")
    same_error(*both("conv_tbc"), tbc[0], tbc[1][0], tbc[2], match="Weight tensor must have 3 dims")
    same_error(*both("conv_tbc"), tbc[0][..., :2], *tbc[1:], match=r"not == dim 1 in the weight")
    same_error(*both("conv_tbc"), *tbc[:2], tbc[2][:3], match="Bias size must equal dim 2")
