"""Which remedies for XLA's CPU backend help hand-written JAX on this machine, and how much.

    python -m benchmarks.remedies --workload cnn --batch 64
    python -m benchmarks.remedies --workload mlp --batch 512 --set no_fusion --set dot_fusion

What each remedy does: `benchmarks.competitors.remedied`.
"""

import argparse

from benchmarks import step, timing

MEMORY = "threshold,trim,pad"
SETS = {
    "mlp": [
        MEMORY,
        f"{MEMORY},arena",
        "no_mmap,trim,pad",
        "no_fusion",
        "dot_fusion",
        f"{MEMORY},no_fusion",
        f"{MEMORY},dot_fusion",
    ],
    "cnn": [
        MEMORY,
        f"{MEMORY},arena",
        "no_mmap,trim,pad",
        "dot_fusion",
        "sum_fusion",
        "sum_fusion,pieces",
        "reshape_pool",
        "nhwc",
        "dot_fusion,reshape_pool,nhwc",
        f"{MEMORY},dot_fusion,reshape_pool",
        f"{MEMORY},dot_fusion,reshape_pool,nhwc",
        f"{MEMORY},no_fusion,reshape_pool,nhwc",
        f"{MEMORY},arena,dot_fusion,reshape_pool,nhwc",
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remedies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workload", default="cnn")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--set", action="append", help="remedies joined by commas; repeatable")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--patience", type=float, default=0.0)
    options = parser.parse_args()
    print(timing.machine())
    workers = [
        timing.Worker("remedied", options.workload, options.batch, chosen, {"REMEDIES": chosen})
        for chosen in ["none", *(options.set or SETS[options.workload])]
    ]
    remarks = step.check_losses(workers)
    results = timing.measure(workers, options.rounds, options.seconds, options.patience)
    for worker in workers:
        worker.close()
    print(f"\n### {options.workload}, batch {options.batch}\n")
    print(timing.table(results, "none"), "", *remarks, sep="\n")


if __name__ == "__main__":
    main()
