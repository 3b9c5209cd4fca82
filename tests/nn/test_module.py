"""`Module`: registration, attributes, walking, modes, conversion, copies, repr."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

import jtoolbox as jt
from jtoolbox import nn
from tests.nn.both import both, error, layer, net, same, same_error


class Scale(nn.Module):
    """A module that pickle can find."""

    def __init__(self, features: int = 3):
        super().__init__()
        self.weight = nn.Parameter(jt.ones(features))
        self.twin = nn.Sequential()
        self.twin.register_parameter("weight", self.weight)
        self.register_buffer("count", jt.zeros(1))
        self.note = "kept"

    def forward(self, x):
        return x * self.weight


# --- registration


@both
def test_assigned_parameters_modules_and_buffers_are_registered(lib):
    module = lib.nn.Module()
    module.w = lib.nn.Parameter(lib.ones(2))
    module.child = layer(lib)
    module.b = lib.nn.Buffer(lib.zeros(2))
    module.hidden = lib.nn.Buffer(lib.zeros(2), persistent=False)
    module.plain = lib.ones(2)
    assert list(module._parameters) == ["w"]
    assert list(module._modules) == ["child"]
    assert list(module._buffers) == ["b", "hidden"]
    assert module._non_persistent_buffers_set == {"hidden"}
    assert list(module.state_dict()) == ["w", "b", "child.weight", "child.mean"]
    assert module.w is module._parameters["w"]
    assert module.child is module._modules["child"]
    assert module.b is module._buffers["b"]


@both
def test_assigning_none_keeps_the_name(lib):
    module = layer(lib)
    module.weight = None
    module.mean = None
    assert module._parameters == {"weight": None, "bias": None}
    assert module._buffers["mean"] is None
    assert list(module.parameters()) == []
    module.weight = lib.nn.Parameter(lib.ones(2))
    assert list(module.state_dict()) == ["weight"]


@both
def test_a_name_moves_between_registries(lib):
    module = lib.nn.Module()
    module.x = 3
    module.x = lib.nn.Parameter(lib.ones(2))
    assert list(module._parameters) == ["x"]
    module.y = lib.nn.Module()
    module.y = lib.nn.Parameter(lib.ones(2))
    assert list(module._modules) == []
    assert isinstance(module.y, lib.nn.Parameter)
    module.register_buffer("z", lib.ones(2), persistent=False)
    module.z = lib.nn.Module()
    assert list(module._buffers) == []
    assert list(module._modules) == ["z"]
    assert not module._non_persistent_buffers_set


@both
def test_a_tensor_replaces_a_buffer(lib):
    module = layer(lib)
    value = lib.ones(3)
    module.mean = value
    assert module.mean is value
    assert module._buffers["mean"] is value
    module.scratch = value
    assert "scratch" in module._non_persistent_buffers_set


def _own_register_buffer(lib):
    class Own(lib.nn.Module):
        def register_buffer(self, name, tensor):
            super().register_buffer(name, tensor)

    module = Own()
    module.kept = lib.nn.Buffer(lib.ones(1))
    module.scratch = lib.nn.Buffer(lib.ones(1), persistent=False)


def test_a_register_buffer_without_persistent_is_respected():
    same_error(_own_register_buffer)


@both
def test_deleting_an_attribute_unregisters_it(lib):
    module = net(lib)
    del module.scale, module.first, module.again
    del module.rest[0].mean, module.rest[0].scratch
    assert list(module.state_dict()) == ["rest.0.weight", "rest.1.0.weight", "rest.1.0.mean"]
    assert not hasattr(module, "scale")
    assert not hasattr(module, "first")
    assert module.rest[0]._non_persistent_buffers_set == set()
    with pytest.raises(AttributeError):
        del module.never_there


@both
def test_the_registries_are_the_truth(lib):
    module = layer(lib)
    weight = module._parameters["weight"]
    del module._parameters["weight"]
    assert not hasattr(module, "weight")
    module.weight = 5
    assert module.weight == 5
    del module.weight
    module._parameters["weight"] = weight
    assert module.weight is weight
    assert module._parameters.pop("weight") is weight
    assert not hasattr(module, "weight")
    module._parameters.update(weight=weight)
    assert module.weight is weight
    module._parameters.clear()
    assert not hasattr(module, "weight")
    module._parameters = {"other": weight}
    assert module.other is weight
    assert module._parameters.setdefault("other") is weight
    assert module._parameters.popitem() == ("other", weight)
    assert not hasattr(module, "other")
    module._parameters |= {"more": weight}
    assert module.more is weight


@both
def test_what_the_class_defines_hides_registered_names(lib):
    class Hiding(lib.nn.Module):
        @property
        def weight(self):
            return "computed"

    module = Hiding()
    module._parameters["weight"] = lib.nn.Parameter(lib.ones(1))
    assert module.weight == "computed"


@both
def test_registering_methods_add_by_name(lib):
    module = lib.nn.Module()
    module.register_parameter("w", lib.nn.Parameter(lib.ones(1)))
    module.register_buffer("b", lib.ones(1))
    module.add_module("child", layer(lib))
    module.register_module("other", lib.nn.Sequential())
    assert [name for name, _ in module.named_modules()] == ["", "child", "other"]
    module.register_buffer("b", lib.ones(1), persistent=False)
    assert list(module.state_dict()) == ["w", "child.weight", "child.mean"]
    module.register_buffer("b", lib.ones(1))
    assert "b" in module.state_dict()


ERRORS = {
    "module before init": lambda lib: _before_init(lib, lib.nn.Sequential()),
    "parameter before init": lambda lib: _before_init(lib, lib.nn.Parameter(lib.ones(1))),
    "buffer before init": lambda lib: _before_init(lib, lib.nn.Buffer(lib.ones(1))),
    "number as parameter": lambda lib: setattr(layer(lib), "weight", 3),
    "list as parameter": lambda lib: setattr(layer(lib), "weight", [1.0]),
    "tensor as parameter": lambda lib: setattr(layer(lib), "weight", lib.ones(2)),
    "module as parameter": lambda lib: setattr(net(lib), "scale", layer(lib)),
    "buffer as module": lambda lib: setattr(net(lib), "first", lib.nn.Buffer(lib.ones(1))),
    "number as module": lambda lib: setattr(net(lib), "first", 3),
    "string as buffer": lambda lib: setattr(layer(lib), "mean", "text"),
    "register tensor": lambda lib: layer(lib).register_parameter("w", lib.ones(1)),
    "register computed": lambda lib: layer(lib).register_parameter(
        "weight2", _computed_parameter(lib)
    ),
    "register number": lambda lib: layer(lib).register_buffer("b", 3),
    "register no module": lambda lib: layer(lib).add_module("m", 3),
    "parameter name": lambda lib: layer(lib).register_parameter(3, None),
    "parameter dot": lambda lib: layer(lib).register_parameter("a.b", None),
    "parameter empty": lambda lib: layer(lib).register_parameter("", None),
    "parameter taken": lambda lib: layer(lib).register_parameter("mean", None),
    "buffer name": lambda lib: layer(lib).register_buffer(3, None),
    "buffer dot": lambda lib: layer(lib).register_buffer("a.b", None),
    "buffer empty": lambda lib: layer(lib).register_buffer("", None),
    "buffer taken": lambda lib: layer(lib).register_buffer("weight", None),
    "module name": lambda lib: layer(lib).add_module(3, None),
    "module dot": lambda lib: layer(lib).add_module("a.b", None),
    "module empty": lambda lib: layer(lib).add_module("", None),
    "module taken": lambda lib: layer(lib).add_module("forward", None),
    "no attribute": lambda lib: layer(lib).missing,
    "no submodule": lambda lib: net(lib).get_submodule("first.missing"),
    "not a submodule": lambda lib: net(lib).get_submodule("first.weight"),
    "no parameter": lambda lib: net(lib).get_parameter("first.missing"),
    "not a parameter": lambda lib: net(lib).get_parameter("first.mean"),
    "no buffer": lambda lib: net(lib).get_buffer("first.missing"),
    "not a buffer": lambda lib: net(lib).get_buffer("first.weight"),
    "set no target": lambda lib: net(lib).set_submodule("", lib.nn.Sequential()),
    "set over parameter": lambda lib: net(lib).set_submodule("scale", lib.nn.Sequential()),
    "set strictly": lambda lib: net(lib).set_submodule("new", lib.nn.Sequential(), strict=True),
    "no forward": lambda lib: lib.nn.Module()(1),
    "train mode": lambda lib: net(lib).train(1),
    "integer dtype": lambda lib: net(lib).to(lib.int32),
    "positional argument": lambda lib: lib.nn.Module(1),
    "keyword argument": lambda lib: lib.nn.Module(size=1),
}


def _before_init(lib, value):
    class Early(lib.nn.Module):
        def __init__(self):
            self.x = value

    Early()


def _computed_parameter(lib):
    parameter = lib.nn.Parameter(lib.ones(1))
    parameter.__class__ = lib.nn.Parameter
    computed = parameter * 2
    computed.__class__ = lib.nn.Parameter
    return computed


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_pytorchs(case):
    same_error(ERRORS[case])


def test_calling_a_module_before_init_says_what_to_do():
    class Early(nn.Module):
        def __init__(self):
            self.size = 3

        def forward(self, x):
            return x

    with pytest.raises(AttributeError, match=r"start __init__ with super\(\).__init__\(\)"):
        Early()(1)


@both
def test_extra_init_arguments_go_on_when_asked_for(lib):
    class Other:
        def __init__(self, size):
            self.size = size

    class Both(lib.nn.Module, Other):
        call_super_init = True

    assert Both(size=3).size == 3


# --- walking


@both
def test_walking_gives_each_thing_once_under_its_first_name(lib):
    model = net(lib)
    assert [n for n, _ in model.named_modules()] == [
        "",
        "first",
        "rest",
        "rest.0",
        "rest.1",
        "rest.1.0",
    ]
    assert [n for n, _ in model.named_children()] == ["first", "rest"]
    assert [n for n, _ in model.named_parameters()] == [
        "scale", "first.weight", "rest.0.weight", "rest.1.0.weight"]  # fmt: skip
    assert [n for n, _ in model.named_buffers("p")] == [
        "p.first.mean", "p.first.scratch", "p.rest.0.mean", "p.rest.0.scratch",
        "p.rest.1.0.mean", "p.rest.1.0.scratch"]  # fmt: skip
    assert len(list(model.parameters())) == 4
    assert len(list(model.buffers())) == 6
    assert len(list(model.modules())) == 6
    assert len(list(model.children())) == 2


@both
def test_walking_repeats_shared_things_when_asked(lib):
    model = net(lib)
    names = [n for n, _ in model.named_parameters(remove_duplicate=False)]
    assert names == ["scale", "first.weight", "rest.0.weight", "rest.1.0.weight", "again.weight"]
    assert "again" in dict(model.named_modules(remove_duplicate=False))
    assert len(list(model.modules(remove_duplicate=False))) == 7


@both
def test_walking_without_recursion_stays_on_top(lib):
    model = net(lib)
    assert [n for n, _ in model.named_parameters(recurse=False)] == ["scale"]
    assert list(model.buffers(recurse=False)) == []
    assert [n for n, _ in model.named_parameters("p", recurse=False)] == ["p.scale"]


@both
def test_a_tied_parameter_is_listed_once(lib):
    model = lib.nn.Sequential(layer(lib), layer(lib))
    model[1].weight = model[0].weight
    assert [n for n, _ in model.named_parameters()] == ["0.weight"]
    assert list(model.state_dict()) == ["0.weight", "0.mean", "1.weight", "1.mean"]


@both
def test_dotted_names_find_and_replace(lib):
    model = net(lib)
    assert model.get_submodule("") is model
    assert model.get_submodule("rest.1.0") is model.rest[1][0]
    assert model.get_parameter("rest.0.weight") is model.rest[0].weight
    assert model.get_parameter("scale") is model.scale
    assert model.get_buffer("first.mean") is model.first.mean
    other = lib.nn.Sequential()
    model.set_submodule("rest.0", other, strict=True)
    assert model.rest[0] is other
    model.set_submodule("brand_new", other)
    assert model.brand_new is other


@both
def test_apply_visits_children_first(lib):
    seen = []
    model = net(lib)
    assert model.apply(seen.append) is model
    assert seen == [model.first, model.rest[0], model.rest[1][0], model.rest[1], model.rest, model]


@both
def test_dir_lists_registered_names(lib):
    names = dir(net(lib))
    assert {"first", "rest", "scale", "training", "forward", "state_dict"} <= set(names)
    assert names == sorted(names)
    assert "0" not in dir(net(lib).rest)


def test_jtoolbox_modules_have_pytorchs_public_methods():
    deliberately_absent = {"ipu", "xpu", "mtia", "T_destination"}
    missing = {n for n in dir(torch.nn.Module) if not n.startswith("_")} - set(dir(nn.Module))
    assert missing == deliberately_absent


# --- modes, gradients, conversions


@both
def test_train_and_eval_reach_every_module(lib):
    model = net(lib)
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    model.rest.train()
    assert [m.training for m in model.modules()] == [False, False, True, True, True, True]


@both
def test_requires_grad_freezes_and_unfreezes(lib):
    model = net(lib)
    assert model.requires_grad_(False) is model
    assert not any(p.requires_grad for p in model.parameters())
    model.first.requires_grad_()
    assert [n for n, p in model.named_parameters() if p.requires_grad] == ["first.weight"]


@both
def test_zero_grad_forgets_or_fills_with_zeros(lib):
    model = layer(lib)
    model(lib.ones((2, 3))).sum().backward()
    model.zero_grad(set_to_none=False)
    assert model.weight.grad.tolist() == [[0.0] * 3] * 2
    model.zero_grad()
    assert model.weight.grad is None


@both
def test_conversions_keep_parameters_and_integers(lib):
    model = net(lib)
    model.register_buffer("steps", lib.tensor(3))
    before = list(model.parameters())
    model(lib.ones((2, 3))).sum().backward()
    for convert, dtype in [
        (lambda m: m.double(), lib.float64),
        (lambda m: m.half(), lib.float16),
        (lambda m: m.bfloat16(), lib.bfloat16),
        (lambda m: m.float(), lib.float32),
        (lambda m: m.to(lib.float64), lib.float64),
        (lambda m: m.to("cpu", lib.float32), lib.float32),
        (lambda m: m.to(dtype=lib.float16), lib.float16),
        (lambda m: m.to(lib.ones(1)), lib.float32),
        (lambda m: m.to("cpu"), lib.float32),
        (lambda m: m.cpu(), lib.float32),
    ]:
        assert convert(model) is model
        assert {p.dtype for p in model.parameters()} == {dtype}
        assert model.first.mean.dtype is dtype
        assert model.first.weight.grad.dtype is dtype
        assert model.steps.dtype is lib.int64
    assert all(a is b for a, b in zip(model.parameters(), before, strict=True))
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())
    assert model.first.weight.tolist() == [[1.0] * 3] * 2


def test_share_memory_says_what_to_do_instead():
    with pytest.raises(RuntimeError, match="state_dict"):
        Scale().share_memory()


def test_compile_changes_nothing():
    module = Scale()
    assert module.compile() is None
    assert module(jt.ones(3)).tolist() == [1.0, 1.0, 1.0]


# --- copies


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_whole_and_separate(copied):
    module = Scale()
    module.register_forward_hook(print_nothing)
    module.eval()
    twin = copied(module)
    assert type(twin) is Scale
    assert twin.note == "kept"
    assert not twin.training
    assert twin.weight is twin.twin.weight is twin._parameters["weight"]
    assert twin.weight is not module.weight
    assert type(twin.weight) is nn.Parameter
    assert twin.weight.requires_grad
    assert list(twin._forward_hooks.values()) == [print_nothing]
    assert list(twin.state_dict()) == list(module.state_dict())
    with jt.no_grad():
        twin.weight.mul_(3)
    assert module.weight.tolist() == [1.0, 1.0, 1.0]
    assert twin(jt.ones(3)).tolist() == [3.0, 3.0, 3.0]
    del twin._parameters["weight"]
    assert not hasattr(twin, "weight")
    assert hasattr(module, "weight")


def print_nothing(module, args, output):
    return None


def test_a_subclass_may_write_its_own_state():
    module = WithoutLock()
    twin = copy.deepcopy(module)
    assert twin.lock == "new"
    assert twin.weight is twin._parameters["weight"]
    twin.weight = None
    assert twin._parameters["weight"] is None
    assert module.weight is not None


class WithoutLock(Scale):
    def __init__(self):
        super().__init__()
        self.lock = "old"

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["lock"]
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.lock = "new"


def test_a_module_is_freed_when_its_last_name_goes():
    gc.disable()
    try:
        module = Scale()
        watch, watch_child = weakref.ref(module), weakref.ref(module.twin)
        del module
        assert watch() is None
        assert watch_child() is None
    finally:
        gc.enable()


# --- parameters and buffers


def test_a_parameter_prints_as_pytorchs():
    values = np.array([[1.5, 2.0], [0.0, -3.25]], np.float32)
    ours, theirs = nn.Parameter(jt.tensor(values)), torch.nn.Parameter(torch.tensor(values))
    assert repr(ours) == repr(theirs)
    assert repr(nn.Parameter()) == repr(torch.nn.Parameter())


@both
def test_a_parameter_is_a_leaf_that_requires_grad(lib):
    with lib.no_grad():
        parameter = lib.nn.Parameter(lib.ones(2))
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert isinstance(parameter, lib.Tensor)
    assert not lib.nn.Parameter(lib.ones(2), requires_grad=False).requires_grad
    computed = lib.nn.Parameter(parameter * 2)
    assert computed.is_leaf
    assert type(parameter * 2) is lib.Tensor


@both
def test_a_buffer_is_a_tensor_without_gradient(lib):
    buffer = lib.nn.Buffer(lib.ones(2), persistent=False)
    assert isinstance(buffer, lib.Tensor)
    assert not buffer.requires_grad
    assert not buffer.persistent


# --- repr


@pytest.mark.parametrize("build", [layer, net, lambda lib: lib.nn.Module()])
def test_repr_is_pytorchs(build):
    same(lambda lib: repr(build(lib)))


def _with_extra(lib, text, children):
    class Custom(lib.nn.Module):
        def extra_repr(self):
            return text

    module = Custom()
    for i in range(children):
        module.add_module(f"child{i}", layer(lib))
    return module


@pytest.mark.parametrize("text", ["", "one line", "two\nlines", "with\n\nblank"])
@pytest.mark.parametrize("children", [0, 1, 2])
def test_repr_joins_settings_and_children_as_pytorchs(text, children):
    same(lambda lib: repr(lib.nn.Sequential(_with_extra(lib, text, children))))


def test_error_helper_sees_both_libraries():
    assert error(lambda lib: lib.nn.Module()(1), jt)[0] is NotImplementedError
