"""The first step of a process, compiling included, and the peak of its memory.

    python -m benchmarks.start --workload mlp,cnn --competitors jtoolbox,jax,torch_compile

Each competitor starts twice with a cache of compiled programs that is empty at first: once to
compile, once to load. Competitors whose library keeps no such cache by itself compile twice. The
peak is the process's resident memory after some steps (Linux only), libraries included.
"""

import argparse
import importlib
import tempfile
from pathlib import Path

from benchmarks import timing

STEPS = 5
WORKLOADS = "mlp,cnn,resnet18,mobilenet,unet,gpt,lstm,embeddings"


def peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def start(name: str, workload: str, size: int, cache: str) -> tuple[float, float]:
    """Seconds of the first step, and the peak of memory, in a process of its own."""
    environment = {"JTOOLBOX_CACHE": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
    worker = timing.Worker(name, workload, size, environment=environment)
    worker.seconds_per_step(STEPS)
    peak = peak_mib(worker.process.pid)
    worker.close()
    return worker.first, peak


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.start",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workload", default=WORKLOADS)
    parser.add_argument("--competitors", default="jtoolbox,jax,torch_compile")
    parser.add_argument("--batch", type=int, help="batch size (default: the workload's last)")
    options = parser.parse_args()
    print(timing.machine())
    print("\n| workload | competitor | first step, s | second process, s | peak, MiB |")
    print("|---|---|---|---|---|")
    for workload in options.workload.split(","):
        module = importlib.import_module(f"benchmarks.workloads.{workload}")
        size = options.batch or module.BATCHES[-1]
        for name in options.competitors.split(","):
            with tempfile.TemporaryDirectory() as cache:
                first, peak = start(name, workload, size, cache)
                again, _ = start(name, workload, size, cache)
            figures = f"{first:.2f} | {again:.2f} | {peak:.0f}"
            print(f"| {workload}, batch {size} | {name} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
