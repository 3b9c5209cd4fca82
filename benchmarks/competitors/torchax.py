"""torchax: the PyTorch network on JAX, its jitted training step as its documentation has it."""

import jax
import torch
import torchax
from torchax import interop, train

from benchmarks.competitors import rules
from benchmarks.competitors.base import Competitor


class Jit(Competitor):
    library = "torch"

    def setup(self, weights):
        module = self.model_file.build(torch)
        module.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        with torchax.default_env():
            module = interop.JittableModule(module.to("jax"))
        transform = rules.transform(*self.optimizer_settings)
        self.params, self.buffers = module.params, module.buffers
        self.state = interop.call_jax(transform.init, self.params)

        def forward(params, buffers, inputs):
            return module.functional_call("forward", params, buffers, *inputs)

        def loss(output, batch):
            return self.model_file.loss(torch, lambda *inputs: output, *batch)

        self.train_step = interop.jax_jit(
            train.make_train_step(forward, loss, transform),
            kwargs_for_jax_jit={"donate_argnums": (0, 2)},
        )

    def step(self, *batch):
        batch = interop.torch_view([jax.numpy.asarray(x) for x in batch])
        loss, self.params, self.state = self.train_step(
            self.params, self.buffers, self.state, batch[:-1], batch
        )
        return loss.jax()

    def wait(self):
        jax.block_until_ready(interop.jax_view((self.params, self.state)))

    def about(self):
        return "torchax does not hand running statistics on"
