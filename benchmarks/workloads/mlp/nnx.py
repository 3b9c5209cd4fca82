"""The perceptron in Flax NNX."""

import optax
from flax import nnx


class MLP(nnx.Module):
    def __init__(self, rngs):
        self.linear0 = nnx.Linear(784, 300, rngs=rngs)
        self.linear2 = nnx.Linear(300, 100, rngs=rngs)
        self.linear4 = nnx.Linear(100, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.linear0(x))
        x = nnx.relu(self.linear2(x))
        return self.linear4(x)


def build(weights):
    model = MLP(nnx.Rngs(0))
    for name in ("0", "2", "4"):
        layer = getattr(model, f"linear{name}")
        layer.kernel[...] = weights[f"{name}.weight"].T
        layer.bias[...] = weights[f"{name}.bias"]
    return model


def batch(image, label):
    return image, label.astype("int32")


def loss(model, image, label):
    return optax.softmax_cross_entropy_with_integer_labels(model(image), label).mean()
