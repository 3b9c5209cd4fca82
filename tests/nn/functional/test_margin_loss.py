"""Margin losses against PyTorch, with margins that are just met among the cases."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
import torch.nn.functional as TF

import jtoolbox.nn.functional as F
from tests.reference import compare, same_error

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def signs(*shape):
    return RNG.choice([-1, 1], shape)


A, B, D = normal(4, 3), normal(4, 3), normal(4, 3)
HALVES = np.array([0, 0.5, 1, 1.5, -1, 2, 3, -0.5], np.float32)
LABELS = np.array([0, 2, 1, 1])
LISTS = np.array([[2, 0, -1], [-1, 0, 1], [0, 1, 2], [1, -1, 2]])

CASES = [
    ("hinge_embedding_loss", (HALVES, np.array([1, -1, -1, -1, -1, 1, 1, -1])), {}),
    ("hinge_embedding_loss", (A, signs(4, 3)), {"margin": 0.3}),
    ("hinge_embedding_loss", (A, normal(4, 3).round()), {}),
    ("cosine_embedding_loss", (A, B, signs(4)), {}),
    ("cosine_embedding_loss", (A, B, signs(4)), {"margin": 0.4}),
    ("cosine_embedding_loss", (A[0], B[0], np.array(-1)), {}),
    ("cosine_embedding_loss", (A, A, signs(4)), {}),
    ("margin_ranking_loss", (A[0], B[0], signs(3)), {}),
    ("margin_ranking_loss", (HALVES, HALVES + 0.5, signs(8)), {"margin": 0.5}),
    ("multi_margin_loss", (A, LABELS), {}),
    ("multi_margin_loss", (A, LABELS), {"p": 2, "margin": 0.5}),
    ("multi_margin_loss", (A[0], np.array(1)), {}),
    ("multi_margin_loss", (A[0], np.array([1])), {}),
    ("multi_margin_loss", (A.round(), LABELS), {}),
    ("multilabel_margin_loss", (A, LISTS), {}),
    ("multilabel_margin_loss", (A[0], LISTS[0]), {}),
    ("multilabel_margin_loss", (A.round(), LISTS), {}),
    ("triplet_margin_loss", (A, B, D), {}),
    ("triplet_margin_loss", (A, B, D), {"p": 1, "margin": 0.5, "swap": True}),
    ("triplet_margin_loss", (A[0], B[0], D[0]), {"p": 3.0}),
    ("triplet_margin_loss", (A, A, D), {"eps": 1e-3}),
    ("triplet_margin_with_distance_loss", (A, B, D), {}),
    ("triplet_margin_with_distance_loss", (A, B, D), {"swap": True, "margin": 2.0}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "inputs", "settings"), CASES, ids=IDS)
def test_each_loss_and_its_gradients(name, inputs, settings):
    compare(getattr(F, name), getattr(TF, name), *inputs, reduction="none", **settings,
            rtol=1e-4, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("name", sorted({name for name, _, _ in CASES}))
def test_mean_and_sum(name):
    inputs, settings = next((i, s) for n, i, s in CASES if n == name)
    for reduction in ("mean", "sum"):
        compare(getattr(F, name), getattr(TF, name), *inputs, reduction=reduction, **settings,
                rtol=1e-4, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_class_weights_of_the_multi_margin_loss(reduction):
    w = np.array([0.5, 2, 1], np.float32)
    compare(
        lambda x: F.multi_margin_loss(x, LABELS, weight=w, reduction=reduction),
        lambda x: TF.multi_margin_loss(
            x, torch.tensor(LABELS), weight=torch.tensor(w), reduction=reduction
        ),
        A,
    )


def test_triplets_by_a_distance_of_the_users():
    compare(
        lambda *v: F.triplet_margin_with_distance_loss(
            *v, distance_function=lambda a, b: 1 - F.cosine_similarity(a, b)
        ),
        lambda *v: TF.triplet_margin_with_distance_loss(
            *v, distance_function=lambda a, b: 1 - TF.cosine_similarity(a, b)
        ),
        A, B, D, rtol=1e-4, atol=1e-5,
    )  # fmt: skip


def test_errors_of_shapes():
    same_error(F.cosine_embedding_loss, TF.cosine_embedding_loss, A, B, A, match="multi-target")
    same_error(F.cosine_embedding_loss, TF.cosine_embedding_loss, A, B[:, :2], A[:, 0],
               match="must match the size")  # fmt: skip
    same_error(F.margin_ranking_loss, TF.margin_ranking_loss, A, B[0], A[0],
               match="same dimension but got sizes")  # fmt: skip
    same_error(F.multilabel_margin_loss, TF.multilabel_margin_loss, A, LISTS[:, :2],
               match="inconsistent target size")  # fmt: skip
    same_error(F.triplet_margin_loss, TF.triplet_margin_loss, A, B, D[0],
               match="anchor 2D, positive 2D, and negative 1D")  # fmt: skip


def test_errors_of_settings():
    for name in ("triplet_margin_loss", "triplet_margin_with_distance_loss"):
        same_error(getattr(F, name), getattr(TF, name), A, B, D, margin=-1.0,
                   match="greater than 0, got -1")  # fmt: skip
        same_error(getattr(F, name), getattr(TF, name), A, B, D, reduction="avg",
                   match="avg is not a valid value")  # fmt: skip
    same_error(F.multi_margin_loss, TF.multi_margin_loss, A, LABELS, p=3, match="only p == 1")


def test_errors_of_labels():
    error = functools.partial(same_error, F.multi_margin_loss, TF.multi_margin_loss, A)
    error(np.array([0, 3, 1, 1]), match="target out of range")
    error(LABELS[:2], match=r"Expected target size \[4\], but got \[2\]")
    error(LABELS.astype(np.float32), match="expected scalar type Long but found Float")
    error(LABELS, weight=None, p=3, match="only p == 1 and p == 2")
    same_error(F.multilabel_margin_loss, TF.multilabel_margin_loss, A, LISTS + 2,
               match="'target' is out of range")  # fmt: skip


def test_where_labels_cannot_be_seen_a_wrong_one_gives_nan():
    wrong = jax.jit(functools.partial(F.multi_margin_loss, reduction="none"))
    loss = wrong(jnp.array(A), jnp.array([0, 3, -1, 1]))
    assert np.isnan(loss).tolist() == [False, True, True, False]
    assert np.isnan(jax.jit(F.multilabel_margin_loss)(jnp.array(A), jnp.array(LISTS + 2)))


def test_what_is_wrong_first_raises_first_as_in_pytorch():
    x, floats = np.zeros((5, 4), np.float32), np.zeros(5, np.float32)
    same_error(F.multi_margin_loss, TF.multi_margin_loss, x, floats, p=3, match="only p == 1")
    same_error(
        lambda x, t, w: F.multi_margin_loss(x, t, weight=w),
        lambda x, t, w: TF.multi_margin_loss(x, t, weight=w),
        x, floats, x, match="weight must be one-dimensional",
    )  # fmt: skip
    same_error(
        F.multilabel_margin_loss, TF.multilabel_margin_loss, x, x + 9, reduction="abc",
        match="not a valid value for reduction",
    )  # fmt: skip
    near = np.zeros((5, 3), np.float32)
    same_error(F.triplet_margin_loss, TF.triplet_margin_loss, x, near, x, match="size of tensor a")
    same_error(F.margin_ranking_loss, TF.margin_ranking_loss, x, near, x, match="size of tensor a")
