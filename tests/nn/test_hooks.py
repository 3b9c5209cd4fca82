"""Hooks of modules: order, arguments, replacement, removal; the same script on both libraries."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest

import jtoolbox as jt
from jtoolbox import nn
from tests.nn.both import both, layer, same, same_error


def double(lib):
    class Double(lib.nn.Module):
        def forward(self, x, *, add=0):
            return x * 2 + add

    return Double()


@both
def test_forward_hooks_run_in_order_around_forward(lib):
    log = []
    module = double(lib)
    module.register_forward_hook(lambda m, args, out: log.append(("after", args, out)))
    module.register_forward_hook(lambda m, args, out: log.append("first"), prepend=True)
    module.register_forward_pre_hook(lambda m, args: log.append(("before", args)))
    module.register_forward_pre_hook(lambda m, args: log.append("start"), prepend=True)
    assert module(3) == 6
    assert log == ["start", ("before", (3,)), "first", ("after", (3,), 6)]


@both
def test_forward_hooks_replace_arguments_and_results(lib):
    module = double(lib)
    module.register_forward_pre_hook(lambda m, args: args[0] + 1)
    module.register_forward_pre_hook(lambda m, args: (args[0] * 10,))
    module.register_forward_hook(lambda m, args, out: out + 1)
    module.register_forward_hook(lambda m, args, out: [args, out])
    assert module(3) == [(40,), 81]


@both
def test_forward_hooks_see_keywords_when_asked(lib):
    module = double(lib)
    module.register_forward_pre_hook(
        lambda m, args, kwargs: (args, {"add": kwargs["add"] + 1}), with_kwargs=True
    )
    module.register_forward_hook(lambda m, args, kwargs, out: (args, kwargs, out), with_kwargs=True)
    assert module(3, add=5) == ((3,), {"add": 6}, 12)


def _pre_hook_returns(lib, value):
    module = double(lib)
    module.register_forward_pre_hook(lambda m, args, kwargs: value, with_kwargs=True)
    module(3)


def test_a_pre_hook_with_keywords_returns_a_pair():
    same_error(lambda lib: _pre_hook_returns(lib, 3))


@both
def test_always_called_hooks_run_after_errors_too(lib):
    log = []

    class Failing(lib.nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    module = Failing()
    module.register_forward_hook(lambda m, args, out: log.append("never"))
    module.register_forward_hook(lambda m, args, out: log.append(("always", out)), always_call=True)
    with pytest.raises(ValueError, match="broken"):
        module(1)
    assert log == [("always", None)]


@both
def test_an_error_in_an_always_called_hook_becomes_a_warning(lib):
    class Failing(lib.nn.Module):
        def forward(self, x):
            raise ValueError("broken")

    def bad(m, args, out):
        raise KeyError("hook")

    module = Failing()
    module.register_forward_hook(bad, always_call=True)
    with (
        pytest.warns(UserWarning, match="always_call=True"),
        pytest.raises(ValueError, match="broken"),
    ):
        module(1)


@both
def test_a_removed_hook_is_gone(lib):
    log = []
    module = double(lib)
    handle = module.register_forward_hook(lambda m, args, out: log.append(1), with_kwargs=False)
    module(1)
    handle.remove()
    handle.remove()
    with module.register_forward_pre_hook(lambda m, args: log.append(2)):
        module(1)
    module(1)
    assert log == [1, 2]
    assert not module._forward_hooks
    assert not module._forward_pre_hooks


@both
def test_global_hooks_come_before_a_modules_own(lib):
    log = []
    hooks = lib.nn.modules.module if lib is not jt else nn.hooks
    module = double(lib)
    module.register_forward_hook(lambda m, args, out: log.append("own"))
    module.register_forward_pre_hook(lambda m, args: log.append("own before"))
    with (
        hooks.register_module_forward_hook(lambda m, args, out: log.append("all")),
        hooks.register_module_forward_pre_hook(lambda m, args: log.append("all before")),
    ):
        module(1)
    module(1)
    assert log == ["all before", "own before", "all", "own", "own before", "own"]


@both
def test_registration_hooks_see_what_is_registered(lib):
    log = []
    hooks = lib.nn.modules.module if lib is not jt else nn.hooks

    def note(kind):
        return lambda module, name, value: log.append((kind, name))

    with (
        hooks.register_module_parameter_registration_hook(note("parameter")),
        hooks.register_module_buffer_registration_hook(note("buffer")),
        hooks.register_module_module_registration_hook(note("module")),
    ):
        model = lib.nn.Sequential(layer(lib))
    model.later = lib.nn.Parameter(lib.ones(1))
    assert log == [
        ("parameter", "weight"),
        ("buffer", "mean"),
        ("buffer", "scratch"),
        ("module", "0"),
    ]


# --- backward


def _gradients(lib, hook=None, pre_hook=None):
    """What the backward hooks of a layer saw, and the gradients of its input and weight."""
    log = []
    module = layer(lib)
    if hook is not None:
        module.register_full_backward_hook(
            lambda m, gi, go: log.append([g.tolist() for g in (*gi, *go)]) or hook(m, gi, go)
        )
    if pre_hook is not None:
        module.register_full_backward_pre_hook(
            lambda m, go: log.append([g.tolist() for g in go]) or pre_hook(m, go)
        )
    x = lib.ones((2, 3)).requires_grad_()
    (module(x * 2) * 3).sum().backward()
    return log, x.grad.tolist(), module.weight.grad.tolist()


def test_backward_hooks_see_the_gradients_of_inputs_and_outputs():
    same(lambda lib: _gradients(lib, hook=lambda m, gi, go: None))


def test_backward_hooks_replace_the_gradient_of_the_input():
    same(lambda lib: _gradients(lib, hook=lambda m, gi, go: (gi[0] * 10,)))


def test_backward_pre_hooks_replace_the_gradient_of_the_output():
    same(lambda lib: _gradients(lib, pre_hook=lambda m, go: (go[0] * 10,)))


def test_backward_hooks_work_together():
    same(
        lambda lib: _gradients(
            lib, hook=lambda m, gi, go: (gi[0] + go[0],), pre_hook=lambda m, go: (go[0] * 10,)
        )
    )


def _two_inputs(lib, hook):
    class Pair(lib.nn.Module):
        def forward(self, x, size, y):
            return x * y, y * size

    log = []
    module = Pair()

    def logged(m, gi, go):
        log.append([None if g is None else g.tolist() for g in (*gi, *go)])
        return hook(gi)

    module.register_full_backward_hook(logged)
    x = lib.tensor([1.0, 2.0]).requires_grad_()
    y = lib.tensor([[3.0], [4.0]]).requires_grad_()
    product, scaled = module(x, 5, y)
    (product.sum() + scaled.sum() * 2).backward()
    return log, x.grad.tolist(), y.grad.tolist()


def test_backward_hooks_see_several_inputs_and_outputs_at_once():
    same(lambda lib: _two_inputs(lib, lambda gi: None))


def test_backward_hooks_replace_several_gradients_at_once():
    same(lambda lib: _two_inputs(lib, lambda gi: (gi[0] * 2, None, gi[2] * 3)))


def test_a_backward_hook_returns_as_many_gradients_as_there_are_inputs():
    same_error(lambda lib: _gradients(lib, hook=lambda m, gi, go: (gi[0], gi[0])))


def test_a_backward_pre_hook_returns_as_many_gradients_as_there_are_outputs():
    same_error(lambda lib: _gradients(lib, pre_hook=lambda m, go: (go[0], go[0])))


@both
def test_backward_hooks_fire_with_a_warning_when_no_input_requires_grad(lib):
    log = []
    module = layer(lib)
    module.register_full_backward_hook(lambda m, gi, go: log.append((gi, go[0].tolist())))
    out = module(lib.ones((2, 3)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out.sum().backward()
    assert log == [((None,), [[1.0] * 3] * 2)]
    assert any("no inputs require gradients" in str(w.message) for w in caught)


@both
def test_backward_hooks_do_not_run_under_no_grad(lib):
    log = []
    module = layer(lib)
    module.register_full_backward_hook(lambda m, gi, go: log.append(1))
    with lib.no_grad():
        out = module(lib.ones((2, 3)))
    assert not out.requires_grad
    assert log == []


@both
def test_global_backward_hooks_see_every_module(lib):
    log = []
    hooks = lib.nn.modules.module if lib is not jt else nn.hooks
    module = layer(lib)
    x = lib.ones((2, 3)).requires_grad_()
    with (
        hooks.register_module_full_backward_hook(lambda m, gi, go: log.append("grads")),
        hooks.register_module_full_backward_pre_hook(lambda m, go: log.append("before")),
    ):
        module(x).sum().backward()
    assert log == ["before", "grads"]


def _mixed(lib):
    module = layer(lib)
    module.register_backward_hook(lambda m, gi, go: None)
    module.register_full_backward_hook(lambda m, gi, go: None)


def test_old_and_full_backward_hooks_do_not_mix():
    same_error(_mixed)


# --- copies


class Plain(nn.Module):
    def forward(self, x):
        return x


def shout(module, args, output):
    return "shouted"


def test_handles_survive_pickling():
    module = Plain()
    handle = module.register_forward_hook(shout)
    twin, twin_handle = pickle.loads(pickle.dumps((module, handle)))
    assert twin(1) == "shouted"
    twin_handle.remove()
    assert twin(1) == 1
    assert module(1) == "shouted"


def test_a_hook_on_a_copy_leaves_the_original_alone():
    module = Plain()
    twin = copy.deepcopy(module)
    twin.register_forward_hook(shout)
    assert twin(1) == "shouted"
    assert module(1) == 1


@both
def test_hooks_see_zeros_for_inputs_without_gradient_and_none_for_such_outputs(lib):
    class Parts(lib.nn.Module):
        def forward(self, x, y):
            return x * 2, y * 3

    seen = []
    module = Parts()
    module.register_full_backward_hook(lambda m, inputs, outputs: seen.extend([inputs, outputs]))
    x, y = lib.ones(2).requires_grad_(), lib.ones(3)
    module(x, y)[0].sum().backward()
    inputs, outputs = seen
    assert inputs[1].tolist() == [0, 0, 0]
    assert outputs[1] is None
    assert inputs[0].tolist() == [2, 2]
    assert outputs[0].tolist() == [1, 1]
