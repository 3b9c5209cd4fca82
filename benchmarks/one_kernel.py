"""A training step of one sample as one kernel against the same as XLA runs it by itself.

    python -m benchmarks.one_kernel

An MLP 784-width-100-10 with SGD and momentum, for several widths: where one kernel on one thread
wins, and from which size on several threads do. Microseconds a step, and seconds of the first.
"""

import argparse
import itertools
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from jtoolbox.engine import one_kernel as module

STEPS = 200
CLASSES = 10


def step(params, velocities, x, label):
    def loss(params):
        y = x
        for i, (w, b) in enumerate(params):
            y = jax.lax.dot_general(y, w, (((1,), (1,)), ((), ()))) + b
            y = jax.nn.relu(y) if i < len(params) - 1 else y
        return -(jax.nn.log_softmax(y) * jax.nn.one_hot(label, CLASSES)).sum()

    value, gradients = jax.value_and_grad(loss)(params)
    velocities = jax.tree.map(lambda v, g: 0.9 * v + g, velocities, gradients)
    return jax.tree.map(lambda p, v: p - 0.01 * v, params, velocities), velocities, value


def start(width):
    rng = np.random.default_rng(0)
    sizes = [784, width, 100, CLASSES]
    params = [
        (jnp.asarray(rng.normal(size=(o, i)) / np.sqrt(i), jnp.float32), jnp.zeros(o))
        for i, o in itertools.pairwise(sizes)
    ]
    return params, jax.tree.map(jnp.zeros_like, params)


def run(function, state, batches):
    params, velocities = state
    begin = time.perf_counter()
    for i in range(STEPS):
        params, velocities, value = function(params, velocities, *batches[i % len(batches)])
    value.block_until_ready()
    return (params, velocities), (time.perf_counter() - begin) / STEPS * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.one_kernel",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--widths", default="10,30,100,300,600,1200,2400")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    module.LEAST_BYTES, module.MOST_BYTES = 0, 2**62
    jax.config.update("jax_enable_compilation_cache", False)
    print(timing.machine())
    print("\n| width | KiB read | one kernel | several | ratio | first step, s | several |")
    print("|---|---|---|---|---|---|---|")
    rng = np.random.default_rng(1)
    batches = [
        (rng.normal(size=(1, 784)).astype("f"), rng.integers(0, CLASSES, 1).astype("i4"))
        for _ in range(16)
    ]
    for width in map(int, options.widths.split(",")):
        several = jax.jit(step, donate_argnums=(0, 1))
        kernel = module.one_kernel(several, (0, 1), *start(width), *batches[0])
        size = sum(x.nbytes for x in jax.tree.leaves((start(width), batches[0]))) / 1024
        states, firsts, times = [], [], [[], []]
        for function in (kernel, several):
            state, begin = start(width), time.perf_counter()
            params, velocities, value = function(*state, *batches[0])
            value.block_until_ready()
            firsts.append(time.perf_counter() - begin)
            states.append((params, velocities))
        for _ in range(options.rounds):
            for k, function in enumerate((kernel, several)):
                states[k], taken = run(function, states[k], batches)
                times[k].append(taken)
        one, more = (float(np.median(t)) for t in times)
        print(f"| {width} | {size:.0f} | {one:.0f} | {more:.0f} | {one / more:.2f} | "
              f"{firsts[0]:.2f} | {firsts[1]:.2f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
