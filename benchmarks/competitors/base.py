"""What a competitor offers to the worker that times it."""

import importlib
import itertools

import numpy as np

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
        self.optimizer_settings = self.data.OPTIMIZER
        prepare = getattr(self.model_file, "batch", lambda *batch: batch)
        self.batches = [prepare(*b) for b in self.data.batches(size, DIFFERENT_BATCHES)]
        self.turn = itertools.cycle(self.batches)
        self.setup(self.data.weights())

    def setup(self, weights):
        raise NotImplementedError

    def carry(self, start) -> tuple:
        """What a functional network hands from step to step besides its parameters, if anything.

        Running statistics, or the key of dropout: the model file's `carry` makes them.
        """
        return (self.model_file.carry(start),) if hasattr(self.model_file, "carry") else ()

    def loss(self, params, carried, *batch):
        """The model file's loss, and what is carried on, for any functional network."""
        if not carried:
            return self.model_file.loss(params, *batch), ()
        loss, after = self.model_file.loss(params, *carried, *batch)
        return loss, (after,)

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


class Inference(Competitor):
    """Calls the network's `forward` without gradients, on the inputs of the same batches.

    Its `setup` sets `forward`. Every output is read as a NumPy array, as a program that serves
    predictions reads it: an output that nobody reads might never be computed. The loss is the mean
    square of an output.
    """

    def forward(self, *inputs):
        raise NotImplementedError

    def step(self, *batch):
        *inputs, _labels = batch
        return np.asarray(self.forward(*inputs))

    def run(self, steps: int) -> float:
        for _ in range(steps):
            self.step(*next(self.turn))
        return 0.0

    def losses(self, steps: int) -> list[float]:
        return [float(np.square(self.step(*next(self.turn))).mean()) for _ in range(steps)]
