"""JAX by hand: a jitted `value_and_grad` and update, its buffers donated; and a jitted forward."""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from benchmarks.competitors import rules
from benchmarks.competitors.base import Competitor, Inference


def sgd(lr, momentum=0.0):
    """The velocities, and how parameters move, by hand."""

    def init(params):
        return jax.tree.map(jnp.zeros_like, params) if momentum else ()

    def update(params, velocity, grads):
        if momentum:
            velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
        moves = velocity if momentum else grads
        return jax.tree.map(lambda p, v: p - lr * v, params, moves), velocity

    return init, update


def by_optax(name, settings):
    transform = rules.transform(name, settings)

    def update(params, state, grads):
        updates, state = transform.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    return transform.init, update


class ByHand(Competitor):
    library = "jax"
    compiler_options: dict[str, str] | None = None

    def setup(self, weights):
        name, settings = self.optimizer_settings
        init, update = sgd(**settings) if name == "SGD" else by_optax(name, settings)
        self.params = jax.tree.map(jnp.array, self.model_file.params(weights))
        self.state = init(self.params)
        self.carried = jax.tree.map(jnp.array, self.carry(weights))

        @partial(jax.jit, donate_argnums=(0, 1, 2), compiler_options=self.compiler_options)
        def train_step(params, state, carried, *batch):
            differentiate = jax.value_and_grad(self.loss, has_aux=True)
            (loss, carried), grads = differentiate(params, carried, *batch)
            params, state = update(params, state, grads)
            return params, state, carried, loss

        self.train_step = train_step

    def step(self, *batch):
        self.params, self.state, self.carried, loss = self.train_step(
            self.params, self.state, self.carried, *batch
        )
        return loss

    def wait(self):
        jax.block_until_ready((self.params, self.state))


class Forward(Inference):
    library = "jax"

    def setup(self, weights):
        params = jax.tree.map(jnp.array, self.model_file.params(weights))
        carried = jax.tree.map(jnp.array, self.carry(weights))
        forward = jax.jit(self.model_file.forward)
        self.forward = lambda *inputs: forward(params, *carried, *inputs)
