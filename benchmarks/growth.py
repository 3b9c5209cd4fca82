"""How the cost of a training step grows with a network, beside hand-written JAX.

    python -m benchmarks.growth --plot benchmarks/growth.png

Perceptrons of one width, trained by SGD with momentum: their depth, their width, the batch. Of
jtoolbox's plain loop: microseconds of the main thread for recording (forward, loss, backward), for
the optimizer's step (which looks the program up) and for handing it to XLA; seconds of the first
step, compiling included; milliseconds a step. Of JAX: the last two.
"""

import argparse
import statistics
import time
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

import jtoolbox as torch
import jtoolbox.nn as nn
import jtoolbox.nn.functional as F
from benchmarks import timing

SWEEPS = {
    "depth": [{"depth": n} for n in (2, 5, 10, 20, 50, 100, 200)],
    "width": [{"width": n} for n in (16, 64, 256, 1024, 2048)],
    "batch": [{"batch": n} for n in (1, 8, 64, 512, 4096)],
}
DEFAULT = {"depth": 4, "width": 32, "batch": 8}
COLUMNS = ("recording, us", "step, us", "run, us", "first, s", "JAX first, s", "ms", "JAX ms")
LR, MOMENTUM = 0.001, 0.9


def data(width, batch):
    rng = np.random.default_rng(0)
    return rng.normal(size=(batch, width)).astype("f"), rng.integers(0, width, batch)


def repeats(seconds):
    return int(min(200, max(5, 0.3 / seconds)))


def of_jtoolbox(depth, width, batch):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    x, label = data(width, batch)

    def step(clock):
        marks = [clock()]
        optimizer.zero_grad()
        marks.append(clock())
        F.cross_entropy(model(torch.from_numpy(x)), torch.from_numpy(label)).backward()
        marks.append(clock())
        optimizer.step()
        return np.diff([*marks, clock()]) * 1e6

    begin = time.perf_counter()
    step(time.thread_time)
    torch.synchronize()
    first = time.perf_counter() - begin
    for _ in range(3):
        step(time.thread_time)
    torch.synchronize()
    begin = time.perf_counter()
    step(time.thread_time)
    torch.synchronize()
    count = repeats(time.perf_counter() - begin)
    begin = time.perf_counter()
    figures = [step(time.thread_time) for _ in range(count)]
    torch.synchronize()
    each = (time.perf_counter() - begin) / count * 1e3
    run, recording, lookup = (statistics.median(column) for column in zip(*figures, strict=True))
    return recording, lookup, run, first, each


def of_jax(depth, width, batch):
    bound = width**-0.5
    rng = np.random.default_rng(0)
    params = [
        (jnp.asarray(rng.uniform(-bound, bound, (width, width)), jnp.float32), jnp.zeros(width))
        for _ in range(depth)
    ]
    velocities = jax.tree.map(jnp.zeros_like, params)
    x, label = data(width, batch)

    def loss(params, x, label):
        for i, (w, b) in enumerate(params):
            x = (x if i == 0 else jax.nn.relu(x)) @ w + b
        return -jnp.take_along_axis(jax.nn.log_softmax(x), label[:, None], 1).mean()

    @partial(jax.jit, donate_argnums=(0, 1))
    def step(params, velocities, x, label):
        gradients = jax.grad(loss)(params, x, label)
        velocities = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocities, gradients)
        return jax.tree.map(lambda p, v: p - LR * v, params, velocities), velocities

    state = (params, velocities)
    begin = time.perf_counter()
    state = jax.block_until_ready(step(*state, x, label))
    first = time.perf_counter() - begin
    begin = time.perf_counter()
    state = jax.block_until_ready(step(*state, x, label))
    count = repeats(time.perf_counter() - begin)
    begin = time.perf_counter()
    for _ in range(count):
        state = step(*state, x, label)
    jax.block_until_ready(state)
    return first, (time.perf_counter() - begin) / count * 1e3


def measure(sizes):
    recording, lookup, run, first, each = of_jtoolbox(**sizes)
    jax_first, jax_each = of_jax(**sizes)
    return recording, lookup, run, first, jax_first, each, jax_each


def plot(results, path):
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(3, len(results), figsize=(12, 9), sharex="col")
    panels = ((COLUMNS[:3], "us of the main thread"), (COLUMNS[3:5], "s"), (COLUMNS[5:], "ms"))
    for column, (name, rows) in zip(axes.T, results.items(), strict=True):
        values = [size for size, _ in rows]
        for axis, (names, unit) in zip(column, panels, strict=True):
            for label in names:
                axis.loglog(values, [f[COLUMNS.index(label)] for _, f in rows], "o-", label=label)
            axis.set_ylabel(unit)
            axis.legend()
        column[-1].set_xlabel(name)
    figure.tight_layout()
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sweeps", default=",".join(SWEEPS))
    parser.add_argument("--plot", help="where to save a picture")
    options = parser.parse_args()
    jax.config.update("jax_enable_compilation_cache", False)
    print(timing.machine())
    results = {}
    for sweep in options.sweeps.split(","):
        print(f"\n| {sweep} | {' | '.join(COLUMNS)} |\n{'|---' * (len(COLUMNS) + 1)}|")
        results[sweep] = []
        for change in SWEEPS[sweep]:
            figures = measure(DEFAULT | change)
            results[sweep].append((change[sweep], figures))
            cells = " | ".join(f"{x:.3g}" if x < 100 else f"{x:.0f}" for x in figures)
            print(f"| {change[sweep]} | {cells} |", flush=True)
    if options.plot:
        plot(results, options.plot)


if __name__ == "__main__":
    main()
