"""Compilations are explained in the user's terms."""

from __future__ import annotations

import logging

import pytest

import jtoolbox as jt
from jtoolbox.engine import explain


@pytest.fixture
def reports(caplog):
    explain.forget()
    jt.logging.set_logs(recompiles=True)
    with caplog.at_level(logging.INFO, "jtoolbox"):
        yield caplog
    jt.logging.set_logs(recompiles=False)


def run(n: int, scale: float = 1.0, dim: int = 0) -> None:
    w = jt.ones(4, requires_grad=True)
    (jt.zeros(n, 4) * w * scale).softmax(dim).sum().backward()
    jt.synchronize()


def test_a_smaller_batch_is_named_with_the_line_and_the_remedy(reports):
    run(64)
    run(16)
    text = reports.messages[-1]
    assert __file__ in text
    assert "was float32[64,4], now float32[16,4]: the last batch; use drop_last=True" in text


def test_a_changed_setting_is_named(reports):
    run(8)
    run(8, dim=1)
    assert "settings of operation" in reports.messages[-1]
    assert "Softmax" in reports.messages[-1]


def test_nothing_is_reported_when_nothing_compiles(reports):
    run(9)
    count = len(reports.messages)
    run(9, scale=2.0)
    assert len(reports.messages) == count


def test_a_line_that_compiles_again_and_again_warns():
    def run_with_many_sizes():
        for n in range(1, 10):
            run(n + 100)

    explain.forget()
    with pytest.warns(jt.logging.RecompileWarning, match=r"program 8 of this line.*set_logs"):
        run_with_many_sizes()


def test_the_difference_of_other_operations_is_named(reports):
    for f in (lambda w: w.exp(), lambda w: w.sin()):
        w = jt.ones(3, requires_grad=True)
        f(w).sum().backward()
        jt.synchronize()
    assert "was ExpBackward0, now SinBackward0" in reports.messages[-1]
