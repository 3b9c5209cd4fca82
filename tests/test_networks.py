"""Whole networks, written once for both libraries, train alike: losses, state and predictions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import jtoolbox as jt

STEPS = 50


class Trained(NamedTuple):
    model: Any
    losses: list[float]
    output: np.ndarray


def mlp(lib: Any) -> Any:
    nn = lib.nn
    hidden = [nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 16), nn.Tanh()]
    return nn.Sequential(*hidden, nn.Linear(16, 5))


def cnn(lib: Any) -> Any:
    nn, F = lib.nn, lib.nn.functional

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 3, padding=1, bias=False)
            self.norm1 = nn.BatchNorm2d(6)
            self.conv2 = nn.Conv2d(6, 8, 3, padding=1, bias=False)
            self.norm2 = nn.BatchNorm2d(8)
            self.drop = nn.Dropout(p=0.0)
            self.head = nn.Linear(8, 5)

        def forward(self, x: Any) -> Any:
            x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
            x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
            return self.head(self.drop(x.flatten(1)))

    return Network()


def residual(lib: Any) -> Any:
    nn, F = lib.nn, lib.nn.functional

    class Block(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.norm = nn.GroupNorm(2, channels)
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)

        def forward(self, x: Any) -> Any:
            return x + self.conv2(F.gelu(self.conv1(F.silu(self.norm(x)))))

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Conv2d(1, 6, 3, padding=1)
            self.blocks = nn.ModuleList([Block(6) for _ in range(2)])
            self.norm = nn.LayerNorm(6)
            self.head = nn.Linear(6, 5)

        def forward(self, x: Any) -> Any:
            x = self.stem(x)
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x.mean(dim=(2, 3))))

    return Network()


def autoencoder(lib: Any) -> Any:
    nn = lib.nn
    encoder = [nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.LeakyReLU(0.1), nn.Conv2d(4, 3, 2)]
    decoder = [
        nn.ConvTranspose2d(3, 4, 2),
        nn.ELU(),
        nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=0),
    ]
    return nn.Sequential(nn.Sequential(*encoder), nn.Sequential(*decoder))


def tied(lib: Any) -> Any:
    nn = lib.nn

    class Network(nn.Module):
        """Predicts the next word from the mean of the words before, by the words' own vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(11, 8, padding_idx=0)
            self.mix = nn.Linear(8, 8)
            self.head = nn.Linear(8, 11, bias=False)
            self.head.weight = self.embedding.weight

        def forward(self, x: Any) -> Any:
            return self.head(self.mix(self.embedding(x).mean(1)).sigmoid())

    return Network()


def rows(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((16, 12)).astype(np.float32), rng.integers(0, 5, 16)


def images(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.standard_normal((8, 1, 7, 7)).astype(np.float32), rng.integers(0, 5, 8)


def pictures(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    x = rng.random((8, 1, 7, 7)).astype(np.float32)
    return x, x


def words(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.integers(0, 11, (16, 4)), rng.integers(0, 11, 16)


class Case(NamedTuple):
    build: Callable[[Any], Any]
    batch: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]
    loss: str
    optimizer: str
    settings: dict[str, Any]
    clip: float | None = None


CASES = {
    "an MLP with SGD and momentum": Case(
        mlp, rows, "CrossEntropyLoss", "SGD", {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-3}
    ),
    "a CNN with BatchNorm and Adam": Case(cnn, images, "CrossEntropyLoss", "Adam", {"lr": 2e-3}),
    "a residual network with AdamW and clipping": Case(
        residual, images, "CrossEntropyLoss", "AdamW", {"lr": 3e-3}, clip=0.5
    ),
    "an autoencoder with MSELoss": Case(autoencoder, pictures, "MSELoss", "Adam", {"lr": 5e-3}),
    "tied word vectors": Case(tied, words, "CrossEntropyLoss", "SGD", {"lr": 0.3}),
}


def train(lib: Any, case: Case, state: dict[str, np.ndarray]) -> Trained:
    """Fifty steps from `state` on batches that are the same for both libraries."""
    model = case.build(lib)
    convert = torch.tensor if lib is torch else np.array  # jtoolbox takes arrays as they are
    model.load_state_dict({k: convert(v) for k, v in state.items()})
    optimizer = getattr(lib.optim, case.optimizer)(model.parameters(), **case.settings)
    criterion = getattr(lib.nn, case.loss)()
    rng = np.random.default_rng(3)
    losses = []
    for _ in range(STEPS):
        x, y = (lib.as_tensor(v) for v in case.batch(rng))
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        if case.clip is not None:
            lib.nn.utils.clip_grad_norm_(model.parameters(), case.clip)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with lib.no_grad():
        output = model(lib.as_tensor(case.batch(rng)[0])).numpy()
    return Trained(model, losses, output)


@pytest.fixture(scope="module", params=list(CASES))
def pair(request: pytest.FixtureRequest) -> tuple[Trained, Trained]:
    """One case trained here and by PyTorch, from PyTorch's initial weights."""
    case = CASES[request.param]
    torch.manual_seed(1)
    state = {k: v.numpy().copy() for k, v in case.build(torch).state_dict().items()}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # PyTorch's threads would wait for each other on networks this small
    try:
        return train(jt, case, state), train(torch, case, state)
    finally:
        torch.set_num_threads(threads)


def test_the_losses_of_fifty_steps_are_pytorchs(pair):
    ours, theirs = pair
    assert len(ours.losses) == STEPS
    np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-4, atol=1e-4)


def test_the_loss_moves(pair):
    ours, _ = pair
    assert abs(np.mean(ours.losses[:5]) - np.mean(ours.losses[-5:])) > 1e-3


def test_parameters_and_buffers_end_where_pytorchs_do(pair):
    ours, theirs = (t.model.state_dict() for t in pair)
    assert list(ours) == list(theirs)
    for name, value in theirs.items():
        found = ours[name].numpy()
        assert found.dtype == value.numpy().dtype
        np.testing.assert_allclose(found, value.numpy(), rtol=1e-3, atol=1e-3, err_msg=name)


def test_predictions_in_eval_mode_are_pytorchs(pair):
    ours, theirs = pair
    assert not ours.model.training
    np.testing.assert_allclose(ours.output, theirs.output, rtol=1e-3, atol=1e-3)


def test_tied_weights_stay_one_parameter():
    model = tied(jt)
    state = {k: v.numpy() for k, v in tied(torch).state_dict().items()}
    model.load_state_dict(state)
    assert model.head.weight is model.embedding.weight
    assert [n for n, _ in model.named_parameters()] == [
        "embedding.weight",
        "mix.weight",
        "mix.bias",
    ]
