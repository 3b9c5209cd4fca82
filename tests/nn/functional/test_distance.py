"""Distances against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as TF

import jtoolbox.nn.functional as F
from jtoolbox.nn.functional.distance import pdist
from tests.reference import compare, same_error

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity_along_a_dimension(dim):
    compare(F.cosine_similarity, TF.cosine_similarity, normal(3, 4, 5), normal(3, 4, 5), dim=dim)


def test_cosine_similarity_broadcasts_and_promotes():
    compare(F.cosine_similarity, TF.cosine_similarity, normal(3, 1, 5), normal(4, 5), dim=2)
    compare(F.cosine_similarity, TF.cosine_similarity, normal(3, 5), normal(3, 5).astype(float),
            rtol=1e-6, atol=1e-7)  # fmt: skip


def test_cosine_similarity_of_short_vectors_divides_by_eps():
    x = normal(3, 4) * 1e-3
    compare(F.cosine_similarity, TF.cosine_similarity, x, normal(3, 4), eps=0.1)
    compare(F.cosine_similarity, TF.cosine_similarity, x * 0, normal(3, 4))


def test_distances_of_unsigned_integers_wrap():
    x, y = (RNG.integers(0, 9, (3, 4)).astype(np.uint8) for _ in range(2))
    compare(F.pairwise_distance, TF.pairwise_distance, x, y)
    compare(F.triplet_margin_loss, TF.triplet_margin_loss, x, y, y[::-1].copy())


def test_cosine_similarity_errors():
    same_error(F.cosine_similarity, TF.cosine_similarity, normal(3, 4), normal(3, 4), dim=3,
               match="Dimension out of range")  # fmt: skip
    same_error(F.cosine_similarity, TF.cosine_similarity, normal(3, 4), normal(3, 3),
               match=r"size of tensor a \(4\) must match the size of tensor b \(3\)")  # fmt: skip
    same_error(F.cosine_similarity, TF.cosine_similarity, np.ones((3, 4), int),
               np.ones((3, 4), int), match="Long")  # fmt: skip


@pytest.mark.parametrize("p", [0.5, 1, 2, 3.0, float("inf"), float("-inf"), 0])
def test_pairwise_distance_in_every_norm(p):
    a, b = normal(3, 4), normal(3, 4)
    compare(F.pairwise_distance, TF.pairwise_distance, a, b, p=p, keepdim=p > 1,
            rtol=1e-4, atol=1e-5)  # fmt: skip


def test_pairwise_distance_of_vectors_and_of_different_batches():
    compare(F.pairwise_distance, TF.pairwise_distance, normal(4), normal(4))
    compare(F.pairwise_distance, TF.pairwise_distance, normal(3, 4), normal(1, 4))


def test_pairwise_distance_of_equal_points_has_a_finite_gradient():
    a = normal(3, 4)
    compare(F.pairwise_distance, TF.pairwise_distance, a, a.copy(), eps=0.0)
    compare(F.pairwise_distance, TF.pairwise_distance, a, a.copy(), rtol=1e-3)


def test_pairwise_distance_refuses_other_features():
    same_error(F.pairwise_distance, TF.pairwise_distance, normal(3, 4), normal(3, 3),
               match="must match the size")  # fmt: skip


@pytest.mark.parametrize("p", [0, 1, 2, 3.0, float("inf")])
def test_pdist_of_all_pairs_of_rows(p):
    compare(pdist, TF.pdist, normal(5, 3), p=p, rtol=1e-4, atol=1e-5)
    compare(pdist, TF.pdist, normal(1, 3), p=p)


def test_pdist_of_equal_rows_has_a_finite_gradient():
    compare(pdist, TF.pdist, np.ones((3, 2), np.float32))


def test_pdist_refuses_other_shapes_and_norms():
    same_error(pdist, TF.pdist, normal(2, 3, 4), match="only supports 2D tensors")
    same_error(pdist, TF.pdist, normal(2, 3), p=-1.0, match="non-negative p values")


def test_the_similarity_of_two_numbers_is_their_sign():
    x, y = (np.array(v, np.float32) for v in (2.0, -3.0))
    compare(F.cosine_similarity, TF.cosine_similarity, x, y, dim=0)
    same_error(F.cosine_similarity, TF.cosine_similarity, x, y, dim=1, match="out of range")
