"""Trains a convolutional network on handwritten digits, in three styles that give the same losses.

    python -m jtoolbox.examples.digits --style imperative

The images are scikit-learn's: 1,797 of 8x8 pixels, 1,437 to train on and 360 to test. The plain loop
(`imperative`), the loop frozen by `jtoolbox.jit` (`jit`), and pure functions with optax (`functional`)
start from the same weights and see the same batches.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from tqdm import tqdm

import jtoolbox as torch
from jtoolbox import nn, optim
from jtoolbox.func import functional_call
from jtoolbox.nn import functional as F
from jtoolbox.utils.data import DataLoader, TensorDataset

MOMENTUM = 0.9
Arrays = dict[str, jax.Array]


def load_digits() -> tuple[TensorDataset, TensorDataset]:
    """The digits as training and test set: images (N, 1, 8, 8) in [0, 1], labels (N,)."""
    from sklearn.datasets import load_digits as sklearn_digits

    data = sklearn_digits()
    images = (data.images / 16.0).astype(np.float32)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = torch.tensor(images[order]), torch.tensor(data.target[order].astype(np.int64))
    return TensorDataset(images[:1437], labels[:1437]), TensorDataset(images[1437:], labels[1437:])


class Network(nn.Module):
    """Two convolutions with batch statistics, pooling, and two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Linear(32 * 2 * 2, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


def imperative_step(model: nn.Module, lr: float) -> Callable[[Any, Any], Any]:
    """One step of the loop as it is written with PyTorch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)

    def step(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        loss = criterion(model(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def jit_step(model: nn.Module, lr: float) -> Callable[[Any, Any], Any]:
    """The same step, frozen: after the first call none of its Python runs."""
    return torch.jit(imperative_step(model, lr))


def functional_step(model: nn.Module, lr: float) -> Callable[[Any, Any], Any]:
    """The same step as pure functions over a dict of arrays, with optax; `model` gets the result."""
    transformation = optax.sgd(lr, momentum=MOMENTUM)
    state: list[Any] = [torch.tree(model)]
    state.append(transformation.init(state[0]))

    def loss_of(params: Arrays, image: jax.Array, label: jax.Array) -> jax.Array:
        return F.cross_entropy(functional_call(model, params, image), label)

    @jax.jit
    def update(params: Arrays, moments: Any, image: jax.Array, label: jax.Array) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params, image, label)
        updates, moments = transformation.update(gradients, moments, params)
        return optax.apply_updates(params, updates), moments, loss

    def step(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        *state[:], loss = update(*state, image.numpy(), label.numpy())
        return torch.tensor(loss)

    step.finish = lambda: model.load_state_dict(state[0])  # type: ignore[attr-defined]
    return step


STYLES = {"imperative": imperative_step, "jit": jit_step, "functional": functional_step}


def accuracy(model: nn.Module, dataset: TensorDataset) -> float:
    """The share of images whose highest score is at the right digit."""
    model.eval()
    right = 0
    with torch.no_grad():
        for image, label in DataLoader(dataset, batch_size=180):
            right += (model(image).argmax(1) == label).sum().item()
    model.train()
    return right / len(dataset)


def train(step: Callable[[Any, Any], Any], loader: DataLoader, epochs: int) -> Iterator[float]:
    """Runs the epochs under a progress bar and yields the mean loss of each."""
    with tqdm(total=epochs * len(loader), unit="step") as bar:
        for epoch in range(epochs):
            losses = []
            for image, label in loader:
                losses.append(step(image, label))
                bar.update()
            mean = float(np.mean([loss.item() for loss in losses]))
            bar.set_description(f"epoch {epoch + 1}/{epochs}, loss {mean:.4f}")
            yield mean


def plot(losses: list[float], style: str) -> Any:
    """The learning curve as a matplotlib figure."""
    import matplotlib

    matplotlib.use("Agg", force=False)
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    axes.plot(range(1, len(losses) + 1), losses, marker="o", markersize=3)
    axes.set(xlabel="epoch", ylabel="mean training loss", yscale="log", title=f"digits, {style} loop")
    axes.grid(alpha=0.3)
    figure.tight_layout()
    return figure


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--style", choices=list(STYLES), default="imperative")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("digits-out"), help="folder for the results")
    return parser.parse_args()


def main() -> None:
    """Trains, tests, saves a checkpoint and a picture of the learning curve."""
    options = arguments()
    torch.manual_seed(options.seed)
    training, test = load_digits()
    model = Network()
    loader = DataLoader(training, batch_size=options.batch_size, shuffle=True, drop_last=True)
    step = STYLES[options.style](model, options.lr)
    losses = list(train(step, loader, options.epochs))
    getattr(step, "finish", lambda: None)()
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint, picture = options.out / "digits.pt", options.out / "losses.png"
    torch.save(model.state_dict(), checkpoint)
    plot(losses, options.style).savefig(picture, dpi=120)
    print(f"losses: {losses[0]:.6f} (first epoch) ... {losses[-1]:.6f} (last)")
    print(f"test accuracy: {accuracy(model, test):.2%}")
    print(f"saved {checkpoint} and {picture}")


if __name__ == "__main__":
    main()
