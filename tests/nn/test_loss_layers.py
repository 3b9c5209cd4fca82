"""Loss layers against PyTorch's: every class with its settings, and weights as buffers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import assert_same_state, layers
from tests.reference import assert_same, to_torch

RNG = np.random.default_rng(0)


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


X, Y = normal(4, 3), normal(4, 3)
P = RNG.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
BITS = P.round()
LABELS = np.array([0, 2, 1, 1])
SIGNS = np.array([1, -1, 1, -1])
LISTS = np.array([[2, 0, -1], [-1, 0, 1], [0, 1, 2], [1, -1, 2]])

CASES = [
    ("CrossEntropyLoss", {}, (X, LABELS)),
    ("CrossEntropyLoss", {"ignore_index": 1, "label_smoothing": 0.1}, (X, LABELS)),
    ("CrossEntropyLoss", {}, (X, P)),
    ("NLLLoss", {}, (X, LABELS)),
    ("NLLLoss", {"ignore_index": 1}, (X, LABELS)),
    ("BCELoss", {}, (P, BITS)),
    ("BCEWithLogitsLoss", {}, (X, BITS)),
    ("MultiLabelSoftMarginLoss", {}, (X, BITS)),
    ("SoftMarginLoss", {}, (X, BITS * 2 - 1)),
    ("MSELoss", {}, (X, Y)),
    ("L1Loss", {}, (X, Y)),
    ("SmoothL1Loss", {"beta": 0.5}, (X, Y)),
    ("HuberLoss", {"delta": 0.5}, (X, Y)),
    ("KLDivLoss", {"log_target": True}, (X, Y)),
    ("PoissonNLLLoss", {"log_input": False, "full": True, "eps": 1e-3}, (P, P * 5)),
    ("GaussianNLLLoss", {"full": True, "eps": 0.2}, (X, Y, P)),
    ("HingeEmbeddingLoss", {"margin": 0.5}, (X[:, 0], SIGNS)),
    ("CosineEmbeddingLoss", {"margin": 0.1}, (X, Y, SIGNS)),
    ("MarginRankingLoss", {"margin": 0.1}, (X[:, 0], Y[:, 0], SIGNS)),
    ("MultiLabelMarginLoss", {}, (X, LISTS)),
    ("MultiMarginLoss", {"p": 2, "margin": 0.5}, (X, LABELS)),
    ("TripletMarginLoss", {"margin": 0.5, "p": 1.0, "swap": True}, (X, Y, normal(4, 3))),
    ("TripletMarginWithDistanceLoss", {"margin": 0.5, "swap": True}, (X, Y, normal(4, 3))),
]
WEIGHTED = [
    ("CrossEntropyLoss", "weight", (X, LABELS)),
    ("NLLLoss", "weight", (X, LABELS)),
    ("BCELoss", "weight", (P, BITS)),
    ("BCEWithLogitsLoss", "weight", (X, BITS)),
    ("BCEWithLogitsLoss", "pos_weight", (X, BITS)),
    ("MultiLabelSoftMarginLoss", "weight", (X, BITS)),
    ("MultiMarginLoss", "weight", (X, LABELS)),
]


def assert_same_loss(ours, theirs, inputs):
    found = ours(*[jt.tensor(x) for x in inputs])
    assert_same(found, theirs(*[to_torch(x) for x in inputs]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "settings", "inputs"), CASES)
def test_settings_reach_the_loss(name, settings, inputs):
    ours, theirs = layers(name, reduction="sum", **settings)
    assert_same_loss(ours, theirs, inputs)


@pytest.mark.parametrize(("name", "setting", "inputs"), WEIGHTED)
def test_weights_are_buffers(name, setting, inputs):
    w = np.array([0.5, 1, 2], np.float32)
    ours = getattr(jt.nn, name)(**{setting: jt.tensor(w)})
    theirs = getattr(torch.nn, name)(**{setting: torch.tensor(w)})
    assert_same_state(ours, theirs)
    assert list(ours.state_dict()) == [setting]
    assert_same_loss(ours, theirs, inputs)


def test_the_old_arguments_choose_the_reduction_and_warn():
    with pytest.warns(UserWarning, match="please use reduction='sum'"):
        assert jt.nn.MSELoss(size_average=False).reduction == "sum"
    with pytest.warns(UserWarning, match="please use reduction='none'"):
        assert jt.nn.CrossEntropyLoss(reduce=False).reduction == "none"


def test_the_loss_of_a_sequence():
    x = torch.randn(10, 2, 5).log_softmax(2).numpy()
    ours, theirs = layers("CTCLoss", blank=4, zero_infinity=True)
    t = np.array([[0, 1, 2], [3, 3, 1]])
    lengths = [np.array([10, 9]), np.array([3, 2])]
    assert_same_loss(ours, theirs, (x, t, *lengths))


def test_settings_that_make_no_sense_are_refused_at_once():
    for lib in (jt, torch):
        with pytest.raises(ValueError, match="margin to be greater than 0, got -1"):
            lib.nn.TripletMarginLoss(margin=-1)
        with pytest.raises(ValueError, match="margin to be greater than 0, got -1"):
            lib.nn.TripletMarginWithDistanceLoss(margin=-1)
        with pytest.raises(ValueError, match="only p == 1 and p == 2"):
            lib.nn.MultiMarginLoss(p=3)
        with pytest.raises(ValueError, match="None or 1D tensor"):
            lib.nn.MultiMarginLoss(weight=lib.ones(2, 2))


def test_a_users_distance_is_kept():
    criterion = jt.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: (a - b).abs().sum(-1)
    )
    loss = criterion(jt.tensor(X), jt.tensor(Y), jt.tensor(P))
    expected = torch.nn.TripletMarginLoss(p=1, eps=0)(*map(torch.tensor, (X, Y, P)))
    np.testing.assert_allclose(loss.numpy(), expected, rtol=1e-5)


def test_a_label_that_names_no_class_raises_at_the_users_line():
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds.*3 classes"):
        jt.nn.CrossEntropyLoss()(jt.tensor(X), jt.tensor(LABELS + 1))


def test_training_with_dropout_norm_and_loss_follows_pytorch_step_by_step():
    def build(lib):
        nn = lib.nn
        return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.GELU(), nn.LayerNorm(8),
                             nn.Linear(8, 3))  # fmt: skip

    ours, theirs = build(jt), build(torch)
    ours.load_state_dict({k: jt.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    a = jt.optim.SGD(ours.parameters(), lr=0.1)
    b = torch.optim.SGD(theirs.parameters(), lr=0.1)
    criteria = jt.nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()
    for _ in range(20):
        x = normal(16, 3)
        t = (x.sum(1) > 0).astype(np.int64)
        a.zero_grad(), b.zero_grad()
        found = criteria[0](ours(jt.tensor(x)), jt.tensor(t))
        expected = criteria[1](theirs(torch.tensor(x)), torch.tensor(t))
        found.backward(), expected.backward()
        a.step(), b.step()
        assert abs(found.item() - expected.item()) < 1e-4
