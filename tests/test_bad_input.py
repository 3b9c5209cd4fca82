"""Mistakes are errors of PyTorch's type, at the user's line, in our words."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import torch

import jtoolbox as jt


class Bad(NamedTuple):
    """A mistake, and a pattern that our message must contain: what was asked, what came."""

    action: Callable[[Any], Any]
    words: str


def module_before_init(t: Any) -> None:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.layer = t.nn.Linear(2, 2)

    Net()


def parameter_before_init(t: Any) -> None:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.weight = t.nn.Parameter(t.ones(2))

    Net()


def buffer_before_init(t: Any) -> None:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.register_buffer("mean", t.zeros(2))

    Net()


def call_before_init(t: Any) -> None:
    class Net(t.nn.Module):
        def __init__(self) -> None:
            self.size = 2

        def forward(self, x: Any) -> Any:
            return x

    Net()(t.ones(2))


def no_forward(t: Any) -> None:
    class Net(t.nn.Module):
        pass

    Net()(t.ones(2))


def set_weight(t: Any, value: Any) -> None:
    t.nn.Linear(2, 2).weight = value(t)


def load(t: Any, change: Callable[[dict[str, Any]], Any]) -> None:
    layer = t.nn.Linear(3, 2)
    state = dict(layer.state_dict())
    change(state)
    layer.load_state_dict(state)


def misshapen(t: Any) -> None:
    layer = t.nn.Linear(3, 2)
    layer.load_state_dict({"weight": t.zeros(2, 4), "bias": t.zeros(2)})


def loader(t: Any, rows: int, **settings: Any) -> None:
    list(t.utils.data.DataLoader(t.utils.data.TensorDataset(t.zeros(rows, 2)), **settings))


def leaf(t: Any, *shape: int) -> Any:
    return t.ones(*shape, requires_grad=True)


def backward_twice(t: Any) -> None:
    loss = (leaf(t, 3) ** 2).sum()
    loss.backward()
    loss.backward()


def changed_after_use(t: Any) -> None:
    x = leaf(t, 3)
    y = x.exp()
    loss = (y * y).sum()
    y.add_(1)
    loss.backward()


def changed_sigmoid(t: Any) -> None:
    y = leaf(t, 3).sigmoid()
    y.mul_(2)
    y.sum().backward()


def step_before_backward(t: Any) -> None:
    w = leaf(t, 3)
    loss = (w * w).sum()
    with t.no_grad():
        w.sub_(0.1)
    loss.backward()


def f(t: Any) -> Any:
    return t.nn.functional


def lr(t: Any, value: float) -> None:
    t.optim.SGD([leaf(t, 2)], lr=value)


LAYERS = {
    "too few features": Bad(
        lambda t: t.nn.Linear(4, 2)(t.ones(3, 5)),
        r"mat1 and mat2 shapes cannot be multiplied \(3x5 and 4x2\)",
    ),
    "an image given to Linear": Bad(
        lambda t: t.nn.Linear(784, 10)(t.ones(2, 1, 28, 28)),
        r"784.*\[2, 1, 28, 28\].*flatten\(1\)",
    ),
    "another dtype": Bad(
        lambda t: t.nn.Linear(4, 2)(t.ones(3, 4, dtype=t.float64)), "(?i)(float64|double)"
    ),
    "integers given to Linear": Bad(
        lambda t: t.nn.Linear(4, 2)(t.ones(3, 4, dtype=t.int64)), "(?i)(int64|long)"
    ),
    "an unbatched rank": Bad(
        lambda t: t.nn.Conv2d(3, 8, 3)(t.ones(8, 8)), r"3D \(unbatched\) or 4D \(batched\).*8, 8"
    ),
    "a rank too high": Bad(lambda t: t.nn.Conv2d(3, 8, 3)(t.ones(1, 1, 3, 8, 8)), "1, 1, 3, 8, 8"),
    "wrong channels": Bad(
        lambda t: t.nn.Conv2d(3, 8, 3)(t.ones(2, 1, 8, 8)),
        r"to have 3 channels, but got 1 channels",
    ),
    "a kernel larger than the image": Bad(
        lambda t: t.nn.Conv2d(1, 1, 9)(t.ones(1, 1, 4, 4)), "(?i)kernel size can't be greater"
    ),
    "wrong channels for BatchNorm": Bad(
        lambda t: t.nn.BatchNorm2d(3)(t.ones(2, 4, 5, 5)), "3.*4|4.*3"
    ),
    "wrong rank for BatchNorm": Bad(
        lambda t: t.nn.BatchNorm2d(3)(t.ones(2, 3)), r"expected 4D input \(got 2D input\)"
    ),
    "BatchNorm of one value": Bad(
        lambda t: t.nn.BatchNorm1d(3)(t.ones(1, 3)), "Expected more than 1 value per channel"
    ),
    "wrong shape for LayerNorm": Bad(lambda t: t.nn.LayerNorm(4)(t.ones(2, 5)), "4.*5"),
    "groups that do not divide": Bad(lambda t: t.nn.GroupNorm(2, 5), "divisible"),
    "conv groups that do not divide": Bad(lambda t: t.nn.Conv2d(3, 4, 3, groups=2), "divisible"),
    "a dropout probability": Bad(lambda t: t.nn.Dropout(1.5), "between 0 and 1, but got 1.5"),
}

LABELS = {
    "a label too large": Bad(
        lambda t: t.nn.CrossEntropyLoss()(t.ones(2, 3), t.tensor([0, 3])),
        "Target 3 is out of bounds",
    ),
    "a negative label": Bad(
        lambda t: t.nn.CrossEntropyLoss()(t.ones(2, 3), t.tensor([0, -1])),
        "Target -1 is out of bounds",
    ),
    "a label of nll_loss": Bad(
        lambda t: f(t).nll_loss(t.ones(2, 3), t.tensor([5, 0])), "Target 5 is out of bounds"
    ),
    "float labels": Bad(
        lambda t: f(t).nll_loss(t.ones(2, 3), t.tensor([1.0, 0.0])), "(?i)(long|int64).*float"
    ),
    "float class labels": Bad(
        lambda t: f(t).cross_entropy(t.ones(2, 3), t.tensor([1.0, 0.0])), "(?i)float|long"
    ),
    "another batch size": Bad(
        lambda t: f(t).cross_entropy(t.ones(2, 3), t.tensor([1, 0, 2])), r"\(2\).*\(3\)"
    ),
    "an unknown reduction": Bad(
        lambda t: f(t).mse_loss(t.ones(2), t.ones(2), reduction="avg"), "avg"
    ),
    "a target of bce out of range": Bad(
        lambda t: f(t).binary_cross_entropy(t.tensor([1.5]), t.tensor([1.0])), "between 0 and 1"
    ),
    "a target of bce of another shape": Bad(
        lambda t: f(t).binary_cross_entropy(t.zeros(2), t.ones(3)), "2.*3|3.*2"
    ),
}

INDICES = {
    "an embedding index too large": Bad(
        lambda t: t.nn.Embedding(4, 2)(t.tensor([1, 4])), "index out of range.*4"
    ),
    "a negative embedding index": Bad(
        lambda t: t.nn.Embedding(4, 2)(t.tensor([-1])), "index out of range.*-1"
    ),
    "a float embedding index": Bad(
        lambda t: t.nn.Embedding(4, 2)(t.tensor([1.0])), "(?i)(Long|int).*float"
    ),
    "an index out of bounds": Bad(
        lambda t: t.ones(3)[5], "index 5 is out of bounds for dimension 0 with size 3"
    ),
    "an index tensor out of bounds": Bad(
        lambda t: t.ones(3)[t.tensor([0, 7])],
        "index 7 is out of bounds for dimension 0 with size 3",
    ),
    "too many indices": Bad(
        lambda t: t.ones(3)[0, 0], "too many indices for tensor of dimension 1"
    ),
    "a float index": Bad(lambda t: t.ones(3)[1.5], r"valid indices \(got float\)"),
    "a float index tensor": Bad(
        lambda t: t.ones(3)[t.tensor([1.0])], "(?i)tensors used as indices"
    ),
    "a mask of another shape": Bad(lambda t: t.ones(3)[t.ones(4) > 0], "4.*3"),
    "gather out of bounds": Bad(
        lambda t: t.gather(t.ones(3), 0, t.tensor([3])), "index 3 is out of bounds"
    ),
    "an unknown dim": Bad(lambda t: t.ones(3, 2).sum(dim=2), r"\[-2, 1\], but got 2"),
}

SHAPES = {
    "shapes that do not broadcast": Bad(
        lambda t: t.ones(2, 3) + t.ones(4), r"a \(3\) must match.*b \(4\).*dimension 1"
    ),
    "matrices that do not match": Bad(
        lambda t: t.ones(2, 3) @ t.ones(4, 5),
        r"mat1 and mat2 shapes cannot be multiplied \(2x3 and 4x5\)",
    ),
    "batches of matrices": Bad(lambda t: t.bmm(t.ones(2, 3, 4), t.ones(2, 5, 6)), "4.*5"),
    "a vector for mm": Bad(lambda t: t.mm(t.ones(3), t.ones(3, 2)), "(?i)matri"),
    "a view of another size": Bad(
        lambda t: t.ones(2, 3).view(4, 2), r"shape '\[4, 2\]' is invalid for input of size 6"
    ),
    "a reshape that cannot be inferred": Bad(
        lambda t: t.ones(2, 3).reshape(-1, 4), r"shape '\[-1, 4\]' is invalid for input of size 6"
    ),
    "cat of other shapes": Bad(
        lambda t: t.cat([t.ones(2, 3), t.ones(2, 4)], 0), "(?i)sizes of tensors must match.*3.*4"
    ),
    "cat of nothing": Bad(lambda t: t.cat([]), "(?i)non-empty"),
    "stack of other shapes": Bad(
        lambda t: t.stack([t.ones(2), t.ones(3)]), r"equal size.*\[2\].*\[3\]"
    ),
    "an expand of a wrong size": Bad(lambda t: t.ones(2, 3).expand(2, 4), "4.*3"),
    "a permutation too short": Bad(lambda t: t.ones(2, 3).permute(0), "(?i)dim"),
    "a value of many elements": Bad(lambda t: t.ones(3).item(), "3 elements"),
    "the truth of many elements": Bad(
        lambda t: bool(t.ones(3)), "(?i)more than one value is ambiguous"
    ),
    "a ragged list": Bad(lambda t: t.tensor([[1, 2], [3]]), "(?i)length 2|expected sequence"),
}

MODULES = {
    "a layer before init": Bad(
        module_before_init, r"cannot assign module before Module.__init__\(\) call"
    ),
    "a parameter before init": Bad(
        parameter_before_init, r"cannot assign parameters? before Module.__init__\(\) call"
    ),
    "a buffer before init": Bad(
        buffer_before_init, r"cannot assign buffer before Module.__init__\(\) call"
    ),
    "a call before init": Bad(call_before_init, "(?i)__init__|no attribute"),
    "no forward": Bad(no_forward, 'missing the required "forward" function'),
    "a list for a parameter": Bad(
        lambda t: set_weight(t, lambda t: [1.0]), "cannot assign .*list.* as parameter 'weight'"
    ),
    "a tensor for a parameter": Bad(
        lambda t: set_weight(t, lambda t: t.ones(2, 2)),
        r"cannot assign .*Tensor' as parameter 'weight'.*Parameter or None expected",
    ),
    "a number for a module": Bad(
        lambda t: setattr(t.nn.Sequential(t.nn.ReLU()), "0", 3),
        "cannot assign .*int.* child module",
    ),
    "an unknown key": Bad(
        lambda t: load(t, lambda s: s.update(scale=s["bias"])),
        r"""(?s)Error\(s\) in loading state_dict for Linear.*Unexpected key.*"scale\"""",
    ),
    "a missing key": Bad(
        lambda t: load(t, lambda s: s.pop("bias")), r"""(?s)Linear.*Missing key.*"bias\""""
    ),
    "a misshapen value": Bad(
        misshapen, r"size mismatch for weight.*\[2, 4\]\).*the shape in current model.*\[2, 3\]"
    ),
    "a state that is no dict": Bad(
        lambda t: t.nn.Linear(1, 1).load_state_dict([1]), "Expected state_dict to be dict-like"
    ),
    "an unknown attribute": Bad(
        lambda t: t.nn.Linear(1, 1).wieght, "'Linear' object has no attribute 'wieght'"
    ),
    "an unknown submodule": Bad(
        lambda t: t.nn.Sequential(t.nn.ReLU()).get_submodule("1"), "has no attribute `1`"
    ),
    "no module in Sequential": Bad(lambda t: t.nn.Sequential(3), "int is not a Module subclass"),
    "no module in ModuleList": Bad(lambda t: t.nn.ModuleList([3]), "int is not a Module subclass"),
    "an argument too many": Bad(lambda t: t.nn.ReLU()(t.ones(1), 2), "argument"),
}

GRADIENTS = {
    "backward twice": Bad(
        backward_twice, "(?s)backward through the graph a second time.*retain_graph=True"
    ),
    "backward of a vector": Bad(
        lambda t: (leaf(t, 3) * 2).backward(),
        "grad can be implicitly created only for scalar outputs",
    ),
    "backward of a constant": Bad(
        lambda t: t.ones(3).sum().backward(), "does not require grad and does not have a grad_fn"
    ),
    "a gradient of another shape": Bad(
        lambda t: (leaf(t, 3) * 2).backward(t.ones(2)), "(?i)mismatch in shape.*2.*3"
    ),
    "a factor changed after use": Bad(changed_after_use, "modified by an inplace operation"),
    "a result changed after use": Bad(changed_sigmoid, "modified by an inplace operation"),
    "a parameter changed before backward": Bad(
        step_before_backward, "modified by an inplace operation"
    ),
    "a leaf changed in place": Bad(
        lambda t: leaf(t, 3).add_(1), "a leaf Variable that requires grad.*in-place"
    ),
    "integers that require gradients": Bad(
        lambda t: t.tensor([1], requires_grad=True), "floating point"
    ),
    "numpy of what needs gradients": Bad(lambda t: leaf(t, 2).numpy(), r"detach\(\).numpy\(\)"),
    "an unused input": Bad(
        lambda t: t.autograd.grad(leaf(t, 2).sum(), leaf(t, 2)), "(?i)allow_unused=True"
    ),
}

OTHERS = {
    "an empty dataset, shuffled": Bad(
        lambda t: loader(t, 0, shuffle=True), "num_samples.*positive integer.*0"
    ),
    "a batch_size of 0": Bad(
        lambda t: loader(t, 4, batch_size=0), "batch_size.*positive integer.*batch_size=0"
    ),
    "a negative batch_size": Bad(
        lambda t: loader(t, 4, batch_size=-1), "batch_size.*positive integer"
    ),
    "shuffle with a sampler": Bad(
        lambda t: loader(t, 4, shuffle=True, sampler=[0]), "mutually exclusive"
    ),
    "negative workers": Bad(lambda t: loader(t, 4, num_workers=-1), "num_workers"),
    "columns of other lengths": Bad(
        lambda t: t.utils.data.TensorDataset(t.ones(3), t.ones(2)), "(?i)size mismatch"
    ),
    "a negative lr": Bad(lambda t: lr(t, -0.1), "Invalid learning rate: -0.1"),
    "no parameters": Bad(lambda t: t.optim.SGD([], lr=0.1), "empty parameter list"),
    "an unknown device type": Bad(
        lambda t: t.ones(2).to("gpux"), "Expected one of cpu, cuda.*device string: gpux"
    ),
    "an unknown method": Bad(lambda t: t.ones(2).summ(), "'Tensor' object has no attribute 'summ'"),
    "an unknown function": Bad(lambda t: t.soft_max(t.ones(2)), "has no attribute 'soft_max'"),
    "an unknown layer": Bad(lambda t: t.nn.Conv4d(1, 1, 1), "has no attribute 'Conv4d'"),
}

CASES = {
    name: bad
    for table in (LAYERS, LABELS, INDICES, SHAPES, MODULES, GRADIENTS, OTHERS)
    for name, bad in table.items()
}

ABSENT = ["cuda:64", "tpu:64", *([] if jax.default_backend() == "gpu" else ["cuda"])]
THERE = jt.device(jax.local_devices()[0])


def caught(action: Callable[[Any], Any], lib: Any) -> BaseException:
    """What an action raises with a library."""
    with pytest.raises(Exception) as info:  # noqa: PT011
        action(lib)
    return info.value


@pytest.mark.parametrize("name", list(CASES))
def test_a_mistake_raises_pytorchs_type_of_error_in_words_that_help(name):
    action, words = CASES[name]
    ours, theirs = caught(action, jt), caught(action, torch)
    assert type(ours) is type(theirs), f"{ours!r}, PyTorch has {theirs!r}"
    with pytest.raises(type(theirs), match=words):
        action(jt)


@pytest.mark.parametrize("name", list(CASES))
def test_the_users_line_is_in_the_traceback_above_the_librarys_own(name):
    error = caught(CASES[name].action, jt)
    files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    last = max(i for i, file in enumerate(files) if file == __file__)
    package = Path(jt.__file__).parent
    assert all(package in Path(file).parents for file in files[last + 1 :])


def test_the_last_line_of_the_user_is_the_call_that_failed():
    layer = jt.nn.Linear(4, 2)

    def forward(x: Any) -> Any:
        hidden = x * 2
        return layer(hidden)  # the line

    error = caught(lambda _: forward(jt.ones(3, 5)), jt)
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == __file__]
    assert frames[-1].line == "return layer(hidden)  # the line"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_learning_rate_that_is_not_finite_is_refused_at_once(value):
    with pytest.raises(ValueError, match=f"Invalid learning rate: {value}.*finite"):
        lr(jt, value)


@pytest.mark.parametrize("name", ABSENT)
def test_a_device_that_is_not_there_names_those_that_are(name):
    with pytest.raises(RuntimeError, match=f"device '{name}' is not available: JAX has {THERE}"):
        jt.ones(2).to(name)
    with pytest.raises(RuntimeError, match=f"JAX has {THERE}"):
        jt.nn.Linear(2, 2).to(name)
    with pytest.raises(RuntimeError, match=f"JAX has {THERE}"):
        jt.ones(2, device=name)


def test_after_a_mistake_the_next_step_is_as_if_nothing_had_happened():
    layer = jt.nn.Linear(3, 2)
    state = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    x = np.ones((4, 3), np.float32)
    with pytest.raises(RuntimeError):
        layer(jt.ones(4, 5))
    with pytest.raises(IndexError):
        jt.nn.functional.cross_entropy(layer(jt.tensor(x)), jt.tensor([0, 1, 2, 0]))
    layer(jt.tensor(x)).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), np.full((2, 3), 4.0))
    assert all((layer.state_dict()[k].numpy() == v).all() for k, v in state.items())
