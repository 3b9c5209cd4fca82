"""`nn.modules`: PyTorch's files of layers as names."""

from __future__ import annotations

import importlib

import pytest
import torch

import jtoolbox as jt
from tests.nn.both import same, same_error


@pytest.mark.parametrize("name", jt.nn.modules.__all__)
def test_every_public_name_of_a_file_is_there(name):
    theirs = getattr(torch.nn.modules, name)
    if not hasattr(theirs, "__all__"):
        assert hasattr(jt.nn.modules, name)
        return
    ours = importlib.import_module(f"jtoolbox.nn.modules.{name}")
    assert set(theirs.__all__) <= set(vars(ours))
    for layer in theirs.__all__:
        if hasattr(jt.nn, layer):
            assert getattr(ours, layer) is getattr(jt.nn, layer)


def test_tuples_and_prefixes_are_pytorchs():
    same(lambda lib: (lib.nn.modules.utils._pair(3), lib.nn.modules.utils._triple([1, 2, 3])))

    def stripped(lib):
        state = {"module.a": 1, "b": 2}
        lib.nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
        return state

    same(stripped)


def test_factory_settings_are_pytorchs():
    given = {"device": 1, "factory_kwargs": {"dtype": 3}}
    same(lambda lib: (lib.nn.factory_kwargs(None), lib.nn.factory_kwargs(given)))
    same_error(lambda lib: lib.nn.factory_kwargs({"other": 3}))
    same_error(lambda lib: lib.nn.factory_kwargs({"device": 1, "factory_kwargs": {"device": 3}}))
