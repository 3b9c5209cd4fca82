"""What it costs jtoolbox to record an operation, in microseconds: `python -m benchmarks.recording`.

Records a chain of operations on a Parameter and drops it before anything runs: arithmetic with
numbers and tensors, activations, linear layers, as a network's forward pass mixes them.
"""

import argparse
import statistics
import time

import jtoolbox as torch
import jtoolbox.nn as nn
import jtoolbox.nn.functional as F
from benchmarks import timing

WIDTH = 64
LINKS = 10
OPERATIONS_A_LINK = 5


def chain(x, weight, bias):
    """50 operations: ten times linear, relu, product, sum, and a product by a number."""
    for _ in range(LINKS):
        y = F.relu(F.linear(x, weight, bias))
        x = (y * bias + x) * 0.5
    return x


def microseconds(repeats: int) -> list[float]:
    """Cost per operation, a figure a chain, without the first chains, which infer shapes."""
    weight, bias = nn.Parameter(torch.randn(WIDTH, WIDTH)), nn.Parameter(torch.zeros(WIDTH))
    x = torch.from_numpy(torch.randn(8, WIDTH).numpy())
    figures = []
    for _ in range(repeats + 10):
        start = time.perf_counter()
        result = chain(x, weight, bias)
        figures.append(1e6 * (time.perf_counter() - start) / (LINKS * OPERATIONS_A_LINK))
        del result
        torch.engine.flush()  # forgets the chain, of which nobody holds a result
    return figures[10:]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording", description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    figures = microseconds(parser.parse_args().repeats)
    print(timing.machine())
    print(
        f"Recording an operation: median {statistics.median(figures):.2f} us, "
        f"fastest {min(figures):.2f} us ({len(figures)} chains of {LINKS * OPERATIONS_A_LINK})"
    )


if __name__ == "__main__":
    main()
