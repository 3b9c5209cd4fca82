"""A process that trains one competitor on request, started by `benchmarks.timing.Worker`.

Its arguments are the competitor, the workload and the batch size. It first prints a line of JSON
with the losses of its first steps; then it reads a number of steps a line, takes them and prints
the seconds that a step took.
"""

import importlib
import json
import os
import sys
import time

from benchmarks.competitors import COMPETITORS

CHECKED_STEPS = 5


def create(name: str, workload: str, size: int):
    """The competitor of that name, set up."""
    module, cls = COMPETITORS[name]
    return getattr(importlib.import_module(f"benchmarks.competitors.{module}"), cls)(workload, size)


def seconds_per_step(competitor, steps: int) -> float:
    """Times at least `steps` steps, after a tenth as many to warm the caches up."""
    multiple = competitor.multiple
    steps = -(-steps // multiple) * multiple
    competitor.run(-(-steps // (10 * multiple)) * multiple)
    start = time.perf_counter()
    competitor.run(steps)
    return (time.perf_counter() - start) / steps


def main(name: str, workload: str, size: str) -> None:
    # Whatever a library prints goes to stderr: stdout carries the replies alone.
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    competitor = create(name, workload, int(size))
    start = time.perf_counter()
    losses = competitor.losses(1 if competitor.multiple == 1 else CHECKED_STEPS)
    first = time.perf_counter() - start
    if len(losses) < CHECKED_STEPS:
        losses += competitor.losses(CHECKED_STEPS - len(losses))
    hello = {"losses": losses, "first": first, "about": competitor.about()}
    print(json.dumps(hello), file=replies)
    for line in sys.stdin:
        print(json.dumps(seconds_per_step(competitor, int(line))), file=replies)


if __name__ == "__main__":
    main(*sys.argv[1:])
