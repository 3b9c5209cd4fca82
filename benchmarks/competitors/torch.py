"""PyTorch: the plain loop and a forward, and the same with the model compiled."""

import torch

from benchmarks.competitors.base import Competitor, Inference


class Eager(Competitor):
    library = "torch"

    def setup(self, weights):
        self.model = self.model_file.build(torch)
        self.model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        name, settings = self.optimizer_settings
        self.optimizer = getattr(torch.optim, name)(self.model.parameters(), **settings)

    def step(self, *batch):
        batch = [torch.from_numpy(x) for x in batch]
        loss = self.model_file.loss(torch, self.model, *batch)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def about(self):
        return f"torch uses {torch.get_num_threads()} threads"


class Compiled(Eager):
    def setup(self, weights):
        super().setup(weights)
        self.model = torch.compile(self.model)


class Forward(Inference):
    library = "torch"

    def setup(self, weights):
        self.model = self.model_file.build(torch)
        self.model.load_state_dict({name: torch.tensor(w) for name, w in weights.items()})
        self.model.eval()

    @torch.inference_mode()
    def forward(self, *inputs):
        return self.model(*[torch.from_numpy(x) for x in inputs])


class CompiledForward(Forward):
    def setup(self, weights):
        super().setup(weights)
        self.model = torch.compile(self.model)
