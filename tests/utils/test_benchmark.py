"""Timers measure the work of a statement, and say it as PyTorch's do."""

from __future__ import annotations

import re
import time

import pytest

import jtoolbox as jt
from jtoolbox.utils import benchmark
from tests.nn.both import both


def ticking(step: float):
    """A clock that says `step` seconds more at each look."""
    now = [0.0]

    def clock() -> float:
        now[0] += step
        return now[0]

    return clock


def timer_of(lib):
    return __import__(f"{lib.__name__}.utils.benchmark", fromlist=["Timer"])


@both
def test_a_measurement_reads_as_pytorchs(lib):
    B = timer_of(lib)
    spec = {"label": "L", "sub_label": "S", "description": "D"}
    m = B.Timer("x + 1", globals={"x": 1}, timer=ticking(2e-3), **spec).timeit(100)
    assert m.number_per_run == 100
    assert m.raw_times == pytest.approx([2e-3])
    assert m.mean == m.median == pytest.approx(2e-5)
    assert re.sub("^.*\n", "", repr(m), count=1) == (
        "L: S\nD\n  20.00 us\n  1 measurement, 100 runs , 1 thread"
    ).replace("runs ,", "runs ," if lib is not jt else "runs,")
    assert B.select_unit(3e-5) == ("us", 1e-6)
    assert B.select_unit(0.5) == ("ms", 1e-3)
    assert B.select_unit(50) == ("s", 1)


def test_ranges_stop_when_time_is_up():
    timer = benchmark.Timer("sum(range(100))", timer=time.perf_counter)
    m = timer.blocked_autorange(min_run_time=0.02)
    assert sum(m.raw_times) >= 0.02
    m = timer.adaptive_autorange(min_run_time=0.01, max_run_time=0.05)
    assert sum(m.raw_times) >= 0.01
    assert 1e-7 < m.median < 1e-3
    m = benchmark.Measurement(1, [1.0, 1.0, 1.0, 5.0, 5.0], timer._task)
    assert m.has_warnings
    assert not m.meets_confidence()
    assert m.iqr == 4


def test_a_timer_waits_for_pending_work():
    x = jt.ones(4)
    assert benchmark.Timer("y = x + 1", globals={"x": x}).timeit(3).median > 0


def test_a_table_compares_measurements(capsys):
    found = [
        benchmark.Timer("pass", timer=ticking(t), label="add", sub_label=s, description=d).timeit(1)
        for t, s, d in [(1e-3, "small", "a"), (2e-3, "small", "b"), (3e-3, "large", "a")]
    ]
    table = benchmark.Compare(found[:2])
    table.extend_results(found[2:])
    table.print()
    lines = capsys.readouterr().out.splitlines()
    assert "add" in lines[0]
    assert [line.split() for line in lines[1:4]] == [
        ["|", "a", "|", "b"],
        ["small", "|", "1", "|", "2"],
        ["large", "|", "3", "|"],
    ]
    assert "milliseconds" in lines[5]


def test_what_a_timer_cannot_do_it_says():
    with pytest.raises(ValueError, match="XLA's threads"):
        benchmark.Timer(num_threads=4)
    with pytest.raises(NotImplementedError, match="Python only"):
        benchmark.Timer(language="c++")
    with pytest.raises(NotImplementedError, match="blocked_autorange"):
        benchmark.Timer().autorange()
    with pytest.raises(NotImplementedError, match=r"jtoolbox\.profiler"):
        benchmark.Timer().collect_callgrind()
