"""The convolutional network in Flax NNX."""

import optax
from flax import nnx

from benchmarks.workloads.cnn import channels_last
from benchmarks.workloads.cnn.channels_last import batch  # noqa: F401


class CNN(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(32, 64, (3, 3), padding="VALID", rngs=rngs)
        self.fc1 = nnx.Linear(9216, 128, rngs=rngs)
        self.fc2 = nnx.Linear(128, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.conv1(x))
        x = nnx.relu(self.conv2(x))
        x = nnx.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(len(x), -1)
        x = nnx.relu(self.fc1(x))
        return self.fc2(x)


def build(weights):
    model = CNN(nnx.Rngs(0))
    weights = channels_last.weights(weights)
    for name in ("conv1", "conv2", "fc1", "fc2"):
        layer = getattr(model, name)
        layer.kernel[...] = weights[f"{name}.weight"]
        layer.bias[...] = weights[f"{name}.bias"]
    return model


def loss(model, image, label):
    return optax.softmax_cross_entropy_with_integer_labels(model(image), label).mean()
