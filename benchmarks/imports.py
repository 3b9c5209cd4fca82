"""How long `import jtoolbox` takes beyond `import jax`: `python -m benchmarks.imports`.

Fresh processes, taking turns; the time of the import statement alone, medians.
"""

import argparse
import os
import statistics
import subprocess
import sys

from benchmarks import timing

MODULES = ("jax", "jtoolbox")
PROGRAM = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"


def seconds(module: str) -> float:
    command = [sys.executable, "-c", PROGRAM.format(module)]
    # Installed packages come with their bytecode: without it the compiler of Python is measured.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return float(run.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for module in MODULES:
        seconds(module)  # compiles bytecode and fills the disk's cache
    turns = [{module: seconds(module) for module in MODULES} for _ in range(rounds)]
    median = {module: statistics.median(turn[module] for turn in turns) for module in MODULES}
    print(timing.machine())
    print(
        f"import jax {median['jax']:.3f} s, import jtoolbox {median['jtoolbox']:.3f} s: "
        f"{median['jtoolbox'] - median['jax']:.3f} s more (medians of {rounds})"
    )


if __name__ == "__main__":
    main()
