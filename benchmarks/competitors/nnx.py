"""Flax NNX: its tutorial's training step, the faster `cached_partial` of its guide, inference."""

import jax
from flax import nnx

from benchmarks.competitors import rules
from benchmarks.competitors.base import Competitor, Inference


class Plain(Competitor):
    library = "nnx"

    def setup(self, weights):
        self.model = self.model_file.build(weights)
        transform = rules.transform(*self.optimizer_settings)
        self.optimizer = nnx.Optimizer(self.model, transform, wrt=nnx.Param)

        @nnx.jit
        def train_step(model, optimizer, *batch):
            loss, grads = nnx.value_and_grad(self.model_file.loss)(model, *batch)
            optimizer.update(model, grads)
            return loss

        self.train_step = train_step

    def step(self, *batch):
        return self.train_step(self.model, self.optimizer, *batch)

    def wait(self):
        jax.block_until_ready(nnx.state((self.model, self.optimizer)))


class Cached(Plain):
    def setup(self, weights):
        super().setup(weights)
        self.train_step = nnx.cached_partial(self.train_step, self.model, self.optimizer)

    def step(self, *batch):
        return self.train_step(*batch)


class Forward(Inference):
    library = "nnx"

    def setup(self, weights):
        model = self.model_file.build(weights)
        model.eval()
        forward = nnx.jit(lambda model, *inputs: model(*inputs))
        self.forward = nnx.cached_partial(forward, model)
