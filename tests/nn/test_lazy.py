"""Lazy modules become the ordinary ones in their first call, and load state before it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox.nn.lazy import LazyModuleMixin
from jtoolbox.nn.parameter import is_lazy
from tests.nn.both import both, same, same_error
from tests.nn.twins import normal
from tests.reference import assert_same

LAYERS = {
    "LazyLinear(3)": ("Linear(5, 3)", (2, 5)),
    "LazyLinear(3, bias=False)": ("Linear(5, 3, bias=False)", (2, 5)),
    "LazyConv1d(3, 2, padding=1)": ("Conv1d(4, 3, 2, padding=1)", (2, 4, 5)),
    "LazyConv2d(4, 2, groups=2)": ("Conv2d(4, 4, 2, groups=2)", (4, 3, 3)),
    "LazyConv3d(3, 2, bias=False)": ("Conv3d(2, 3, 2, bias=False)", (1, 2, 3, 3, 3)),
    "LazyConvTranspose1d(3, 2)": ("ConvTranspose1d(4, 3, 2)", (2, 4, 5)),
    "LazyConvTranspose2d(4, 2, groups=2)": ("ConvTranspose2d(6, 4, 2, groups=2)", (1, 6, 2, 2)),
    "LazyConvTranspose3d(3, 2)": ("ConvTranspose3d(2, 3, 2)", (1, 2, 2, 2, 2)),
    "LazyBatchNorm1d()": ("BatchNorm1d(4)", (3, 4)),
    "LazyBatchNorm2d(affine=False)": ("BatchNorm2d(4, affine=False)", (2, 4, 3, 3)),
    "LazyBatchNorm3d(bias=False)": ("BatchNorm3d(2, bias=False)", (2, 2, 2, 2, 2)),
    "LazyInstanceNorm1d()": ("InstanceNorm1d(3, 1e-5, 0.1, True, True)", (2, 3, 4)),
    "LazyInstanceNorm2d(affine=False)": ("InstanceNorm2d(3, 1e-5, 0.1, False, True)", (2, 3, 2, 2)),
    "LazyInstanceNorm3d(track_running_stats=False)": (
        "InstanceNorm3d(2, affine=True)",
        (1, 2, 2, 2, 2),
    ),
}


def make(lib, text: str):
    return eval(f"nn.{text}", {"nn": lib.nn})


@pytest.mark.parametrize("text", LAYERS)
def test_the_first_call_makes_the_ordinary_layer(text: str) -> None:
    ordinary, shape = LAYERS[text]
    ours, theirs = make(jt, text), make(torch, text)
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    kind = type(make(jt, ordinary))
    assert type(ours) is not kind
    assert isinstance(ours, kind)
    result = ours(jt.tensor(normal(*shape)))
    assert type(ours) is kind
    theirs(torch.tensor(normal(*shape)))
    assert repr(ours) == repr(theirs) == repr(make(torch, ordinary))
    state = theirs.state_dict()
    assert {k: v.shape for k, v in ours.state_dict().items()} == {
        k: v.shape for k, v in state.items()
    }
    assert result.shape == theirs(torch.tensor(normal(*shape))).shape
    assert not any(is_lazy(v) for v in ours.state_dict().values())


@pytest.mark.parametrize(
    "text", ["LazyLinear(3)", "LazyConv1d(3, 2, padding=1)", "LazyBatchNorm1d()"]
)
def test_state_is_loaded_before_the_first_call(text: str) -> None:
    ordinary, shape = LAYERS[text]
    theirs = make(torch, ordinary)
    ours = make(jt, text)
    assert not ours.load_state_dict(theirs.state_dict()).missing_keys
    x = normal(*shape)
    assert_same(ours(jt.tensor(x)), theirs(torch.tensor(x)), rtol=1e-4, atol=1e-5)
    assert repr(ours) == repr(theirs)
    again = make(jt, text)
    again.load_state_dict(make(jt, text).state_dict())
    assert again.has_uninitialized_params()


def test_a_model_of_lazy_layers_trains_with_an_optimizer_made_before_or_after() -> None:
    for early in (True, False):
        model = jt.nn.Sequential(jt.nn.LazyLinear(8), jt.nn.ReLU(), jt.nn.LazyLinear(1))
        x = jt.tensor(normal(16, 5))
        parameters = list(model.parameters())
        if not early:
            model(x)
        optimizer = jt.optim.SGD(model.parameters(), 0.1)
        losses = []
        for _ in range(5):
            loss = ((model(x) - 1) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.9 * losses[0]
        assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
        assert all(type(p) is jt.nn.Parameter and p.is_leaf for p in parameters)


def test_the_first_call_may_be_under_no_grad_and_with_keywords() -> None:
    layer = jt.nn.LazyLinear(3)
    with jt.no_grad():
        assert layer(input=jt.ones(2, 5)).shape == (2, 3)
    assert layer.weight.requires_grad
    layer(jt.ones(2, 5)).sum().backward()
    assert (layer.weight.grad == 2).all()


def test_types_and_devices_are_kept_copied_and_moved() -> None:
    layer = jt.nn.LazyBatchNorm1d().double()
    assert layer.running_mean.dtype == layer.weight.dtype == jt.float64
    twin = pickle.loads(pickle.dumps(copy.deepcopy(layer)))
    assert repr(twin) == repr(layer)
    twin.requires_grad_(False)
    assert twin(jt.ones(3, 2, dtype=jt.float64)).dtype == jt.float64
    assert twin.weight.dtype == jt.float64
    assert not twin.weight.requires_grad
    assert layer.has_uninitialized_params()


@both
def test_an_uninitialized_parameter_becomes_one(lib) -> None:
    p = lib.nn.UninitializedParameter(dtype=lib.float64)
    assert (repr(p), p.dtype, p.requires_grad) == ("<UninitializedParameter>", lib.float64, True)
    assert isinstance(p, lib.nn.Parameter)
    p.materialize((2, 3))
    assert type(p) is lib.nn.Parameter
    assert (tuple(p.shape), p.dtype, p.requires_grad) == ((2, 3), lib.float64, True)
    b = lib.nn.UninitializedBuffer()
    assert (repr(b), b.requires_grad) == ("<UninitializedBuffer>", False)
    b.materialize((2,), dtype=lib.float64)
    assert (type(b), b.dtype) == (lib.Tensor, lib.float64)


def mixin(lib):
    return LazyModuleMixin if lib is jt else torch.nn.modules.lazy.LazyModuleMixin


def own(lib, forget: bool = False):
    """A lazy module of a user, which stays of its class."""

    class Scale(mixin(lib), lib.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = lib.nn.UninitializedParameter()

        def initialize_parameters(self, x) -> None:
            if not forget:
                self.weight.materialize(x.shape[-1:])
                lib.nn.init.ones_(self.weight)

        def forward(self, x):
            return x * self.weight

    return Scale()


@both
def test_a_lazy_module_of_ones_own_keeps_its_class(lib) -> None:
    module = own(lib)
    kind = type(module)
    assert module(lib.ones(2, 3)).tolist() == [[1.0] * 3] * 2
    assert type(module) is kind
    assert module.cls_to_become is None
    assert not module.has_uninitialized_params()


def unnamed(lib):
    class Empty(mixin(lib), lib.nn.Module):
        pass

    Empty()(lib.ones(1))


def other_size(lib):
    layer = lib.nn.LazyLinear(3)
    layer.load_state_dict(lib.nn.Linear(5, 3).state_dict())
    layer(lib.ones(2, 7))


@pytest.mark.parametrize(
    "action",
    [
        unnamed,
        other_size,
        lambda lib: own(lib, forget=True)(lib.ones(2)),
        lambda lib: lib.nn.LazyConv2d(3, 2)(lib.ones(4, 5)),
        lambda lib: lib.nn.LazyBatchNorm2d()(lib.ones(4, 5, 5)),
        lambda lib: lib.nn.LazyLinear(3).weight.shape,
        lambda lib: lib.nn.Linear(5, 3).load_state_dict(lib.nn.LazyLinear(3).state_dict()),
        lambda lib: lib.nn.LazyLinear(3).load_state_dict({}),
    ],
)
def test_mistakes_raise_pytorchs_error(action) -> None:
    same_error(action)


@pytest.mark.parametrize(
    "use",
    [lambda p: p + 1, lambda p: p.numel(), lambda p: p.uniform_(), lambda p: p @ p],
)
def test_using_a_parameter_without_a_shape_raises_pytorchs_type(use) -> None:
    for lib in (jt, torch):
        with pytest.raises(ValueError, match="Attempted to use an uninitialized parameter"):
            use(lib.nn.LazyLinear(3).weight)
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        jt.nn.LazyConv2d(3, 2, groups=3)(jt.ones(1, 4, 3, 3))


def test_a_first_call_inside_a_compiled_step_raises() -> None:
    layer = jt.nn.LazyLinear(3)
    with pytest.raises(RuntimeError, match="LazyLinear gets its parameters in its first call"):
        jt.jit(lambda x: layer(x))(jt.ones(2, 5))
    assert layer.has_uninitialized_params()


def test_initial_values_are_those_of_the_ordinary_layer() -> None:
    layer = jt.nn.LazyLinear(1000)
    layer(jt.ones(1, 100))
    assert np.abs(layer.weight.detach().numpy()).max() <= 0.1
    assert abs(layer.weight.std().item() - 0.1 / np.sqrt(3)) < 1e-3
    same(lambda lib: [p.requires_grad for p in lib.nn.LazyLinear(2).parameters()])
