"""Batch and instance normalization layers against PyTorch's, over several batches."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.layer_cases import assert_same_state, assert_same_step, layers

RNG = np.random.default_rng(0)
LOOSE = {"rtol": 1e-3, "atol": 1e-4}


def normal(*shape):
    return (RNG.standard_normal(shape) * 2 + 1).astype(np.float32)


SHAPES = {
    "BatchNorm1d": [(5, 4), (5, 4, 3)],
    "BatchNorm2d": [(3, 4, 3, 2)],
    "BatchNorm3d": [(2, 4, 2, 3, 2)],
    "InstanceNorm1d": [(3, 4, 5), (4, 5)],
    "InstanceNorm2d": [(3, 4, 3, 2), (4, 3, 2)],
    "InstanceNorm3d": [(2, 4, 2, 3, 2), (4, 2, 3, 2)],
}
CASES = [(name, shape) for name, shapes in SHAPES.items() for shape in shapes]
SETTINGS = [
    {},
    {"affine": False, "track_running_stats": True, "momentum": 0.3},
    {"affine": True, "track_running_stats": False},
]


@pytest.mark.parametrize(("name", "shape"), CASES)
def test_training_then_evaluation(name, shape):
    check_batches(name, shape, affine=True, track_running_stats=True)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", ["BatchNorm1d", "InstanceNorm1d"])
def test_every_setting(name, settings):
    check_batches(name, (5, 4, 3), **settings)


def test_the_mean_over_all_batches_without_momentum():
    check_batches("BatchNorm1d", (5, 4), momentum=None)


def check_batches(name, shape, **settings):
    """Two batches of training, then one of evaluation, with the state compared after each."""
    ours, theirs = layers(name, 4, **settings)
    for _ in range(2):
        assert_same_step(ours, theirs, normal(*shape), **LOOSE)
        assert_same_state(ours, theirs)
    ours.eval(), theirs.eval()
    assert_same_step(ours, theirs, normal(*shape), **LOOSE)
    assert_same_state(ours, theirs)


def test_settings_show_in_the_repr():
    layers("BatchNorm2d", 8, eps=1e-3, momentum=None, affine=False)
    layers("BatchNorm1d", 8, bias=False)
    layers("InstanceNorm2d", 8, affine=True, track_running_stats=True)


def test_reset_parameters_starts_anew():
    ours, theirs = layers("BatchNorm1d", 4)
    for model in (ours, theirs):
        model(jt.tensor(normal(5, 4)) if model is ours else torch.tensor(normal(5, 4)))
        model.reset_parameters()
    assert_same_state(ours, theirs)


WRONG = [("BatchNorm1d", (2, 4, 3, 3)), ("BatchNorm2d", (2, 4, 3)), ("BatchNorm3d", (2, 4)),
         ("InstanceNorm1d", (2, 4, 3, 3)), ("InstanceNorm2d", (2, 4)),
         ("InstanceNorm3d", (2, 4, 3))]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), WRONG)
def test_a_wrong_number_of_dimensions_raises_pytorchs_words(name, shape):
    ours, theirs = layers(name, 4)
    with pytest.raises(ValueError, match=r"expected .* input") as expected:
        theirs(torch.ones(shape))
    with pytest.raises(ValueError, match=r"expected .* input") as found:
        ours(jt.ones(*shape))
    assert str(found.value) == str(expected.value)


def test_a_single_value_per_channel_raises_in_training_only():
    ours, _ = layers("BatchNorm1d", 4)
    with pytest.raises(ValueError, match=r"more than 1 value per channel.*\[1, 4\]"):
        ours(jt.ones(1, 4))
    assert ours.eval()(jt.ones(1, 4)).shape == (1, 4)


def test_a_wrong_number_of_channels_raises():
    with pytest.raises(RuntimeError, match="running_mean should contain 5 elements not 4"):
        jt.nn.BatchNorm1d(4)(jt.ones(3, 5)).numpy()
    with pytest.raises(ValueError, match=r"dim=1 to match num_features \(4\), but got: 5"):
        jt.nn.InstanceNorm1d(4, affine=True)(jt.ones(3, 5, 2))
    with pytest.warns(UserWarning, match="does not match num_features"):
        jt.nn.InstanceNorm1d(4)(jt.ones(3, 5, 2))


def test_a_state_older_than_the_batch_count_loads():
    layer = jt.nn.BatchNorm1d(4)
    state = layer.state_dict()
    del state["num_batches_tracked"]
    state._metadata[""]["version"] = 1
    assert repr(layer.load_state_dict(state)) == "<All keys matched successfully>"


def test_statistics_of_an_old_instance_norm_are_named_and_refused():
    layer = jt.nn.InstanceNorm1d(4)
    with pytest.raises(RuntimeError, match=r'"running_mean".*track_running_stats=False'):
        layer.load_state_dict({"running_mean": jt.zeros(4)})


def test_statistics_move_under_no_grad_too():
    ours, theirs = layers("BatchNorm1d", 4)
    x = normal(6, 4)
    with jt.no_grad():
        ours(jt.tensor(x))
    theirs(torch.tensor(x))
    assert_same_state(ours, theirs)


def test_copies_and_pickles_have_statistics_of_their_own():
    layer = jt.nn.BatchNorm1d(4)
    layer(jt.tensor(normal(6, 4)))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        before = layer.running_mean.numpy().copy()
        np.testing.assert_array_equal(other.running_mean.numpy(), before)
        other(jt.tensor(normal(6, 4)))
        np.testing.assert_array_equal(layer.running_mean.numpy(), before)


def test_sync_batch_norm_is_a_batch_norm_and_converts_models():
    ours, theirs = layers("SyncBatchNorm", 4)
    theirs.eval(), ours.eval()
    assert_same_step(ours, theirs, normal(5, 4, 3), **LOOSE)
    model = jt.nn.Sequential(jt.nn.BatchNorm2d(3), jt.nn.ReLU())
    weight = model[0].weight
    converted = jt.nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert isinstance(converted[0], jt.nn.SyncBatchNorm)
    assert converted[0].weight is weight
    assert converted(jt.ones(2, 3, 2, 2)).shape == (2, 3, 2, 2)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_training_compiles_once_however_many_batches(compilations, momentum):
    layer = jt.nn.BatchNorm1d(4, momentum=momentum)
    optimizer = jt.optim.SGD(layer.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        layer(jt.tensor(normal(6, 4))).square().sum().backward()
        optimizer.step()

    step(), step()
    compilations.count()
    for _ in range(5):
        step()
    assert compilations.count() == 0
    assert layer.num_batches_tracked.item() == 7
