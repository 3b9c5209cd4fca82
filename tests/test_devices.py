"""Device modules answer as PyTorch's on a machine without their devices, and take what is set."""

from __future__ import annotations

import pytest
import torch

import jtoolbox as jt

QUESTIONS = [
    *("cuda.is_available()", "cuda.device_count()", "cuda.is_bf16_supported()"),
    *("cuda.memory_allocated()", "cuda.max_memory_allocated()", "cuda.is_initialized()"),
    *("accelerator.is_available()", "accelerator.device_count()", "cpu.current_device()"),
    *("accelerator.current_accelerator()", "mps.device_count()", "xpu.is_available()"),
    *("cpu.is_available()", "cpu.device_count()", "backends.mps.is_available()", "version.cuda"),
    *("backends.cuda.is_built()", "distributed.is_available()", "distributed.is_initialized()"),
]


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.skipif(jt.accelerator.is_available(), reason="the answers are those of a CPU")
def test_answers_are_those_of_pytorch(question):
    assert eval(f"t.{question}", {"t": jt}) == eval(f"t.{question}", {"t": torch})


def test_switches_are_taken_and_seeds_are_one_for_all_devices():
    jt.backends.cudnn.benchmark = True
    jt.backends.cuda.matmul.allow_tf32 = True
    with jt.backends.cudnn.flags(enabled=False):
        assert not jt.backends.cudnn.enabled
    assert jt.backends.cudnn.enabled
    jt.backends.cudnn.benchmark = jt.backends.cuda.matmul.allow_tf32 = False
    jt.cuda.manual_seed_all(3)
    assert jt.initial_seed() == 3


def test_forked_random_numbers_come_again():
    with jt.random.fork_rng():
        inside = jt.rand(2).tolist()
    assert jt.rand(2).tolist() == inside
    state = jt.random.get_rng_state()
    first = jt.rand(2).tolist()
    jt.random.set_rng_state(state)
    assert jt.rand(2).tolist() == first


def test_events_measure_time():
    start, end = jt.cuda.Event(enable_timing=True), jt.cuda.Event(enable_timing=True)
    start.record()
    with jt.cuda.stream(jt.cuda.Stream()):
        end.record()
    assert start.elapsed_time(end) >= 0
    with pytest.raises(ValueError, match="enable_timing=True"):
        jt.cuda.Event().elapsed_time(end)


ERRORS = {
    "jit.save": lambda: jt.jit.save(None, "f"),
    "jit.load": lambda: jt.jit.load("f"),
    "onnx": lambda: jt.onnx.export(None),
    "hub.load": lambda: jt.hub.load("pytorch/vision", "resnet18"),
    "url": lambda: jt.hub.load_state_dict_from_url("https://host/file.pth"),
    "profile": lambda: jt.profiler.profile().key_averages(),
}
WORDS = {
    "jit.save": "TorchScript files",
    "jit.load": "torch.load",
    "onnx": "torch.onnx.export is not supported",
    "hub.load": "python -m jtoolbox run",
    "url": "Fetch https://host/file.pth yourself",
    "profile": "jax.profiler.trace",
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_is_not_there_says_what_to_do(name):
    with pytest.raises(NotImplementedError, match=WORDS[name]):
        ERRORS[name]()


WITHOUT = [
    *("cuda.synchronize", "cuda.current_device", "cuda.current_stream", "cuda.initial_seed"),
    *("cuda.get_rng_state", "cuda.ipc_collect", "cuda.reset_peak_memory_stats"),
    *("mps.synchronize", "mps.empty_cache", "mps.seed", "xpu.synchronize"),
    *("accelerator.synchronize", "accelerator.current_stream"),
]


@pytest.mark.skipif(jt.accelerator.is_available(), reason="there is one")
@pytest.mark.parametrize("name", WITHOUT)
def test_what_needs_a_device_that_is_not_there_raises_as_in_pytorch(name):
    module, function = name.split(".")
    with pytest.raises((RuntimeError, AssertionError, AttributeError)):
        getattr(getattr(torch, module), function)()
    with pytest.raises(RuntimeError, match=r"not available|no MPS|no XPU|none is available"):
        getattr(getattr(jt, module), function)()


def test_scripting_changes_nothing_and_jit_stays_jit():
    layer = jt.nn.Linear(2, 2)
    assert jt.jit.script(layer) is layer
    assert jt.jit.trace(layer, jt.ones(1, 2)) is layer
    assert jt.jit(lambda x: x + 1)(jt.ones(2)).tolist() == [2.0, 2.0]
    with pytest.raises(AttributeError, match="has no 'nothing'"):
        _ = jt.jit.nothing


def test_arguments_are_scattered_and_gathered():
    parts = jt.nn.parallel.scatter((jt.arange(4), {"a": 1}), ["cpu", "cpu"])
    assert [p[0].tolist() for p in parts] == [[0, 1], [2, 3]]
    assert jt.nn.parallel.gather([p[0] for p in parts], "cpu").tolist() == [0, 1, 2, 3]
    layer = jt.nn.Linear(2, 2)
    twins = jt.nn.parallel.replicate(layer, ["cpu", "cpu"])
    results = jt.nn.parallel.parallel_apply(twins, [(jt.ones(1, 2),)] * 2)
    results[0].sum().backward()
    assert layer.weight.grad is not None
