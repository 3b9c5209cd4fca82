"""The training step of jtoolbox, or its inference, against its competitors'.

    python -m benchmarks.step --workload mlp --batch 1,64,512
    python -m benchmarks.step --workload cnn --competitors jtoolbox,jax,torch
    python -m benchmarks.step --workload cnn --measure inference

Every competitor starts from the same weights and sees the same batches; their first losses must
agree, or a remark says who differs (of a random workload the first alone is compared). How they are
timed: `benchmarks.timing`.
"""

import argparse
import importlib
import shlex
import sys

import numpy as np

from benchmarks import timing
from benchmarks.competitors import COMPETITORS

TOLERANCE = 1e-4
RANDOM_TOLERANCE = 0.05  # of the first loss, where dropout draws differ
SUFFIX = "_inference"
MEASURES = {
    "training": [n for n in COMPETITORS if not n.endswith(SUFFIX) and n != "remedied"],
    "inference": [n for n in COMPETITORS if n.endswith(SUFFIX)],
}


def arguments() -> argparse.Namespace:
    def words(text):
        return text.split(",")

    def numbers(text):
        return [int(n) for n in words(text)]

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.step",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workload", default="mlp", help="a folder of benchmarks/workloads")
    parser.add_argument("--batch", type=numbers, help="batch sizes (default: the workload's)")
    parser.add_argument("--measure", choices=list(MEASURES), default="training")
    parser.add_argument("--competitors", type=words, help="names without _inference (default: all)")
    parser.add_argument("--against", default="jax", help="whose median the ratios divide by")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a round")
    parser.add_argument(
        "--patience", type=float, default=0.0, help="seconds to spend on repeating disturbed rounds"
    )
    options = parser.parse_args()
    if options.measure == "inference":
        options.against += SUFFIX
        options.competitors = [name + SUFFIX for name in options.competitors or ()]
    options.competitors = options.competitors or MEASURES[options.measure]
    unknown = set(options.competitors) - set(COMPETITORS)
    if unknown:
        parser.error(f"no competitor {', '.join(unknown)}; there are {', '.join(COMPETITORS)}")
    return options


def start(names: list[str], workload: str, size: int) -> list[timing.Worker]:
    """Workers ready to be timed; one that cannot start is named and left out."""
    workers = []
    for name in names:
        try:
            workers.append(timing.Worker(name, workload, size))
        except RuntimeError as error:
            print(f"Left out: {error}", flush=True)
    return workers


def check_losses(workers: list[timing.Worker], random: bool = False) -> list[str]:
    """Compares the losses of the first steps with the median competitor's; says who differs.

    Of a random workload it compares the first loss only, within `RANDOM_TOLERANCE`.

    Raises when it is jtoolbox: it would not be doing the same work. A competitor whose compiler
    computes wrong gradients still does the work, so it stays in the table, with a remark.
    """
    count, tolerance = (1, RANDOM_TOLERANCE) if random else (None, TOLERANCE)
    losses = np.asarray([worker.losses[:count] for worker in workers])
    remarks = []
    expected = np.median(losses, axis=0)
    # Relative to a small expectation, as the outputs of an untrained network are.
    offs = (np.abs(losses - expected) / np.minimum(1, np.abs(expected))).max(1)
    for worker, off in zip(workers, offs, strict=True):
        if not off <= tolerance:  # a loss that is not a number differs too
            remarks.append(f"{worker.name}: its first losses are off by {off:.1e}")
    wrong = [remark for remark in remarks if remark.startswith("jtoolbox")]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return remarks


def run(options: argparse.Namespace, size: int, random: bool) -> None:
    workers = start(options.competitors, options.workload, size)
    try:
        remarks = check_losses(workers, random)
        results = timing.measure(workers, options.rounds, options.seconds, options.patience)
    finally:
        for worker in workers:
            worker.close()
    print(f"\n### {options.workload}, {options.measure}, batch {size}\n")
    print(timing.table(results, options.against), flush=True)
    notes = sorted({worker.about for worker in workers if worker.about})
    print("\n".join(["", *notes, *remarks]))


def main() -> None:
    options = arguments()
    print(f"`python -m benchmarks.step {shlex.join(sys.argv[1:])}`\n\n{timing.machine()}.")
    print(f"{options.rounds} rounds of {options.seconds} s, alternating; medians.", flush=True)
    workload = importlib.import_module(f"benchmarks.workloads.{options.workload}")
    # Dropout draws as it likes in training; inference does without it.
    random = getattr(workload, "RANDOM", False) and options.measure == "training"
    for size in options.batch or workload.BATCHES:
        run(options, size, random)


if __name__ == "__main__":
    main()
