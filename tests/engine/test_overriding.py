"""Subclasses of Tensor: results keep the class, and `__torch_function__` is asked."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import jtoolbox as jt
from tests.nn.both import both, same


@pytest.fixture(autouse=True)
def no_class_is_left():
    yield
    jt.engine.overriding.classes.clear()


def marked(lib: Any) -> Any:
    class Marked(lib.Tensor):
        pass

    return Marked


def names(values: Any) -> list[str]:
    return [type(v).__name__ for v in values]


@both
def test_results_are_of_the_subclass(lib):
    x = lib.arange(4.0).view(2, 2).as_subclass(marked(lib))
    results = [
        x + 1,
        1 + x,
        x.sum(),
        x[0],
        x.t(),
        x.detach(),
        x.clone(),
        lib.stack([x, x]),
        x.mm(x),
    ]
    results += [lib.nn.functional.relu(x), *x.max(0), *x.split(1), x.double(), x @ lib.ones(2, 2)]
    assert set(names(results)) == {"Marked"}
    assert names([x.numpy(), x.tolist()]) == ["ndarray", "list"]
    assert repr(x[0]) == "Marked([0., 1.])"
    assert x.add_(1) is x


@both
def test_gradients_flow_through_a_subclass(lib):
    x = lib.ones(2, requires_grad=True)
    y = x.as_subclass(marked(lib))
    (y * y).sum().backward()
    assert x.grad.tolist() == [2, 2]
    assert not y.is_leaf


@both
def test_a_subclass_has_its_own_constructor(lib):
    class Tagged(lib.Tensor):
        @staticmethod
        def __new__(cls, data: Any, tag: str):
            return super().__new__(cls, data)

        def __init__(self, data: Any, tag: str):
            self.tag = tag

    x = Tagged([1, 2], "a")
    assert (x.tag, x.tolist(), type(x * 2).__name__) == ("a", [1, 2], "Tagged")

    class Weight(lib.nn.Parameter):
        pass

    w = Weight(lib.ones(2))
    assert isinstance(w, lib.nn.Parameter)
    assert w.requires_grad
    assert type(w + 1) is lib.Tensor
    assert type(lib.Tensor._make_subclass(marked(lib), lib.ones(2), True)).__name__ == "Marked"


@both
def test_torch_function_is_asked(lib):
    calls = []

    class Logged(lib.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            calls.append((func.__name__, types))
            return super().__torch_function__(func, types, args, kwargs or {})

    x = lib.ones(2).as_subclass(Logged)
    del calls[:]
    assert type(lib.exp(x)) is Logged
    assert calls == [("exp", (Logged,))]

    class Constant(lib.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return 7 if func is lib.add else NotImplemented

    y = lib.Tensor._make_subclass(Constant, lib.ones(2))
    assert lib.add(y, 1) == 7
    with pytest.raises(
        TypeError, match=r"Multiple dispatch failed|no implementation found for 'exp'"
    ):
        lib.exp(y)


@both
def test_helpers_of_overrides(lib):
    kind = marked(lib)
    x = lib.ones(2).as_subclass(kind)
    overrides = lib.overrides
    assert overrides.has_torch_function((x,))
    assert not overrides.has_torch_function((lib.ones(1), 3))
    assert overrides.is_tensor_like(x)
    assert not overrides.is_tensor_like(3)

    @overrides.wrap_torch_function(lambda value: (value,))
    def twice(value: Any) -> Any:
        return value * 2

    assert type(twice(x)) is kind
    assert overrides.handle_torch_function(twice, (x,), x).tolist() == [2, 2]


def test_foreign_objects_are_told_what_to_be():
    class Foreign:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            return None

    with pytest.raises(TypeError, match=r"subclasses of torch\.Tensor alone"):
        jt.exp(Foreign())
    assert jt.overrides.is_tensor_like(Foreign())


def test_as_subclass_takes_classes_of_tensors_only():
    with pytest.raises(TypeError, match=r"subclass of torch\.Tensor"):
        jt.ones(2).as_subclass(int)
    same(lambda lib: repr(lib.ones(1).as_subclass(lib.Tensor)))


def test_a_mode_is_asked_before_each_operation():
    found = []
    for t in (jt, torch):
        seen = []

        class Note(t.overrides.TorchFunctionMode):
            def __init__(self, word, seen=seen):
                super().__init__()
                self.word, self.seen = word, seen

            def __torch_function__(self, func, types, args=(), kwargs=None):
                self.seen.append((self.word, func.__name__))
                return func(*args, **(kwargs or {}))

        x = t.ones(2)
        with Note("outer"), Note("inner"):
            y = t.add(x, 1)
        y.exp()
        found.append((seen, y.tolist()))
    assert found[0] == found[1]


def test_classes_with_torch_dispatch_say_what_to_define():
    class Wrapped(jt.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            return func(*args)

    for make in (
        lambda c: c([1.0]),
        jt.ones(1).as_subclass,
        lambda c: jt.Tensor._make_subclass(c, jt.ones(1)),
    ):
        with pytest.raises(NotImplementedError, match="Define __torch_function__"):
            make(Wrapped)
