"""Equinox: the training step of its tutorial, and the same with every buffer donated."""

import equinox as eqx
import jax
import optax

from benchmarks.competitors.base import Competitor


class Plain(Competitor):
    library = "equinox"
    donate = "none"

    def setup(self, weights):
        self.model = self.model_file.build(weights)
        optimizer = optax.sgd(self.settings["lr"], momentum=self.settings["momentum"])
        self.state = optimizer.init(eqx.filter(self.model, eqx.is_array))

        @eqx.filter_jit(donate=self.donate)
        def train_step(model, state, *batch):
            loss, grads = eqx.filter_value_and_grad(self.model_file.loss)(model, *batch)
            updates, state = optimizer.update(grads, state, model)
            return eqx.apply_updates(model, updates), state, loss

        self.train_step = train_step

    def step(self, *batch):
        self.model, self.state, loss = self.train_step(self.model, self.state, *batch)
        return loss

    def wait(self):
        jax.block_until_ready(eqx.filter((self.model, self.state), eqx.is_array))


class Donate(Plain):
    donate = "all"
