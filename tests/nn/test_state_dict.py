"""`state_dict` and `load_state_dict`: keys, metadata, messages, hooks; also across libraries."""

from __future__ import annotations

from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import nn
from tests.nn.both import both, layer, net, same, same_error


def values(module):
    return {name: value.tolist() for name, value in module.state_dict().items()}


# --- saving


@pytest.mark.parametrize("prefix", ["", "model."])
def test_keys_order_and_metadata_are_pytorchs(prefix):
    def saved(lib):
        state = net(lib).state_dict(prefix=prefix)
        return type(state), list(state), dict(state._metadata)

    same(saved)


@both
def test_values_are_detached_unless_variables_are_kept(lib):
    model = net(lib)
    assert not model.state_dict()["scale"].requires_grad
    assert model.state_dict(keep_vars=True)["scale"] is model.scale


@both
def test_a_destination_is_filled(lib):
    destination = OrderedDict(already=1)
    assert layer(lib).state_dict(destination=destination, prefix="x.") is destination
    assert list(destination) == ["already", "x.weight", "x.mean"]


@both
def test_positional_arguments_still_work_with_a_warning(lib):
    destination = OrderedDict()
    with pytest.warns(FutureWarning, match="Positional args"):
        layer(lib).state_dict(destination, "x.", True)
    assert list(destination) == ["x.weight", "x.mean"]
    assert destination["x.weight"].requires_grad


def extra(lib):
    class Extra(lib.nn.Module):
        steps = 3

        def get_extra_state(self):
            return {"steps": self.steps}

        def set_extra_state(self, state):
            self.steps = state["steps"]

    return lib.nn.Sequential(layer(lib), Extra())


@both
def test_extra_state_is_saved_and_loaded(lib):
    model = extra(lib)
    state = model.state_dict()
    assert state["1._extra_state"] == {"steps": 3}
    model[1].steps = 5
    model.load_state_dict(state)
    assert model[1].steps == 3


def test_extra_state_must_be_defined_as_a_pair():
    with pytest.raises(RuntimeError, match="defines both get_extra_state and set_extra_state"):
        nn.Module().get_extra_state()


# --- loading


@both
def test_loading_copies_into_the_parameters_there_are(lib):
    source, model = net(lib), net(lib)
    with lib.no_grad():
        source.scale.mul_(5)
        source.first.weight.mul_(2)
        source.rest[0].mean.add_(1)
    before = list(model.parameters())
    result = model.load_state_dict(source.state_dict())
    assert repr(result) == str(result) == "<All keys matched successfully>"
    assert result == ([], [])
    assert values(model) == values(source)
    assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())
    with lib.no_grad():
        source.scale.mul_(7)
    assert model.scale.tolist() == [5.0]


@both
def test_a_model_loads_its_own_state(lib):
    model = net(lib)
    before = values(model)
    model.load_state_dict(model.state_dict())
    assert values(model) == before


@both
def test_tied_parameters_stay_tied(lib):
    model = lib.nn.Sequential(layer(lib), layer(lib))
    model[1].weight = model[0].weight
    state = model.state_dict()
    assert list(state) == ["0.weight", "0.mean", "1.weight", "1.mean"]
    state = {name: value.clone() * 3 for name, value in state.items()}
    model.load_state_dict(state)
    assert model[0].weight is model[1].weight
    assert model[0].weight.tolist() == [[3.0] * 3] * 2


@both
def test_values_take_the_models_type(lib):
    model = layer(lib)
    model.load_state_dict({"weight": lib.ones((2, 3)).double() * 2, "mean": lib.ones(3).half()})
    assert model.weight.dtype is lib.float32
    assert model.weight.tolist() == [[2.0] * 3] * 2
    assert model.mean.dtype is lib.float32


@both
def test_a_single_element_loads_into_a_scalar(lib):
    model = lib.nn.Module()
    model.scale = lib.nn.Parameter(lib.tensor(1.0))
    model.load_state_dict({"scale": lib.ones(1) * 4})
    assert model.scale.item() == 4.0


@both
def test_assigning_takes_the_given_tensors(lib):
    model = layer(lib)
    given = {"weight": lib.ones((2, 3)).double(), "mean": lib.ones(3)}
    model.requires_grad_(False)
    model.load_state_dict(given, assign=True)
    assert model.weight.dtype is lib.float64
    assert isinstance(model.weight, lib.nn.Parameter)
    assert not model.weight.requires_grad
    assert model.mean is given["mean"]
    parameter = lib.nn.Parameter(lib.ones((2, 3)))
    model.load_state_dict({"weight": parameter, "mean": lib.ones(3)}, assign=True)
    assert model.weight is parameter


def _load(lib, changes, strict=True, build=net):
    model = build(lib)
    state = model.state_dict()
    for name, shape in changes.items():
        if shape is None:
            del state[name]
        else:
            state[name] = lib.zeros(shape) if isinstance(shape, tuple) else shape
    return model.load_state_dict(state, strict=strict)


CHANGES = {
    "missing": {"scale": None, "rest.0.mean": None},
    "unexpected": {"other": (1,), "rest.0.other": (1,), "first.weight.deep": (1,)},
    "misshapen": {"scale": (2,), "first.weight": (3, 2), "rest.1.0.mean": ()},
    "all of it": {"scale": (2,), "rest.0.mean": None, "zzz": (1,)},
    "no tensor": {"scale": 3, "first.weight": "text"},
    "unexpected extra state": {"_extra_state": (1,)},
}


@pytest.mark.parametrize("case", CHANGES)
def test_messages_are_pytorchs(case):
    same_error(lambda lib: _load(lib, CHANGES[case]))


def test_missing_extra_state_is_a_missing_key():
    same_error(lambda lib: _load(lib, {"1._extra_state": None}, build=extra))


def test_something_else_than_a_dict_is_refused():
    same_error(lambda lib: net(lib).load_state_dict([1, 2]))


def test_without_strict_the_keys_are_returned():
    changes = {"scale": None, "other": (1,), "rest.other": (1,)}
    same(lambda lib: tuple(_load(lib, changes, strict=False)))
    same(lambda lib: repr(_load(lib, changes, strict=False)))


def test_without_strict_a_wrong_shape_is_still_an_error():
    same_error(lambda lib: _load(lib, {"scale": (2,)}, strict=False))


@both
def test_what_fits_is_loaded_before_the_error(lib):
    model = layer(lib)
    with pytest.raises(RuntimeError, match="size mismatch for mean"):
        model.load_state_dict({"weight": lib.zeros((2, 3)), "mean": lib.zeros(4)})
    assert model.weight.tolist() == [[0.0] * 3] * 2


# --- other libraries' arrays


@pytest.mark.parametrize("make", [np.asarray, jnp.asarray, torch.tensor, jt.tensor])
def test_arrays_of_any_library_are_loaded(make):
    weight, mean = np.arange(6, dtype=np.float32).reshape(2, 3), np.ones(3, np.float32)
    for assign in (False, True):
        model = layer(jt)
        model.load_state_dict({"weight": make(weight), "mean": make(mean)}, assign=assign)
        assert model.weight.tolist() == weight.tolist()
        assert isinstance(model.weight, nn.Parameter)


def test_a_loaded_array_may_be_overwritten_afterwards():
    weight = np.ones((2, 3), np.float32)
    model = layer(jt)
    model.load_state_dict({"weight": weight, "mean": np.zeros(3, np.float32)})
    weight[:] = 7
    assert model.weight.tolist() == [[1.0] * 3] * 2


def test_loading_compiles_nothing(compilations):
    model = nn.Sequential(*(nn.Linear(size, size + 1) for size in range(20, 30)))
    state = model.state_dict()
    arrays = {name: value.numpy() for name, value in state.items()}
    compilations.count()
    model.load_state_dict(state)
    model.load_state_dict(arrays)
    assert compilations.count() == 0


def test_pytorchs_half_types_are_loaded():
    for dtype in (torch.bfloat16, torch.float16):
        weight = torch.tensor([[1.5, 2.5, -3.0], [0.0, 4.0, 5.0]]).to(dtype)
        model = layer(jt)
        model.load_state_dict({"weight": weight, "mean": torch.zeros(3)}, assign=True)
        assert str(model.weight.dtype) == str(dtype)
        assert model.weight.tolist() == weight.tolist()


def test_states_pass_between_the_libraries():
    ours, theirs = net(jt), net(torch)
    with torch.no_grad():
        for i, p in enumerate(theirs.parameters()):
            p.fill_(i)
    assert str(ours.load_state_dict(theirs.state_dict())) == "<All keys matched successfully>"
    assert values(ours) == values(theirs)
    as_numpy = {k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()}
    theirs.load_state_dict(as_numpy)


# --- hooks


@both
def test_state_dict_hooks_run_before_and_after(lib):
    log = []
    model = lib.nn.Sequential(layer(lib))
    model[0].register_state_dict_pre_hook(lambda m, prefix, keep: log.append((prefix, keep)))

    def rename(module, state, prefix, metadata):
        state[prefix + "renamed"] = state.pop(prefix + "mean")
        log.append(metadata)

    model[0].register_state_dict_post_hook(rename)
    assert list(model.state_dict()) == ["0.weight", "0.renamed"]
    assert log == [("0.", False), {"version": 1}]


@both
def test_a_private_state_dict_hook_may_return_another_dict(lib):
    model = layer(lib)
    model._register_state_dict_hook(lambda m, state, prefix, metadata: {"only": 1})
    assert model.state_dict() == {"only": 1}


def _post_hook_returns(lib):
    model = layer(lib)
    model.register_state_dict_post_hook(lambda *args: {})
    model.state_dict()


def test_a_public_state_dict_hook_returns_nothing():
    same_error(_post_hook_returns)


@both
def test_load_hooks_see_and_change_the_keys(lib):
    log = []
    model = lib.nn.Sequential(layer(lib))

    def old_name(module, state, prefix, metadata, strict, missing, unexpected, errors):
        log.append((module is model[0], prefix, strict))
        state[prefix + "weight"] = state.pop(prefix + "w")

    model[0].register_load_state_dict_pre_hook(old_name)
    model.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    state = {"0.w": lib.zeros((2, 3))}
    assert repr(model.load_state_dict(state)) == "<All keys matched successfully>"
    assert log == [(True, "0.", True)]
    assert list(state) == ["0.w"]
    assert model[0].weight.tolist() == [[0.0] * 3] * 2


@both
def test_versions_reach_the_loading_module(lib):
    seen = []

    class Versioned(lib.nn.Module):
        _version = 2

        def _load_from_state_dict(self, state_dict, prefix, local_metadata, *rest):
            seen.append(local_metadata.get("version"))
            super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    model = lib.nn.Sequential(Versioned())
    model.load_state_dict(model.state_dict())
    model.load_state_dict(dict(model.state_dict()))
    assert seen == [2, None]
