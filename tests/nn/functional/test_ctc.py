"""The CTC loss against PyTorch, by the scores before the log_softmax and by its result."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox.nn.functional as F
from tests.reference import compare, same_error

RNG = np.random.default_rng(0)
T, N, C, S = 12, 4, 6, 5
INPUT_LENGTHS = (12, 10, 12, 7)
TARGET_LENGTHS = (5, 3, 0, 2)


def scores(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def targets(blank=0):
    classes = [c for c in range(C) if c != blank]
    t = RNG.choice(classes, (N, S))
    t[0, 1] = t[0, 0]  # a repetition, which needs a blank between
    return t


def check(x, t, lengths=(INPUT_LENGTHS, TARGET_LENGTHS), **settings):
    compare(
        lambda x, t: F.ctc_loss(F.log_softmax(x, -1), t, *lengths, **settings),
        lambda x, t: TF.ctc_loss(TF.log_softmax(x, -1), t, *lengths, **settings),
        x, t, rtol=1e-4, atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize(("reduction", "blank"), [("none", 0), ("mean", 3), ("sum", C - 1)])
def test_padded_targets(reduction, blank):
    check(scores(T, N, C), targets(blank), reduction=reduction, blank=blank)


def test_targets_one_after_the_other():
    t = targets()
    joined = np.concatenate([row[:n] for row, n in zip(t, TARGET_LENGTHS, strict=True)])
    check(scores(T, N, C), joined)


def test_lengths_given_as_tensors():
    x, t = scores(T, N, C), targets()
    lengths = np.array(INPUT_LENGTHS), np.array(TARGET_LENGTHS)
    compare(
        lambda x, *rest: F.ctc_loss(F.log_softmax(x, -1), *rest),
        lambda x, *rest: TF.ctc_loss(TF.log_softmax(x, -1), *rest),
        x, t, *lengths, rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_one_sequence_without_a_batch():
    x, t = scores(T, C), targets()[0]
    compare(
        lambda x, t: F.ctc_loss(F.log_softmax(x, -1), t, (T,), (S,), reduction="none"),
        lambda x, t: TF.ctc_loss(
            TF.log_softmax(x, -1), t, torch.tensor(T), torch.tensor(S), reduction="none"
        ),
        x, t, rtol=1e-4, atol=1e-4,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_an_impossible_target_is_infinite_or_zero(reduction):
    lengths = (3, 12, 12, 12), (5, 5, 1, 2)
    x, t = scores(T, N, C), targets()
    check(x, t, lengths, reduction=reduction, zero_infinity=True)
    found = F.ctc_loss(F.log_softmax(x, -1), t, *lengths, reduction="none")
    assert np.isinf(np.asarray(found)).tolist() == [True, False, False, False]


@pytest.mark.parametrize("zero_infinity", [False, True])
def test_the_gradient_by_log_probabilities_is_pytorchs(zero_infinity):
    # The first target is impossible: its gradient is NaN, or 0, as far as its input is long.
    lengths = (3, 10, 12, 12), (5, 3, 0, 2)
    compare(
        lambda x, t: F.ctc_loss(x, t, *lengths, 0, "none", zero_infinity),
        lambda x, t: TF.ctc_loss(x, t, *lengths, 0, "none", zero_infinity),
        scores(T, N, C), targets(), rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_errors():
    x, t = scores(T, N, C), targets()
    same_error(F.ctc_loss, TF.ctc_loss, x, t, (13,) * N, TARGET_LENGTHS, match="input_lengths")
    same_error(F.ctc_loss, TF.ctc_loss, x, t, INPUT_LENGTHS, TARGET_LENGTHS, blank=C,
               match="blank must be in label range")  # fmt: skip
    same_error(F.ctc_loss, TF.ctc_loss, x, t, INPUT_LENGTHS, TARGET_LENGTHS, reduction="avg",
               match="not a valid value")  # fmt: skip


def test_lengths_and_targets_that_do_not_fit_the_batch_raise():
    x, t = scores(T, 2, C), np.ones((2, 3), int)
    error = functools.partial(same_error, F.ctc_loss, TF.ctc_loss, x)
    error(t, (T,), (3, 3), match="input_lengths must be of size batch_size: got 1 for 2")
    error(t, (T, T), (3, 3, 3), match="target_lengths must be of size batch_size: got 3 for 2")
    error(t, (T, -1), (3, 3), match="input_lengths to have value at least 0, but got value -1")
    error(t, np.array([T, T]), np.array([3.0, 3.0]), match="target_lengths must be integral")
    error(np.ones((3, 3), int), (T, T), (3, 3), match="size 2 at dimension 0, but got size 3")
    error(np.ones(5, int), (T, T), (3, 3), match="size 6 at dimension 0, but got size 5")


def test_targets_may_be_floats_that_name_classes():
    lengths = (T, T), (2, 2)
    x, t = scores(T, 2, C), np.ones((2, 2))
    compare(lambda x: F.ctc_loss(x, t, *lengths),
            lambda x: TF.ctc_loss(x, torch.tensor(t), *lengths), x)  # fmt: skip
