"""Times competitors against each other: a process each, taking turns in short rounds.

A process of its own keeps a competitor's thread pools, allocator settings and compiler flags from
the others; taking turns spreads the machine's drift over all of them. A round is long enough for
the clock, ends when all of its work has finished, and reads the loss only then. Compare medians.

Where Linux tells it, the share of the machine that other programs took during a round is noted; a
round that was disturbed is repeated while patience lasts, and the calmest rounds count.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

LIBRARIES = ("jax", "jaxlib", "torch", "flax", "equinox", "optax", "numpy")
QUIET = 0.03  # share of the machine that others may take before a round counts as disturbed


class Worker:
    """A process that trains one competitor; see `benchmarks.worker`.

    `label` is its name in tables; `environment` is added to the process's.
    """

    def __init__(self, name: str, workload: str, size: int, label: str = "", environment=None):
        self.name = label or name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name, workload, str(size)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=os.environ | (environment or {}),
        )
        hello = self._reply()
        self.losses, self.first, self.about = hello["losses"], hello["first"], hello["about"]

    def _reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"competitor {self.name} stopped, code {self.process.wait()}")
        return json.loads(line)

    def seconds_per_step(self, steps: int) -> float:
        print(steps, file=self.process.stdin)
        return self._reply()

    def timed_round(self, steps: int) -> tuple[float, float]:
        """Seconds a step, and the share of the machine that others took meanwhile."""
        start, busy, own = time.perf_counter(), busy_seconds(), cpu_seconds(self.process.pid)
        seconds = self.seconds_per_step(steps)
        others = (busy_seconds() - busy) - (cpu_seconds(self.process.pid) - own)
        return seconds, max(0.0, others / (time.perf_counter() - start) / os.cpu_count())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def busy_seconds() -> float:
    """Processor time that anyone has used since boot; 0 where the system does not say."""
    try:
        fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, irq, soft, steal = map(int, fields)
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used; 0 where the system does not say."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Result:
    """One competitor's rounds: seconds a step, and the share of the machine that others took."""

    name: str
    first: float
    wanted: int
    rounds: list[tuple[float, float]] = field(default_factory=list)

    @property
    def calm(self) -> bool:
        return sum(others <= QUIET for _, others in self.rounds) >= self.wanted

    @property
    def counted(self) -> list[tuple[float, float]]:
        return sorted(self.rounds, key=lambda r: r[1])[: self.wanted]

    @property
    def seconds(self) -> list[float]:
        return [seconds for seconds, _ in self.counted]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def others(self) -> float:
        return statistics.mean(others for _, others in self.counted)


# More than the runs after which jtoolbox compiles a program with much temporary memory again.
SETTLING = 40


def measure(
    workers: list[Worker], rounds: int, seconds: float, patience: float = 0.0
) -> list[Result]:
    """Rounds of about `seconds` each, every competitor once a round, the order rotated.

    Goes on for up to `patience` seconds until every competitor had that many undisturbed ones.
    """
    results = {worker.name: Result(worker.name, worker.first, rounds) for worker in workers}
    for worker in workers:  # what a library does about a program that runs often is done by then
        worker.seconds_per_step(SETTLING)
    steps = {worker.name: steps_for(worker, seconds) for worker in workers}
    end, turn = time.monotonic() + patience, 0
    while turn < rounds or (
        time.monotonic() < end and not all(result.calm for result in results.values())
    ):
        shift = turn % len(workers)
        for worker in workers[shift:] + workers[:shift]:
            results[worker.name].rounds.append(worker.timed_round(steps[worker.name]))
        turn += 1
    return list(results.values())


def steps_for(worker: Worker, seconds: float) -> int:
    """The number of steps that takes a worker about so many seconds, at least 3."""
    guess = worker.seconds_per_step(3)
    guess = worker.seconds_per_step(max(3, int(seconds / 4 / guess)))
    return max(3, int(seconds / guess))


def table(results: list[Result], against: str) -> str:
    """The medians in Markdown, with ratios to one competitor's and the spread of the rounds."""
    base = next((r.median for r in results if r.name == against), None)
    lines = [
        f"| competitor | ms a step | x {against} | fastest to slowest round | others' CPU "
        "| first step, s |",
        "|---|---|---|---|---|---|",
    ]
    for r in results:
        ratio = f"{r.median / base:.2f}" if base else "-"
        spread = f"{milliseconds(min(r.seconds))} to {milliseconds(max(r.seconds))}"
        figures = f"{milliseconds(r.median)} | {ratio} | {spread} | {r.others:.0%} | {r.first:.2f}"
        lines.append(f"| {r.name} | {figures} |")
    return "\n".join(lines)


def milliseconds(seconds: float) -> str:
    """Three digits, without an exponent."""
    ms = 1e3 * seconds
    return f"{ms:.3g}" if ms < 100 else f"{ms:.0f}"


def machine() -> str:
    """The processor, its cores, the system and the versions of the libraries."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
        model = names[0] if names else model
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, "
        f"Python {platform.python_version()}, {versions}"
    )


def version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "not installed"
