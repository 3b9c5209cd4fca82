"""The convolutional network in Equinox, whose layers take one image, (C, H, W)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax


class CNN(eqx.Module):
    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    fc1: eqx.nn.Linear
    fc2: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, 4)
        self.conv1 = eqx.nn.Conv2d(1, 32, 3, key=keys[0])
        self.conv2 = eqx.nn.Conv2d(32, 64, 3, key=keys[1])
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.fc1 = eqx.nn.Linear(9216, 128, key=keys[2])
        self.fc2 = eqx.nn.Linear(128, 10, key=keys[3])

    def __call__(self, x):
        x = jax.nn.relu(self.conv1(x))
        x = jax.nn.relu(self.conv2(x))
        x = self.pool(x).ravel()
        x = jax.nn.relu(self.fc1(x))
        return self.fc2(x)


def build(weights):
    model = CNN(jax.random.key(0))
    values = {name: jnp.asarray(w) for name, w in weights.items()}
    for name in ("conv1.bias", "conv2.bias"):
        values[name] = values[name][:, None, None]
    layers = ("conv1", "conv2", "fc1", "fc2")
    return eqx.tree_at(
        lambda m: [p for name in layers for p in (getattr(m, name).weight, getattr(m, name).bias)],
        model,
        list(values.values()),
    )


def batch(image, label):
    return image, label.astype("int32")


def forward(model, image):
    return jax.vmap(model)(image)


def loss(model, image, label):
    logits = forward(model, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
