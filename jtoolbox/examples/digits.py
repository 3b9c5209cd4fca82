"""Trains a convolutional network on handwritten digits, in three styles that give the same losses.

    python -m jtoolbox.examples.digits --style imperative

The images are scikit-learn's: 1,797 of 8x8 pixels, 1,437 to train on and 360 to test. The plain
loop (`imperative`), the same loop with its step frozen by `jtoolbox.jit` (`jit`), and pure
functions of arrays with optax (`functional`) start from the same weights, see the same batches, and
reach the same losses to rounding.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
import optax
from tqdm import tqdm

import jtoolbox as torch
from jtoolbox import nn, optim
from jtoolbox.func import functional_call
from jtoolbox.nn import functional as F
from jtoolbox.utils.data import DataLoader, TensorDataset

_MISSING = 'this example needs scikit-learn and matplotlib: pip install "jtoolbox[examples]"'
try:
    from matplotlib.figure import Figure
    from sklearn.datasets import load_digits
except ImportError as error:
    raise ImportError(_MISSING) from error

MOMENTUM = 0.9
TRAINING_IMAGES = 1437

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]
Style = Callable[[nn.Module, Iterable[Batches], float], Iterator[list[Any]]]


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """The digits as training and test set: images (N, 1, 8, 8) in [0, 1], labels (N,)."""
    digits = cast(Any, load_digits())
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = (digits.images[order, None] / 16).astype(np.float32)
    labels = digits.target[order].astype(np.int64)

    def part(which: slice) -> TensorDataset:
        return TensorDataset(torch.tensor(images[which]), torch.tensor(labels[which]))

    return part(slice(TRAINING_IMAGES)), part(slice(TRAINING_IMAGES, None))


class Network(nn.Module):
    """Two convolutions with ReLU and pooling, and two linear layers: (N, 1, 8, 8) to (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Linear(64 * 2 * 2, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


# The three styles. Each takes the model, the batches of each epoch and the learning rate, and
# yields the losses of an epoch at its end, when the model holds what the epoch has taught it.


def imperative(model: nn.Module, epochs: Iterable[Batches], lr: float) -> Iterator[list[Any]]:
    """The loop as it is written with PyTorch."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)
    for batches in epochs:
        losses = []
        for image, label in batches:
            loss = criterion(model(image), label)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss)
        yield losses


def jit(model: nn.Module, epochs: Iterable[Batches], lr: float) -> Iterator[list[Any]]:
    """The same loop with its step frozen: after the first call none of the step's Python runs."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)

    @torch.jit
    def step(image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        loss = criterion(model(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    for batches in epochs:
        yield [step(image, label) for image, label in batches]


def functional(model: nn.Module, epochs: Iterable[Batches], lr: float) -> Iterator[list[Any]]:
    """Pure functions over a dict of arrays, with optax; the model is only told the result."""
    transformation = optax.sgd(lr, momentum=MOMENTUM)

    def loss_of(params: Any, image: Any, label: Any) -> Any:
        return F.cross_entropy(functional_call(model, params, image), label)

    @jax.jit
    def step(params: Any, state: Any, image: Any, label: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(params, image, label)
        updates, state = transformation.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, loss

    params = torch.tree(model)
    state = transformation.init(params)
    for batches in epochs:
        losses = []
        for image, label in batches:
            params, state, loss = step(params, state, image.numpy(), label.numpy())
            losses.append(loss)
        model.load_state_dict({name: torch.tensor(value) for name, value in params.items()})
        yield losses


STYLES: dict[str, Style] = {"imperative": imperative, "jit": jit, "functional": functional}


def accuracy(model: nn.Module, dataset: TensorDataset) -> float:
    """The share of images whose highest score is at the right digit."""
    model.eval()
    right = 0
    with torch.no_grad():
        for image, label in DataLoader(dataset, batch_size=180):
            right += (model(image).argmax(1) == label).sum().item()
    model.train()
    return right / len(dataset)


def train(
    style: Style, model: nn.Module, loader: DataLoader, test: TensorDataset, epochs: int, lr: float
) -> Iterator[tuple[float, float]]:
    """Trains under a progress bar; yields each epoch's mean loss and the test accuracy after it."""
    with tqdm(total=epochs * len(loader), unit="step") as bar:

        def batches() -> Iterator[Any]:
            for batch in loader:
                yield batch
                bar.update()

        for losses in style(model, (batches() for _ in range(epochs)), lr):
            loss = float(np.mean([loss.item() for loss in losses]))
            share = accuracy(model, test)
            bar.set_postfix_str(f"loss {loss:.4f}, test accuracy {share:.2%}")
            yield loss, share


def plot(losses: Sequence[float], accuracies: Sequence[float], title: str) -> Figure:
    """The learning curve: mean training loss and test accuracy by epoch."""
    epochs = range(1, len(losses) + 1)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    left.plot(epochs, losses, marker="o", markersize=3, color="tab:blue")
    left.set(xlabel="epoch", ylabel="mean training loss", yscale="log")
    right.plot(epochs, [100 * a for a in accuracies], marker="o", markersize=3, color="tab:green")
    right.set(xlabel="epoch", ylabel="test accuracy (%)")
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m jtoolbox.examples.digits",
        description="Trains a convolutional network on handwritten digits.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--style", choices=list(STYLES), default="imperative", help="kind of loop")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the training images")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a step")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of weights and order of images")
    parser.add_argument("--out", type=Path, default=Path("digits-out"), help="where results go")
    options = parser.parse_args(argv)
    epochs, size = options.epochs, options.batch_size
    if epochs < 1:
        parser.error(f"argument --epochs: must be 1 or more, got {epochs}")
    if not 1 <= size <= TRAINING_IMAGES:
        parser.error(f"argument --batch-size: must be 1 to {TRAINING_IMAGES}, got {size}")
    return options


def main(argv: Sequence[str] | None = None) -> tuple[list[float], list[float]]:
    """Trains, tests, saves a checkpoint and a picture; returns losses and accuracies by epoch."""
    options = arguments(argv)
    torch.manual_seed(options.seed)
    training, test = load_data()
    model = Network()
    loader = DataLoader(training, batch_size=options.batch_size, shuffle=True, drop_last=True)
    style = STYLES[options.style]
    results = list(train(style, model, loader, test, options.epochs, options.lr))
    losses, accuracies = [list(column) for column in zip(*results, strict=True)]
    options.out.mkdir(parents=True, exist_ok=True)
    checkpoint, picture = options.out / "digits.pt", options.out / "learning-curve.png"
    torch.save(model.state_dict(), checkpoint)
    plot(losses, accuracies, f"Digits, {options.style} loop").savefig(picture, dpi=120)
    print(f"training loss: {losses[0]:.6f} in the first epoch, {losses[-1]:.6f} in the last")
    print(f"test accuracy: {accuracies[-1]:.2%}")
    print(f"saved {checkpoint} and {picture}")
    return losses, accuracies


if __name__ == "__main__":
    main()
