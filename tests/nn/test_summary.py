"""`summary`: what the table says, and that looking leaves the model as it was."""

from __future__ import annotations

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox import nn
from jtoolbox.summary import summary

TABLE = """\
Layer           Output shape      Parameters
────────────────────────────────────────────
Net             (8, 2)                     -
├─ body: Stack  (8, 5)                     -
│  ├─ 0: Dense  (8, 4)                    16
│  └─ 1: Dense  (8, 5)                    25
├─ head: Dense  (8, 2) (2 calls)          12
└─ idle: Dense  -                          2
────────────────────────────────────────────
Parameters: 55 (0.00 MiB)
Trainable: 30, frozen: 25"""


class Dense(nn.Module):
    def __init__(self, features, out):
        super().__init__()
        self.weight = nn.Parameter(jt.ones((features, out)))
        self.bias = nn.Parameter(jt.ones(out))

    def forward(self, x):
        return x @ self.weight + self.bias


class Stack(nn.Sequential):
    pass


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = Stack(Dense(3, 4), Dense(4, 5))
        self.head = Dense(5, 2)
        self.idle = Dense(1, 1)
        self.body[1].requires_grad_(False)
        self.register_buffer("steps", jt.zeros(()))

    def forward(self, x):
        self.steps += 1
        self.last = x
        x = self.body(x)
        return self.head(x) + self.head(x)


def test_the_table_shows_the_tree():
    assert str(summary(Net(), (8, 3))) == TABLE
    assert repr(summary(Net(), (8, 3))) == TABLE


def test_the_lines_can_be_read_one_by_one():
    found = summary(Net(), jt.ones((8, 3)))
    head = next(layer for layer in found.layers if layer.name == "head")
    assert (head.kind, head.depth, head.output, head.calls) == ("Dense", 1, (8, 2), 2)
    assert (head.parameters, head.trainable) == (12, 12)
    assert (found.total_parameters, found.trainable_parameters) == (55, 30)
    assert found.bytes == 55 * 4


def test_looking_leaves_the_model_as_it_was():
    model = Net()
    calls = []
    handle = model.head.register_forward_hook(lambda *args: calls.append(1))
    model.body.eval()
    flags = [m.training for m in model.modules()]
    attributes = [dict(m.__dict__) for m in model.modules()]
    state = {name: value.tolist() for name, value in model.state_dict().items()}
    random_state = jt.default_generator.get_state()
    summary(model, (8, 3))
    assert [m.training for m in model.modules()] == flags
    assert {name: value.tolist() for name, value in model.state_dict().items()} == state
    for module, before in zip(model.modules(), attributes, strict=True):
        assert list(module.__dict__) == list(before)
        assert all(module.__dict__[name] is value for name, value in before.items())
    assert list(model.head._forward_hooks) == [handle.id]
    assert not model.body._forward_hooks
    assert np.array_equal(jt.default_generator.get_state(), random_state)
    assert model(jt.ones((1, 3))).shape == (1, 2)


def test_nothing_is_computed():
    class Huge(nn.Module):
        def forward(self, x):
            return (x @ x).sum()

    assert summary(Huge(), (1_000_000, 1_000_000)).layers[0].output == ()


def test_a_model_that_asks_for_values_is_run_on_a_copy():
    class Asking(Net):
        def forward(self, x):
            if x.sum().item() > 0:
                return x
            return super().forward(x)

    model = Asking()
    found = summary(model, (8, 3))
    assert found.layers[0].output == (8, 2)
    assert [layer.calls for layer in found.layers if layer.name == "head"] == [2]
    assert model.steps.item() == 0
    assert not model.head._forward_hooks


def test_several_inputs_and_keywords_are_taken():
    class Pair(nn.Module):
        def forward(self, x, y, scale=None):
            return {"sum": x + y, "both": (x, y)}

    found = summary(Pair(), [(4, 1), jt.ones((1, 5))])
    assert found.layers[0].output == {"sum": (4, 5), "both": [(4, 1), (1, 5)]}
    assert "{sum: (4, 5), both: [(4, 1), (1, 5)]}" in str(found)
    assert summary(Pair(), {"x": (2,), "y": (1,)}).layers[0].output["sum"] == (2,)


def test_the_type_of_shapes_can_be_given():
    class Look(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(jt.ones((10, 4)))

        def forward(self, index):
            return self.table[index]

    assert summary(Look(), (3, 2), dtype=jt.int64).layers[0].output == (3, 2, 4)
    assert summary(Look(), np.zeros((5,), np.int64)).layers[0].output == (5, 4)


def test_shared_modules_and_parameters_are_counted_once():
    model = nn.Sequential(Dense(3, 3), Dense(3, 3))
    model[1].weight = model[0].weight
    model.add_module("again", model[0])
    found = summary(model, (2, 3))
    assert [(layer.name, layer.parameters, layer.calls) for layer in found.layers[1:]] == [
        ("0", 12, 2), ("1", 3, 1)]  # fmt: skip
    assert found.total_parameters == 15


@pytest.mark.parametrize("given", [3.5, "text", None, [1.5, (2, 3)]])
def test_something_else_than_an_input_is_refused(given):
    with pytest.raises(TypeError, match="example input or its shape"):
        summary(Net(), given)


def test_an_error_of_the_model_comes_through():
    with pytest.raises(RuntimeError, match=r"shape|size"):
        summary(Net(), (8, 4))
