"""`torch.utils.benchmark`: how long a statement takes, pending work included."""

from __future__ import annotations

import itertools
import math
import textwrap
import time
import timeit
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import jtoolbox.engine as engine

__all__ = ["Compare", "Measurement", "Timer", "select_unit", "timer"]

_UNITS = (("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0))


def timer() -> float:
    """The clock in seconds, after all pending work has been run."""
    engine.synchronize()
    return time.perf_counter()


def select_unit(t: float) -> tuple[str, float]:
    """The unit that suits a time, with its length in seconds: ("us", 1e-6) for 3e-5."""
    power = 0 if t <= 0 else math.floor(math.log10(t)) // 3
    return _UNITS[min(max(power, -3), 0) + 3]


@dataclass(frozen=True)
class TaskSpec:
    """What was measured, in words."""

    stmt: str
    setup: str
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label and the second label, or the statement itself."""
        if self.label is not None:
            return self.label + (f": {self.sub_label}" if self.sub_label else "")
        return self.stmt if "\n" not in self.stmt else f"stmt:\n{textwrap.indent(self.stmt, '  ')}"


@dataclass
class Measurement:
    """Times of one statement: `times` are seconds per run, one for each block of runs."""

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = None

    @property
    def times(self) -> list[float]:
        """Seconds per run, of each block."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean time in seconds."""
        return float(np.mean(self.times))

    @property
    def median(self) -> float:
        """The median time in seconds."""
        return float(np.median(self.times))

    @property
    def iqr(self) -> float:
        """The distance of the quartiles in seconds."""
        low, high = np.percentile(self.times, [25, 75])
        return float(high - low)

    @property
    def has_warnings(self) -> bool:
        """Whether the times vary so much that they say little: quartiles 10% apart."""
        return len(self.times) > 1 and self.iqr / self.median > 0.1

    @property
    def title(self) -> str:
        """What was measured."""
        return self.task_spec.title

    def meets_confidence(self, threshold: float = 0.1) -> bool:
        """Whether the quartiles lie within this part of the median."""
        return self.iqr / self.median < threshold

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "task_spec":
            raise AttributeError(name)
        return getattr(self.task_spec, name)

    def __repr__(self) -> str:
        unit, size = select_unit(self.median)
        count = len(self.raw_times)
        lines = [object.__repr__(self), self.title]
        lines += [self.task_spec.description] if self.task_spec.description else []
        if count == 1:
            lines.append(f"  {self.median / size:.2f} {unit}")
        else:
            low, high = (float(q) / size for q in np.percentile(self.times, [25, 75]))
            lines.append(f"  Median: {self.median / size:.2f} {unit}")
            lines.append(f"  IQR:    {self.iqr / size:.2f} {unit} ({low:.2f} to {high:.2f})")
        plural = "" if count == 1 else "s"
        runs = f"{self.number_per_run} runs" + (" per measurement" if count > 1 else "")
        threads = f"{self.task_spec.num_threads} thread"
        lines.append(f"  {count} measurement{plural}, {runs}, {threads}")
        return "\n".join(lines)

    @staticmethod
    def merge(measurements: Iterable[Measurement]) -> list[Measurement]:
        """Joins the times of measurements of the same thing."""
        groups: dict[Any, Measurement] = {}
        for m in measurements:
            key = (m.number_per_run, m.task_spec)
            before = groups[key].raw_times if key in groups else []
            groups[key] = Measurement(m.number_per_run, [*before, *m.raw_times], m.task_spec)
        return list(groups.values())


@dataclass
class Timer:
    """Measures a statement given as text, `Timer("model(x)", globals=globals()).timeit(100)`.

    What the statement leaves pending is run before the clock is read, so that a block of runs is
    timed with its work; a first run warms up. Compilation belongs into `setup` or the warm-up.
    `label`, `sub_label`, `description` and `env` name the measurement for `Compare`. The number of
    threads is XLA's, fixed at its start: ValueError for `num_threads` above 1. NotImplementedError
    for statements of C++.
    """

    stmt: str = "pass"
    setup: str = "pass"
    global_setup: str = ""
    timer: Callable[[], float] = timer
    globals: dict[str, Any] | None = None
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1
    language: str = "python"
    _timer: timeit.Timer = field(init=False, repr=False)
    _task: TaskSpec = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if str(self.language).lower() not in ("python", "py") or self.global_setup:
            raise NotImplementedError("Timer measures statements of Python only")
        if self.num_threads != 1:
            raise ValueError(
                "Timer(num_threads=...) is not supported: XLA's threads are chosen before the "
                "start, by the environment variable NPROC or taskset"
            )
        names = dict(self.globals or {})
        stmt, setup = textwrap.dedent(self.stmt).strip(), textwrap.dedent(self.setup).strip()
        clock: Any = self.timer
        self._timer = timeit.Timer(stmt, setup or "pass", clock, names)
        self._task = TaskSpec(stmt, setup, self.label, self.sub_label, self.description, self.env)

    def _time(self, number: int) -> float:
        return max(self._timer.timeit(number), 1e-9)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """So many runs as one block, after a warm-up."""
        self._time(max(number // 100, 2))
        return Measurement(number, [self._time(number)], self._task)

    def repeat(self, repeat: int = -1, number: int = -1) -> None:
        """Not there, in PyTorch neither: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def autorange(self, callback: Any = None) -> None:
        """Not there, in PyTorch neither: NotImplementedError."""
        raise NotImplementedError("See `Timer.blocked_autorange.`")

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Blocks of so many runs that the clock costs nothing, for `min_run_time` seconds."""
        number = self._block_size(min_run_time)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._time(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._task)

    def adaptive_autorange(
        self,
        threshold: float = 0.1,
        *,
        min_run_time: float = 0.01,
        max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:
        """Blocks until the quartiles lie within `threshold` of the median, or time is up."""
        number = self._block_size(min_run_time)
        times: list[float] = []
        while sum(times) < max_run_time:
            times.append(self._time(number))
            if callback is not None:
                callback(number, times[-1])
            result = Measurement(number, times, self._task)
            if len(times) > 3 and sum(times) >= min_run_time and result.meets_confidence(threshold):
                break
        return Measurement(number, times, self._task)

    def _block_size(self, min_run_time: float) -> int:
        clock = float(np.median([self._empty() for _ in range(5)]))
        for number in (10**power for power in itertools.count()):
            taken = self._time(number)
            if taken * 1e-3 >= clock or taken >= min_run_time:
                return number
        raise AssertionError

    def _empty(self) -> float:
        clock: Any = self.timer
        return max(timeit.Timer("pass", "pass", clock).timeit(0), 0.0)

    def collect_callgrind(self, *args: Any, **kwargs: Any) -> None:
        """Not there: NotImplementedError."""
        raise NotImplementedError("collect_callgrind is not supported: use jtoolbox.profiler")


class Compare:
    """Measurements as a table: a row for each `sub_label`, a column for each `description`."""

    def __init__(self, results: Iterable[Measurement]):
        self._results = list(results)

    def extend_results(self, results: Iterable[Measurement]) -> None:
        """Adds measurements."""
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Accepted: times have three digits."""

    def colorize(self, rowwise: bool = False) -> None:
        """Accepted: the table has no colours."""

    def highlight_warnings(self) -> None:
        """Accepted: `Measurement.has_warnings` tells of times that vary."""

    def print(self) -> None:
        """Writes the table."""
        print(self)

    def __str__(self) -> str:
        labels = list(dict.fromkeys(m.task_spec.label for m in self._results))
        return "\n".join(self._table(label) for label in labels)

    def _table(self, label: str | None) -> str:
        found = Measurement.merge(m for m in self._results if m.task_spec.label == label)
        unit, size = select_unit(min(m.median for m in found))
        columns = list(dict.fromkeys(m.task_spec.description or "" for m in found))
        rows = list(dict.fromkeys((m.task_spec.env, m.task_spec.sub_label) for m in found))
        medians = {((m.env, m.sub_label), m.description or ""): m.median / size for m in found}
        cells = [["", *columns]]
        for row in rows:
            name = "  ".join(part for part in row if part) or found[0].task_spec.stmt
            texts = [f"{medians[row, c]:.3g}" if (row, c) in medians else "" for c in columns]
            cells.append([name, *texts])
        widths = [max(len(row[i]) for row in cells) for i in range(len(columns) + 1)]
        lines = ["  |  ".join(t.rjust(w) for t, w in zip(r, widths, strict=True)) for r in cells]
        title = f" {label or found[0].title} ".center(len(lines[0]), "-")
        names = {"ns": "nano", "us": "micro", "ms": "milli", "s": ""}
        return "\n".join(
            [f"[{title}]", *lines, "", f"Times are in {names[unit]}seconds ({unit}).", ""]
        )
