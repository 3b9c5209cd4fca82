"""`torch.compiler`'s marks change nothing, and its question is answered for recorded steps."""

from __future__ import annotations

import jax.numpy as jnp
import pytest

import jtoolbox as jt
from jtoolbox.func import functional_call
from jtoolbox.utils import cpp_extension, hooks


def answer():
    return 42


def test_marks_give_the_function_back():
    compiler = jt.compiler
    for mark in (compiler.disable, compiler.disable(reason="slow")):
        assert mark(len)([1]) == 1
    for mark in (compiler.allow_in_graph, compiler.assume_constant_result):
        assert mark(answer) is answer
    assert not compiler.is_exporting()
    compiler.cudagraph_mark_step_begin()
    compiler.reset()
    with compiler.set_stance("force_eager"):
        assert not compiler.is_compiling()
    assert "openxla" in compiler.list_backends()
    assert compiler.nested_compile_region(len) is len
    assert compiler.nested_compile_region()(len) is len


def test_python_that_runs_to_be_recorded_is_told_so():
    asked = []

    class Model(jt.nn.Linear):
        def forward(self, input):
            asked.append(jt.compiler.is_compiling() and jt.compiler.is_dynamo_compiling())
            return super().forward(input)

    model, x = Model(2, 2), jt.ones(1, 2)
    model(x)
    jt.jit(lambda x: model(x).sum().detach())(x)
    functional_call(model, jt.tree(model), jnp.ones((1, 2)))
    assert asked == [False, True, True]


def test_extensions_can_be_imported_and_not_built():
    assert cpp_extension.CUDA_HOME is None
    for build in (cpp_extension.load, cpp_extension.load_inline, cpp_extension.BuildExtension):
        with pytest.raises(RuntimeError, match=r"cannot run here\. Use the program's version"):
            build("fast", sources=["fast.cpp"])
    for make in (cpp_extension.CppExtension, cpp_extension.CUDAExtension):
        with pytest.raises(RuntimeError, match=rf"{make.__name__}\('fast'\)"):
            make("fast", ["fast.cpp"])


def test_the_handle_of_a_hook_has_pytorchs_place():
    handle = jt.ones(2, requires_grad=True).register_hook(hooks.unserializable_hook(lambda g: g))
    assert isinstance(handle, hooks.RemovableHandle)
