"""Equinox: the training step of its tutorial, the same with every buffer donated, and a forward."""

import equinox as eqx
import jax

from benchmarks.competitors import rules
from benchmarks.competitors.base import Competitor, Inference


class Plain(Competitor):
    library = "equinox"
    donate = "none"

    def setup(self, weights):
        self.model = self.model_file.build(weights)
        optimizer = rules.transform(*self.optimizer_settings)
        self.state = optimizer.init(eqx.filter(self.model, eqx.is_inexact_array))
        self.carried = self.carry(self.model)

        @eqx.filter_jit(donate=self.donate)
        def train_step(model, state, carried, *batch):
            differentiate = eqx.filter_value_and_grad(self.loss, has_aux=True)
            (loss, carried), grads = differentiate(model, carried, *batch)
            updates, state = optimizer.update(grads, state, eqx.filter(model, eqx.is_inexact_array))
            return eqx.apply_updates(model, updates), state, carried, loss

        self.train_step = train_step

    def step(self, *batch):
        self.model, self.state, self.carried, loss = self.train_step(
            self.model, self.state, self.carried, *batch
        )
        return loss

    def wait(self):
        jax.block_until_ready(eqx.filter((self.model, self.state), eqx.is_array))


class Donate(Plain):
    donate = "all"


class Forward(Inference):
    library = "equinox"

    def setup(self, weights):
        model = self.model_file.build(weights)
        carried = self.carry(model)
        model = eqx.nn.inference_mode(model)
        forward = eqx.filter_jit(self.model_file.forward)
        self.forward = lambda *inputs: forward(model, *carried, *inputs)
