"""Containers: how they are built, indexed, changed, printed and called."""

from __future__ import annotations

import copy
import operator
import pickle
from collections import OrderedDict

import pytest
import torch

import jtoolbox as jt
from jtoolbox import nn
from tests.nn.both import both, layer, same, same_error


def named(lib, *sizes):
    """A module for each size, told apart by its repr."""

    class Sized(lib.nn.Module):
        def __init__(self, size):
            super().__init__()
            self.size = size
            self.weight = lib.nn.Parameter(lib.ones(size))

        def forward(self, x):
            return [*x, self.size]

        def extra_repr(self):
            return str(self.size)

    return [Sized(size) for size in sizes]


def sizes(container):
    return [(name, module.size) for name, module in container._modules.items()]


# --- Sequential


@both
def test_sequential_is_built_in_three_ways(lib):
    a, b = named(lib, 1, 2)
    assert sizes(lib.nn.Sequential(a, b)) == [("0", 1), ("1", 2)]
    by_name = lib.nn.Sequential(OrderedDict(first=a, second=b))
    assert sizes(by_name) == [("first", 1), ("second", 2)]
    assert by_name.first is a
    step_by_step = lib.nn.Sequential()
    step_by_step.add_module("first", a)
    assert sizes(step_by_step.append(b)) == [("first", 1), ("1", 2)]


@both
def test_sequential_calls_one_after_the_other(lib):
    assert lib.nn.Sequential(*named(lib, 1, 2, 3))([]) == [1, 2, 3]
    assert lib.nn.Sequential()("same") == "same"


@both
def test_sequential_is_indexed_like_a_list(lib):
    modules = named(lib, 1, 2, 3)
    model = lib.nn.Sequential(*modules)
    assert len(model) == 3
    assert list(model) == modules
    assert model[0] is modules[0]
    assert model[-1] is modules[2]
    assert sizes(model[1:]) == [("1", 2), ("2", 3)]
    assert type(model[::2]) is lib.nn.Sequential
    model[1] = modules[0]
    assert sizes(model) == [("0", 1), ("1", 1), ("2", 3)]


@both
def test_sequential_is_changed_like_a_list(lib):
    model = lib.nn.Sequential(*named(lib, 1, 2, 3, 4))
    del model[1]
    assert sizes(model) == [("0", 1), ("1", 3), ("2", 4)]
    assert model.pop(-1).size == 4
    assert not hasattr(model, "2")
    model.extend(named(lib, 5, 6)).insert(1, *named(lib, 7))
    assert sizes(model) == [("0", 1), ("1", 7), ("2", 3), ("3", 5), ("4", 6)]
    assert model.insert(-1, *named(lib, 8)) is model
    assert model([]) == [1, 7, 3, 5, 8, 6]
    del model[1:4]
    assert sizes(model) == [("0", 1), ("1", 8), ("2", 6)]
    assert sizes(model.pop(slice(0, 2))) == [("0", 1), ("1", 8)]
    assert [n for n, _ in model.named_parameters()] == ["0.weight"]


@both
def test_sequentials_are_added_and_multiplied(lib):
    a, b = lib.nn.Sequential(*named(lib, 1)), lib.nn.Sequential(*named(lib, 2, 3))
    assert sizes(a + b) == [("0", 1), ("1", 2), ("2", 3)]
    assert sizes(b * 2) == sizes(2 * b) == [("0", 2), ("1", 3), ("2", 2), ("3", 3)]
    a += b
    assert sizes(a) == [("0", 1), ("1", 2), ("2", 3)]
    b *= 2
    assert sizes(b) == [("0", 2), ("1", 3), ("2", 2), ("3", 3)]
    assert sizes(b) == [("0", 2), ("1", 3), ("2", 2), ("3", 3)]


@both
def test_a_slice_of_a_subclass_has_its_class(lib):
    class Chain(lib.nn.Sequential):
        pass

    assert type(Chain(*named(lib, 1, 2))[:1]) is Chain


# --- ModuleList


@both
def test_module_list_is_indexed_and_changed_like_a_list(lib):
    modules = named(lib, 1, 2, 3)
    model = lib.nn.ModuleList(modules)
    assert len(model) == 3
    assert list(model) == modules
    assert model[-1] is modules[2]
    assert sizes(model[1:]) == [("0", 2), ("1", 3)]
    assert type(model[1:]) is lib.nn.ModuleList
    assert model.append(*named(lib, 4)) is model
    assert model.insert(0, *named(lib, 0)) is None
    assert sizes(model) == [("0", 0), ("1", 1), ("2", 2), ("3", 3), ("4", 4)]
    del model[0]
    del model[2:]
    assert sizes(model) == [("0", 1), ("1", 2)]
    assert model.pop(0).size == 1
    model[0] = named(lib, 9)[0]
    model += named(lib, 5)
    assert sizes(model + named(lib, 6)) == [("0", 9), ("1", 5), ("2", 6)]
    assert sizes(model.extend(m for m in named(lib, 7))) == [("0", 9), ("1", 5), ("2", 7)]
    assert model[jt.tensor(1) if lib is jt else torch.tensor(1)].size == 5


# --- ModuleDict


@both
def test_module_dict_behaves_like_a_dict(lib):
    a, b, c = named(lib, 1, 2, 3)
    model = lib.nn.ModuleDict({"a": a})
    model["b"] = b
    model.update([("c", c)])
    model.update(lib.nn.ModuleDict({"a": b}))
    assert sizes(model) == [("a", 2), ("b", 2), ("c", 3)]
    assert list(model) == list(model.keys()) == ["a", "b", "c"]
    assert list(model.values()) == [b, b, c]
    assert list(model.items()) == [("a", b), ("b", b), ("c", c)]
    assert len(model) == 3
    assert "a" in model
    assert "z" not in model
    assert model["c"] is c
    assert model.pop("c") is c
    del model["a"]
    assert list(model) == ["b"]
    assert not hasattr(model, "a")
    model.clear()
    assert len(model) == 0


# --- ParameterList


@both
def test_parameter_list_registers_tensors_and_keeps_the_rest(lib):
    given = lib.nn.Parameter(lib.ones(1))
    model = lib.nn.ParameterList([given, lib.ones(2), "text"])
    assert model[0] is given
    assert isinstance(model[1], lib.nn.Parameter)
    assert model[2] == "text"
    assert model[-1] == "text"
    assert len(model) == len(list(model)) == 3
    assert [n for n, _ in model.named_parameters()] == ["0", "1"]
    model.append(lib.ones(3)).extend([lib.ones(4)])
    model += [lib.ones(5)]
    assert [p.shape[0] for p in model[3:]] == [3, 4, 5]
    assert type(model[3:]) is lib.nn.ParameterList
    model[0] = lib.ones(9)
    assert model[0].shape[0] == 9


# --- ParameterDict


@both
def test_parameter_dict_behaves_like_a_dict(lib):
    given = lib.nn.Parameter(lib.ones(1))
    model = lib.nn.ParameterDict({"b": given, "a": lib.ones(2)})
    assert list(model) == ["a", "b"]
    assert model["b"] is given
    assert isinstance(model["a"], lib.nn.Parameter)
    model.update([("c", 3)])
    model.update(OrderedDict(z=lib.ones(1), y=lib.ones(1)))
    assert list(model.keys()) == ["a", "b", "c", "z", "y"]
    assert list(reversed(model)) == ["y", "z", "c", "b", "a"]
    assert [n for n, _ in model.named_parameters()] == ["a", "b", "z", "y"] or lib is torch
    assert model.get("c") == 3
    assert model.get("missing") is None
    assert model.get("missing", 4) == 4
    assert model.setdefault("c", 5) == 3
    assert model.setdefault("d", 5) == 5
    assert model.popitem() == ("d", 5)
    assert model.pop("c") == 3
    del model["z"]
    assert list(dict(model.items())) == ["a", "b", "y"]
    assert len(list(model.values())) == len(model) == 3
    assert "a" in model
    assert list(model.copy()) == ["a", "b", "y"]
    assert list(model | {"q": 1}) == ["a", "b", "y", "q"]
    model |= lib.nn.ParameterDict({"r": lib.ones(1)})
    assert model["r"].shape[0] == 1
    assert list(lib.nn.ParameterDict().fromkeys(["k", "l"], 1).items()) == [("k", 1), ("l", 1)]
    model.clear()
    assert len(model) == 0
    assert list(model.parameters()) == []


# --- errors


ERRORS = {
    "sequential of a number": lambda lib: lib.nn.Sequential(3),
    "sequential of a dict": lambda lib: lib.nn.Sequential({"a": layer(lib)}),
    "sequential index": lambda lib: lib.nn.Sequential(*named(lib, 1))[1],
    "sequential negative index": lambda lib: lib.nn.Sequential(*named(lib, 1))[-2],
    "sequential insert": lambda lib: lib.nn.Sequential().insert(1, layer(lib)),
    "sequential append": lambda lib: lib.nn.Sequential().append(3),
    "sequential times zero": lambda lib: (lib.nn.Sequential() * 0) and None,
    "list index": lambda lib: lib.nn.ModuleList()[0],
    "list of numbers": lambda lib: lib.nn.ModuleList([1]),
    "list extended by a number": lambda lib: lib.nn.ModuleList().extend(3),
    "list called": lambda lib: lib.nn.ModuleList(named(lib, 1))(3),
    "dict key": lambda lib: lib.nn.ModuleDict()["a"],
    "dict of a method's name": lambda lib: lib.nn.ModuleDict({"keys": layer(lib)}),
    "dict of a dotted name": lambda lib: lib.nn.ModuleDict({"a.b": layer(lib)}),
    "dict updated by a number": lambda lib: lib.nn.ModuleDict().update(3),
    "dict updated by numbers": lambda lib: lib.nn.ModuleDict().update([3]),
    "dict updated by triples": lambda lib: lib.nn.ModuleDict().update([(1, 2, 3)]),
    "dict called": lambda lib: lib.nn.ModuleDict()(3),
    "parameter list index": lambda lib: lib.nn.ParameterList()[0],
    "parameter list extended by a tensor": lambda lib: lib.nn.ParameterList().extend(lib.ones(2)),
    "parameter list called": lambda lib: lib.nn.ParameterList()(3),
    "parameter dict called": lambda lib: lib.nn.ParameterDict()(3),
    "parameter dict key": lambda lib: lib.nn.ParameterDict()["a"],
    "parameter dict updated by a number": lambda lib: lib.nn.ParameterDict().update(3),
    "parameter dict updated by numbers": lambda lib: lib.nn.ParameterDict().update([3]),
    "parameter dict updated by triples": lambda lib: lib.nn.ParameterDict().update([(1, 2, 3)]),
    "parameter dict popped when empty": lambda lib: lib.nn.ParameterDict().popitem(),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_pytorchs(case):
    # A class is named after its library.
    action = ERRORS[case]

    def renamed(lib):
        try:
            action(lib)
        except Exception as error:
            raise type(error)(str(error).replace("torch.nn.modules", "jtoolbox.nn")) from None

    same_error(renamed)


@pytest.mark.parametrize(
    "action",
    [
        lambda lib: operator.add(lib.nn.Sequential(), []),
        lambda lib: lib.nn.Sequential() * 1.5,
        lambda lib: lib.nn.Sequential().insert(0, 3),
        lambda lib: lib.nn.ParameterDict()[3],
    ],
)
def test_errors_have_pytorchs_types(action):
    kinds = []
    for lib in (torch, jt):
        with pytest.raises(Exception) as caught:  # noqa: PT011
            action(lib)
        kinds.append(caught.type)
    assert kinds[0] is kinds[1]


@both
def test_container_is_deprecated(lib):
    with pytest.warns(FutureWarning, match="nn.Container"):
        assert "a" in dict(lib.nn.Container(a=layer(lib)).named_children())


# --- repr


REPRS = {
    "empty sequential": lambda lib: lib.nn.Sequential(),
    "sequential": lambda lib: lib.nn.Sequential(*named(lib, 1, 2)),
    "named": lambda lib: lib.nn.Sequential(OrderedDict(a=layer(lib), b=lib.nn.Sequential())),
    "nested": lambda lib: lib.nn.Sequential(lib.nn.Sequential(lib.nn.Sequential(layer(lib)))),
    "empty list": lambda lib: lib.nn.ModuleList(),
    "list of equals": lambda lib: lib.nn.ModuleList(named(lib, 1, 1, 1)),
    "list with runs": lambda lib: lib.nn.ModuleList(named(lib, 1, 2, 2, 3, 1, 1)),
    "list of blocks": lambda lib: lib.nn.ModuleList(
        [lib.nn.Sequential(*named(lib, 1, 2)) for _ in range(3)]
    ),
    "list in list": lambda lib: lib.nn.Sequential(
        lib.nn.ModuleList([lib.nn.ModuleList(named(lib, 1, 1)), *named(lib, 4)])
    ),
    "dict": lambda lib: lib.nn.ModuleDict({"a": layer(lib), "b": lib.nn.ModuleDict()}),
    "dict in list": lambda lib: lib.nn.ModuleList([lib.nn.ModuleDict({"a": layer(lib)})] * 2),
    "empty parameter list": lambda lib: lib.nn.ParameterList(),
    "parameter list": lambda lib: lib.nn.ParameterList(
        [lib.ones((2, 3)), lib.ones(()), "text", lib.nn.Parameter(lib.ones(1).double())]
    ),
    "empty parameter dict": lambda lib: lib.nn.ParameterDict(),
    "parameter dict": lambda lib: lib.nn.ParameterDict(
        {"a": lib.ones((2, 3)), "b": 3, "c": lib.ones(1).double()}
    ),
    "mixed": lambda lib: lib.nn.Sequential(
        lib.nn.ParameterList([lib.ones(2)]),
        lib.nn.ParameterDict({"a": lib.ones(2)}),
        lib.nn.ModuleList([lib.nn.Sequential(lib.nn.ParameterList([lib.ones(2)] * 2))] * 2),
    ),
}


@pytest.mark.parametrize("case", REPRS)
def test_repr_is_pytorchs(case):
    same(lambda lib: repr(REPRS[case](lib)))


# --- copies


def test_containers_are_copied_and_pickled():
    model = nn.Sequential(
        nn.ModuleList([nn.Sequential()]),
        nn.ModuleDict({"a": nn.Sequential()}),
        nn.ParameterList([jt.ones(2), 3]),
        nn.ParameterDict({"a": jt.ones(2), "b": 4}),
    )
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert repr(twin) == repr(model)
        assert twin[2][1] == 3
        assert twin[3]["b"] == 4
        assert [n for n, _ in twin.named_parameters()] == ["2.0", "3.a"]
        twin[2].append(jt.ones(1))
        del twin[0]
        assert len(twin) == 3
    assert len(model) == 4
    assert len(model[2]) == 2
