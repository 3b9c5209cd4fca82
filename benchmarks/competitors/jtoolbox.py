"""jtoolbox: the plain loop, the jitted step, many steps a call; inference, plain and jitted."""

import itertools

import numpy as np

import jtoolbox as torch
import jtoolbox.nn as nn  # noqa: F401
import jtoolbox.optim as optim
from benchmarks.competitors.base import Competitor, Inference


class Loop(Competitor):
    library = "torch"

    def setup(self, weights):
        self.model = self.model_file.build(torch)
        self.model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        name, settings = self.optimizer_settings
        self.optimizer = getattr(optim, name)(self.model.parameters(), **settings)

    def step(self, *batch):
        return self.train_step(*[torch.from_numpy(x) for x in batch])

    def train_step(self, *batch):
        loss = self.model_file.loss(torch, self.model, *batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def wait(self):
        torch.synchronize()


class Jit(Loop):
    def setup(self, weights):
        super().setup(weights)
        self.step = torch.jit(self.train_step)


class Scan(Loop):
    """Many steps in one call, on batches stacked beforehand."""

    multiple = 128

    def setup(self, weights):
        super().setup(weights)
        self.stacked = self.stack(self.multiple)

    def stack(self, steps):
        turn = itertools.islice(itertools.cycle(self.batches), steps)
        return tuple(np.stack(part) for part in zip(*turn, strict=True))

    def run(self, steps):
        losses = None
        for _ in range(steps // self.multiple):
            losses = torch.scan(self.train_step, self.stacked)
        self.wait()
        return float(losses[-1])

    def losses(self, steps):
        return torch.scan(self.train_step, self.stack(steps)).tolist()


class Forward(Inference):
    library = "torch"

    def setup(self, weights):
        self.model = self.model_file.build(torch)
        self.model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        self.model.eval()
        self.predict = self.model

    def forward(self, *inputs):
        with torch.no_grad():
            return self.predict(*[torch.from_numpy(x) for x in inputs])


class JitForward(Forward):
    def setup(self, weights):
        super().setup(weights)
        self.predict = torch.jit(self.model)
