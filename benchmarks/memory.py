"""Resident memory after 1,000, 10,000 and 30,000 steps: `python -m benchmarks.memory`. Linux only.

A leak of one array of one float a step would show as about 1 MB here.
"""

import argparse
import gc
from pathlib import Path

from benchmarks import timing
from benchmarks.competitors import COMPETITORS
from benchmarks.worker import create

MARKS = (100, 1_000, 10_000, 30_000)


def resident_mib() -> float:
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--competitor", default="jtoolbox", choices=list(COMPETITORS))
    parser.add_argument("--workload", default="mlp")
    parser.add_argument("--batch", type=int, default=64)
    options = parser.parse_args()
    print(timing.machine())
    competitor, steps = create(options.competitor, options.workload, options.batch), 0
    for mark in MARKS:
        competitor.run(mark - steps)
        steps = mark
        print(f"after {mark:6,} steps: {resident_mib():.1f} MiB", flush=True)


if __name__ == "__main__":
    main()
