"""What a competitor offers to the worker that times it."""

import importlib
import itertools

DIFFERENT_BATCHES = 16


class Competitor:
    """Trains one workload at one batch size, each step on the next of a few NumPy batches.

    A library's class says how to `setup` its network, how to do one `step` (forward, loss,
    backward, update), giving the loss, and how to `wait` for what still runs.
    """

    library = ""
    multiple = 1  # `run` takes a multiple of so many steps

    def __init__(self, workload: str, size: int):
        self.data = importlib.import_module(f"benchmarks.workloads.{workload}")
        self.model_file = importlib.import_module(f"benchmarks.workloads.{workload}.{self.library}")
        self.settings = self.data.OPTIMIZER
        prepare = getattr(self.model_file, "batch", lambda *batch: batch)
        self.batches = [prepare(*b) for b in self.data.batches(size, DIFFERENT_BATCHES)]
        self.turn = itertools.cycle(self.batches)
        self.setup(self.data.weights())

    def setup(self, weights):
        raise NotImplementedError

    def step(self, *batch):
        raise NotImplementedError

    def wait(self):
        """Returns when every step so far has finished."""

    def run(self, steps: int) -> float:
        """Takes that many steps; the loss of the last one, fetched when all are done."""
        loss = 0.0
        for _ in range(steps):
            loss = self.step(*next(self.turn))
        self.wait()
        return float(loss)

    def losses(self, steps: int) -> list[float]:
        """The losses of the first steps, to compare with the other competitors'."""
        return [self.run(1) for _ in range(steps)]

    def about(self) -> str:
        """What a reader of the figures should know, such as the number of threads."""
        return ""
