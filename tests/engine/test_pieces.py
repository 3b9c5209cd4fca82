"""Programs with much temporary memory: a second form takes over, and the first one is cached."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import jtoolbox as jt
from jtoolbox.engine import compile as compiling
from jtoolbox.engine import pieces

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="pieces are for glibc's allocator")


def train(steps, lr):
    jt.manual_seed(0)
    model = jt.nn.Sequential(jt.nn.Linear(6, 9), jt.nn.Tanh(), jt.nn.Linear(9, 3))
    optimizer = jt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x = jt.from_numpy(np.linspace(-1, 1, 24, dtype="f").reshape(4, 6))
    losses = []
    for k in range(steps):
        optimizer.param_groups[0]["lr"] = lr(k)
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        for thread in threading.enumerate():
            if thread.name == pieces.THREAD:
                thread.join()
    return losses


@LINUX
@pytest.mark.parametrize("lr", [lambda k: 0.1, lambda k: 0.1 / (1 + k)], ids=["same", "changing"])
def test_the_second_form_gives_the_same_losses(monkeypatch, lr):
    compiling.clear_programs()
    expected = train(9, lr)
    made = []

    class Noted(pieces.Improving):
        def __init__(self, *given):
            super().__init__(*given)
            made.append(self)

    monkeypatch.setattr(pieces, "LARGEST", 256)
    monkeypatch.setattr(pieces, "Improving", Noted)
    monkeypatch.setattr(compiling, "RUNS", 4)
    compiling.clear_programs()
    assert train(9, lr) == expected
    assert [form.second is not None for form in made] == [True]
    compiling.clear_programs()


@pytest.mark.parametrize("lr", [lambda k: 0.1, lambda k: 0.1 / (1 + k)], ids=["same", "changing"])
def test_a_small_program_is_not_compiled_again(monkeypatch, compilations, lr):
    monkeypatch.setattr(compiling, "RUNS", 6)
    compiling.clear_programs()
    train(3, lr)
    compilations.count()
    train(6, lr)
    assert compilations.count() == 0


def test_a_program_of_one_kernel_stays_so(monkeypatch):
    monkeypatch.setattr(pieces, "LARGEST", 64)
    monkeypatch.setattr(compiling, "RUNS", 4)
    compiling.clear_programs()
    model = jt.nn.Linear(512, 128)
    x = jt.from_numpy(np.ones((1, 512), "f"))
    losses = []
    for _ in range(6):
        model.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        losses.append(loss.item())
    assert losses == losses[:1] * 6


SCRIPT = """
import numpy as np
import jtoolbox as jt
from jtoolbox.engine import compile as compiling
compiling.RUNS = 3
w = jt.zeros(4, 96, requires_grad=True)
optimizer = jt.optim.SGD([w], lr=0.1)
x = jt.from_numpy(np.ones((65536, 4), "f"))
for _ in range(6):
    loss = (x @ w).sin().cumsum(0).cos().tanh().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""


@LINUX
def test_a_large_program_is_found_in_the_cache_by_the_next_process(tmp_path):
    environment = {**os.environ, "JTOOLBOX_CACHE": str(tmp_path)}
    environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    outputs = []
    for _ in range(2):
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stderr == ""
        outputs.append((done.stdout, sorted(p.name for p in tmp_path.glob("jit_program*-cache"))))
    assert outputs[0] == outputs[1]
    assert len(outputs[0][1]) >= 1
