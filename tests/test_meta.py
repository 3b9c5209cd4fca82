"""The meta device: shapes, types and gradients' shapes without values, as PyTorch's."""

from __future__ import annotations

import copy

import pytest
import torch

import jtoolbox as jt

SHAPES = {
    "arithmetic": lambda t, x: (x @ x.T + 1).sum(0),
    "comparison": lambda t, x: x > 0,
    "views": lambda t, x: x[:, 1:].reshape(-1),
    "several results": lambda t, x: x.max(1).values,
    "in place": lambda t, x: x.mul_(2).normal_(),
    "written": lambda t, x: x.copy_(t.ones(3)),
    "made like it": lambda t, x: t.rand_like(x),
    "made elsewhere": lambda t, x: t.zeros_like(x, device="cpu"),
    "detached": lambda t, x: x.clone().requires_grad_().exp().detach(),
    "recorded": lambda t, x: x.clone().requires_grad_().exp(),
    "moved there": lambda t, x: t.ones(2, dtype=t.int32).to("meta"),
}


@pytest.mark.parametrize("case", SHAPES)
def test_operations_infer_shapes(case):
    ours, theirs = (SHAPES[case](t, t.empty(2, 3, device="meta")) for t in (jt, torch))
    assert repr(ours) == repr(theirs)
    assert ours.is_meta is theirs.is_meta


VALUES = {
    "item": (lambda t, x: x.sum().item(), RuntimeError),
    "numpy": (lambda t, x: x.numpy(), TypeError),
    "tolist": (lambda t, x: x.tolist(), NotImplementedError),
    "if": (lambda t, x: bool(x.sum() > 0), RuntimeError),
    "to": (lambda t, x: x.to("cpu"), NotImplementedError),
    "copy_": (lambda t, x: t.ones(2, 3).copy_(x), NotImplementedError),
    "nonzero": (lambda t, x: x.nonzero(), NotImplementedError),
    "another device": (lambda t, x: x + t.ones(2, 3), RuntimeError),
}


@pytest.mark.parametrize("case", VALUES)
def test_values_cannot_be_had(case):
    ask, error = VALUES[case]
    for t in (jt, torch):
        with pytest.raises(error):
            ask(t, t.empty(2, 3, device="meta"))


def test_a_module_is_built_without_memory_and_filled_later():
    state = {"weight": torch.ones(3, 2).numpy(), "bias": torch.zeros(3).numpy()}
    found = []
    for t in (jt, torch):
        with t.device("meta"):
            model = t.nn.Linear(2, 3)
            out = model(t.empty(4, 2))
        out.sum().backward()
        seen = [repr(out), repr(model.weight), repr(model.weight.grad.device)]
        with pytest.raises(NotImplementedError, match="to_empty"):
            model.to("cpu")
        tensors = {k: t.tensor(v) for k, v in state.items()}
        with pytest.warns(UserWarning, match="which is a no-op") as warned:
            model.load_state_dict(tensors)
        seen += [str(warned[0].message), model.weight.is_meta]
        twin = copy.deepcopy(model).to_empty(device="cpu")
        twin.load_state_dict(tensors)
        model.load_state_dict(tensors, assign=True)
        found.append([*seen, *[m(t.ones(1, 2)).tolist() for m in (model, twin)]])
    assert found[0] == found[1]


def test_the_meta_device_can_be_the_default_one():
    jt.set_default_device("meta")
    try:
        assert all(x.is_meta for x in (jt.ones(2), jt.tensor([1]), jt.randn(2)))
    finally:
        jt.set_default_device(None)
    assert not jt.ones(2).is_meta
