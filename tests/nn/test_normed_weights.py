"""`weight_norm`, `spectral_norm`, fused BatchNorm and `skip_init` against PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import jtoolbox as jt
from tests.nn.twins import normal
from tests.reference import assert_same

pytestmark = pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
LIBRARIES = (jt, torch)
LAYERS = {
    "linear": (lambda nn: nn.Linear(3, 2), (4, 3)),
    "conv": (lambda nn: nn.Conv2d(2, 3, 2), (2, 2, 4, 4)),
    "transposed": (lambda nn: nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 3)),
}


def both(kind, layer, **settings):
    """The wrapped layer in both libraries, with PyTorch's state."""
    make, shape = LAYERS[layer]
    ours, theirs = (getattr(lib.nn.utils, kind)(make(lib.nn), **settings) for lib in LIBRARIES)
    state = theirs.state_dict()
    assert list(ours.state_dict()) == list(state)
    assert ours.state_dict()._metadata == state._metadata
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: jt.tensor(v.numpy()) for k, v in state.items()})
    return ours, theirs, normal(*shape)


def train(library, layer, x, steps=3):
    optimizer = library.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = layer(library.tensor(x)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("weight_norm", {}),
        ("weight_norm", {"dim": None}),
        ("weight_norm", {"dim": 1}),
        ("spectral_norm", {}),
        ("spectral_norm", {"n_power_iterations": 3, "dim": 1}),
    ],
)
def test_a_wrapped_layer_trains_as_pytorchs_and_is_unwrapped_to_the_same_weight(
    kind, settings, layer
):
    ours, theirs, x = both(kind, layer, **settings)
    assert train(jt, ours, x) == pytest.approx(train(torch, theirs, x), rel=1e-4)
    assert_same(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=1e-4, atol=1e-5)
    for lib, module in zip(LIBRARIES, (ours, theirs), strict=True):
        getattr(lib.nn.utils, f"remove_{kind}")(module)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert_same(ours.weight.detach(), theirs.weight, rtol=1e-4, atol=1e-5)
    assert_same(ours.eval()(jt.tensor(x)).detach(), theirs.eval()(torch.tensor(x)), rtol=1e-4)


def test_a_step_through_a_spectral_norm_is_one_program(compilations):
    layer = jt.nn.utils.spectral_norm(jt.nn.Linear(3, 2))
    train(jt, layer, normal(4, 3), 2)
    compilations.count()
    train(jt, layer, normal(4, 3), 2)
    assert compilations.count() == 0


def test_in_eval_mode_the_singular_vectors_stay():
    layer = jt.nn.utils.spectral_norm(jt.nn.Linear(3, 2)).eval()
    before = layer.weight_u.numpy()
    layer(jt.ones(1, 3))
    np.testing.assert_array_equal(layer.weight_u.numpy(), before)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm"])
def test_a_second_wrapping_and_a_missing_one_raise_as_in_pytorch(kind):
    for lib in LIBRARIES:
        layer = lib.nn.Linear(3, 2)
        with pytest.raises(ValueError, match=f"{kind} of 'weight' not found in Linear"):
            getattr(lib.nn.utils, f"remove_{kind}")(layer)
        getattr(lib.nn.utils, kind)(layer)
        with pytest.raises(RuntimeError, match=f"two {kind} hooks on the same parameter weight"):
            getattr(lib.nn.utils, kind)(layer)
        with pytest.raises(ValueError, match="can't have uninitialized parameters"):
            getattr(lib.nn.utils, kind)(lazy(lib))


def lazy(lib):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return lib.nn.LazyLinear(2)


def test_spectral_norm_refuses_no_iterations():
    for lib in LIBRARIES:
        with pytest.raises(ValueError, match="Expected n_power_iterations to be positive"):
            lib.nn.utils.spectral_norm(lib.nn.Linear(3, 2), n_power_iterations=0)


@pytest.mark.parametrize(
    ("layer", "affine"),
    [("linear", True), ("conv", True), ("conv", False), ("transposed", True)],
)
def test_a_fused_layer_does_what_the_two_did(layer, affine):
    make, shape = LAYERS[layer]
    fused = []
    weights = None
    for lib in reversed(LIBRARIES):
        first = make(lib.nn)
        features = 2 if layer == "linear" else 3
        norm = (lib.nn.BatchNorm1d if layer == "linear" else lib.nn.BatchNorm2d)(
            features, affine=affine
        )
        pair = lib.nn.Sequential(first, norm)
        if weights is None:
            norm.running_mean.copy_(lib.tensor(normal(features)))
            norm.running_var.copy_(lib.tensor(np.abs(normal(features)) + 0.5))
            weights = {k: v.numpy() for k, v in pair.state_dict().items()}
        else:
            pair.load_state_dict({k: lib.tensor(v) for k, v in weights.items()})
        pair.eval()
        if layer == "linear":
            fused.append((lib.nn.utils.fuse_linear_bn_eval(first, norm), pair))
        else:
            fuse = lib.nn.utils.fuse_conv_bn_eval
            fused.append((fuse(first, norm, transpose=layer == "transposed"), pair))
    (theirs, _), (ours, pair) = fused
    assert_same(ours.weight.detach(), theirs.weight)
    assert_same(ours.bias.detach(), theirs.bias)
    x = jt.tensor(normal(*shape))
    with jt.no_grad():
        np.testing.assert_allclose(ours(x).numpy(), pair(x).numpy(), rtol=1e-4, atol=1e-5)


def test_fusing_refuses_training_mode_and_other_sizes():
    for lib in LIBRARIES:
        with pytest.raises(AssertionError, match="Fusion only for eval!"):
            lib.nn.utils.fuse_conv_bn_eval(lib.nn.Conv2d(1, 2, 1), lib.nn.BatchNorm2d(2))
        with pytest.raises(
            AssertionError, match=r"got linear.out_features=2 and bn.num_features=3"
        ):
            lib.nn.utils.fuse_linear_bn_eval(
                lib.nn.Linear(1, 2).eval(), lib.nn.BatchNorm1d(3).eval()
            )


def test_skip_init_gives_the_module_and_refuses_what_takes_no_device():
    for lib in LIBRARIES:
        assert lib.nn.utils.skip_init(lib.nn.Linear, 3, 2).weight.shape == (2, 3)
        with pytest.raises(RuntimeError, match="Module must support a 'device' arg"):
            lib.nn.utils.skip_init(lib.nn.ReLU)
        with pytest.raises(RuntimeError, match="Expected a Module; got"):
            lib.nn.utils.skip_init(int)


def test_the_old_place_of_functional_call_is_there():
    layer = jt.nn.Linear(2, 2)
    zeros = {name: jt.zeros_like(p) for name, p in layer.named_parameters()}
    assert (
        jt.nn.utils.stateless.functional_call(layer, zeros, jt.ones(1, 2)).abs().sum().item() == 0
    )
