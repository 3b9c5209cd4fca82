"""JAX by hand: a jitted `value_and_grad` and update, its buffers donated."""

from functools import partial

import jax
import jax.numpy as jnp

from benchmarks.competitors.base import Competitor


class ByHand(Competitor):
    library = "jax"
    compiler_options: dict[str, str] | None = None

    def setup(self, weights):
        lr, momentum = self.settings["lr"], self.settings["momentum"]
        self.params = jax.tree.map(jnp.array, self.model_file.params(weights))
        self.velocity = jax.tree.map(jnp.zeros_like, self.params)

        @partial(jax.jit, donate_argnums=(0, 1), compiler_options=self.compiler_options)
        def train_step(params, velocity, *batch):
            loss, grads = jax.value_and_grad(self.model_file.loss)(params, *batch)
            velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
            params = jax.tree.map(lambda p, v: p - lr * v, params, velocity)
            return params, velocity, loss

        self.train_step = train_step

    def step(self, *batch):
        self.params, self.velocity, loss = self.train_step(self.params, self.velocity, *batch)
        return loss

    def wait(self):
        jax.block_until_ready((self.params, self.velocity))
