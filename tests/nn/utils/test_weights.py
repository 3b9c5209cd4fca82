"""Weights that are computed: by hooks, by parametrizations, by masks; and fused layers."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
import torch.nn.utils.prune

import jtoolbox as jt
from tests.nn.both import same_error
from tests.nn.twins import normal
from tests.reference import assert_same

WAYS = {
    "weight_norm": lambda lib, m: lib.nn.utils.weight_norm(m),
    "spectral_norm": lambda lib, m: lib.nn.utils.spectral_norm(m),
    "parametrized weight_norm": lambda lib, m: lib.nn.utils.parametrizations.weight_norm(m),
    "parametrized spectral_norm": lambda lib, m: lib.nn.utils.parametrizations.spectral_norm(m),
    "matrix_exp": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(
        m, orthogonal_map="matrix_exp"
    ),
    "cayley": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(m, orthogonal_map="cayley"),
    "householder": lambda lib, m: lib.nn.utils.parametrizations.orthogonal(
        m, orthogonal_map="householder"
    ),
    "identity mask": lambda lib, m: lib.nn.utils.prune.identity(m, "weight"),
    "pruned": lambda lib, m: lib.nn.utils.prune.l1_unstructured(m, "weight", 0.5),
}


def quiet(way, lib, module):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return WAYS[way](lib, module)


def load(ours, theirs):
    ours.load_state_dict({k: jt.tensor(v.detach().numpy()) for k, v in theirs.state_dict().items()})


@pytest.mark.parametrize("way", WAYS)
def test_two_training_steps_and_the_state_equal_pytorchs(way):
    ours = quiet(way, jt, jt.nn.Linear(3, 2))
    theirs = quiet(way, torch, torch.nn.Linear(3, 2))
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    load(ours, theirs)
    assert_same(dict(ours.named_parameters()), dict(theirs.named_parameters()))
    x = normal(4, 3)
    for lib, model in ((jt, ours), (torch, theirs)):
        optimizer = lib.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            (model(lib.tensor(x)) ** 2).sum().backward()
            optimizer.step()
    assert_same(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=1e-4, atol=1e-5)
    grads = [[p.grad for p in m.parameters()] for m in (ours, theirs)]
    assert_same(*grads, rtol=1e-3, atol=1e-4)
    theirs.load_state_dict(
        {k: torch.tensor(v.detach().numpy()) for k, v in ours.state_dict().items()}
    )


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_undoing_a_hook_leaves_the_weight_as_a_parameter(kind):
    for lib in (jt, torch):
        layer = quiet(kind, lib, lib.nn.Linear(3, 2))
        x = lib.tensor(normal(4, 3))
        before = layer.eval()(x).detach()
        getattr(lib.nn.utils, f"remove_{kind}")(layer)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        np.testing.assert_allclose(layer(x).detach().numpy(), before.numpy(), rtol=1e-5, atol=1e-6)


def test_parametrizations_are_registered_copied_assigned_and_removed():
    for lib in (jt, torch):
        p = lib.nn.utils.parametrize

        class Symmetric(lib.nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).mT

            def right_inverse(self, a):
                return a.triu()

        layer = lib.nn.Linear(3, 3)
        p.register_parametrization(layer, "weight", Symmetric())
        assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
        assert p.is_parametrized(layer, "weight")
        assert not p.is_parametrized(layer, "bias")
        assert p.type_before_parametrizations(layer) is lib.nn.Linear
        layer.weight = lib.ones(3, 3)
        assert layer.weight.sum().item() == 9
        with p.cached():
            assert layer.weight is layer.weight
        twin = p.transfer_parametrizations_and_params(layer, lib.nn.Linear(3, 3))
        assert twin.weight.sum().item() == 9
        assert copy.deepcopy(layer).weight.sum().item() == 9
        p.remove_parametrizations(layer, "weight")
        assert type(layer) is lib.nn.Linear
        assert list(layer.state_dict()) == ["bias", "weight"]


def masks(lib, action):
    weight = lib.nn.Parameter(lib.tensor(normal(3, 4, 2)))
    layer = lib.nn.Conv1d(4, 3, 2)
    layer.weight = weight
    action(lib.nn.utils.prune, layer)
    return layer.weight_mask, layer.weight


@pytest.mark.parametrize(
    "action",
    [
        lambda p, m: p.l1_unstructured(m, "weight", 5),
        lambda p, m: p.ln_structured(m, "weight", 0.5, 2, 1),
        lambda p, m: p.ln_structured(m, "weight", 1, float("inf"), -1),
        lambda p, m: [p.l1_unstructured(m, "weight", 0.5) for _ in range(2)],
        lambda p, m: [p.ln_structured(m, "weight", 1, 2, d) for d in (0, 1)],
        lambda p, m: p.global_unstructured(
            [(m, "weight"), (m, "bias")], p.L1Unstructured, amount=24
        ),
    ],
)
def test_masks_are_pytorchs(action):
    ours, theirs = masks(jt, action), masks(torch, action)
    if ours[0].sum().item() != 3:  # biases start at random: a global mask is only counted
        assert_same(ours[0], theirs[0])


def test_random_masks_prune_as_many_and_removing_keeps_the_zeros():
    p = jt.nn.utils.prune
    layer = p.random_unstructured(jt.nn.Linear(4, 4), "weight", 0.25)
    assert layer.weight_mask.sum().item() == 12
    assert p.is_pruned(layer)
    p.remove(layer, "weight")
    assert not p.is_pruned(layer)
    assert (layer.weight == 0).sum().item() == 4
    layer = p.random_structured(jt.nn.Linear(4, 4), "weight", 1, 0)
    assert layer.weight_mask.sum(1).tolist().count(0) == 1


def test_fused_layers_compute_what_the_two_did():
    utils = jt.nn.utils
    bn = jt.nn.BatchNorm2d(3).eval()
    bn.running_mean.copy_(jt.tensor([1.0, 2.0, 3.0]))
    x = jt.tensor(normal(2, 2, 4, 4))
    for conv, flag in ((jt.nn.Conv2d(2, 3, 2), False), (jt.nn.ConvTranspose2d(2, 3, 2), True)):
        fused = utils.fuse_conv_bn_eval(conv.eval(), bn, flag)
        np.testing.assert_allclose(
            fused(x).detach().numpy(), bn(conv(x)).detach().numpy(), rtol=1e-4, atol=1e-5
        )
    linear, bn1 = jt.nn.Linear(4, 3, bias=False).eval(), jt.nn.BatchNorm1d(3).eval()
    fused, x = utils.fuse_linear_bn_eval(linear, bn1), jt.tensor(normal(5, 4))
    np.testing.assert_allclose(
        fused(x).detach().numpy(), bn1(linear(x)).detach().numpy(), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: lib.nn.utils.remove_weight_norm(lib.nn.Linear(3, 2)),
        lambda lib: lib.nn.utils.remove_spectral_norm(lib.nn.Linear(3, 2)),
        lambda lib: lib.nn.utils.spectral_norm(lib.nn.Linear(3, 2), n_power_iterations=0),
        lambda lib: lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(3, 3), "bias"),
        lambda lib: lib.nn.utils.parametrizations.orthogonal(lib.nn.Linear(3, 3), "no"),
        lambda lib: lib.nn.utils.parametrizations.orthogonal(
            lib.nn.Linear(3, 3), orthogonal_map="no"
        ),
        lambda lib: lib.nn.utils.parametrize.remove_parametrizations(lib.nn.Linear(3, 3), "weight"),
        lambda lib: lib.nn.utils.prune.l1_unstructured(lib.nn.Linear(3, 2), "weight", 1.5),
        lambda lib: lib.nn.utils.prune.l1_unstructured(lib.nn.Linear(3, 2), "weight", 7),
        lambda lib: lib.nn.utils.prune.l1_unstructured(lib.nn.Linear(3, 2), "weight", "x"),
        lambda lib: lib.nn.utils.prune.ln_structured(lib.nn.Linear(3, 2), "bias", 0.5, 2, 0),
        lambda lib: lib.nn.utils.prune.random_structured(lib.nn.Linear(3, 2), "weight", 0.5, 5),
        lambda lib: lib.nn.utils.prune.remove(lib.nn.Linear(3, 2), "weight"),
        lambda lib: lib.nn.utils.fuse_conv_bn_eval(lib.nn.Conv2d(2, 3, 2), lib.nn.BatchNorm2d(3)),
        lambda lib: lib.nn.utils.skip_init(lib.nn.ReLU),
    ],
)
def test_errors_are_pytorchs(action):
    same_error(action)
