"""The U-Net in Equinox, whose layers take one image, (C, H, W)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.unet import CLASSES, CONVOLUTIONS, TRANSPOSED


class Pair(eqx.Module):
    conv1: eqx.nn.Conv2d
    conv2: eqx.nn.Conv2d

    def __init__(self, inputs, outputs, key):
        keys = jax.random.split(key)
        self.conv1 = eqx.nn.Conv2d(inputs, outputs, 3, padding=1, key=keys[0])
        self.conv2 = eqx.nn.Conv2d(outputs, outputs, 3, padding=1, key=keys[1])

    def __call__(self, x):
        return jax.nn.relu(self.conv2(jax.nn.relu(self.conv1(x))))


class UNet(eqx.Module):
    down1: Pair
    down2: Pair
    bottom: Pair
    join2: Pair
    join1: Pair
    up2: eqx.nn.ConvTranspose2d
    up1: eqx.nn.ConvTranspose2d
    pool: eqx.nn.MaxPool2d
    head: eqx.nn.Conv2d

    def __init__(self, key):
        keys = iter(jax.random.split(key, 8))
        for name, sizes in CONVOLUTIONS.items():
            setattr(self, name, Pair(*sizes, next(keys)))
        for name, sizes in TRANSPOSED.items():
            setattr(self, name, eqx.nn.ConvTranspose2d(*sizes, 2, 2, key=next(keys)))
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.head = eqx.nn.Conv2d(16, CLASSES, 1, key=next(keys))

    def __call__(self, x):
        fine = self.down1(x)
        coarse = self.down2(self.pool(fine))
        x = self.bottom(self.pool(coarse))
        x = self.join2(jnp.concatenate([coarse, self.up2(x)]))
        x = self.join1(jnp.concatenate([fine, self.up1(x)]))
        return self.head(x)


def build(weights):
    return equinox_weights.fill(UNet(jax.random.key(0)), weights)


def forward(model, image):
    return jax.vmap(model)(image)


def loss(model, image, label):
    logits = jnp.moveaxis(forward(model, image), 1, -1)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
