"""The U-Net in Flax NNX."""

import jax.numpy as jnp
import optax
from flax import nnx

from benchmarks.workloads import nnx_weights
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.unet import CLASSES, CONVOLUTIONS, TRANSPOSED


class Pair(nnx.Module):
    def __init__(self, inputs, outputs, rngs):
        self.conv1 = nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)
        self.conv2 = nnx.Conv(outputs, outputs, (3, 3), rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.conv2(nnx.relu(self.conv1(x))))


class UNet(nnx.Module):
    def __init__(self, rngs):
        for name, sizes in CONVOLUTIONS.items():
            setattr(self, name, Pair(*sizes, rngs))
        for name, sizes in TRANSPOSED.items():
            layer = nnx.ConvTranspose(*sizes, (2, 2), (2, 2), padding="VALID", rngs=rngs)
            setattr(self, name, layer)
        self.head = nnx.Conv(16, CLASSES, (1, 1), rngs=rngs)

    def __call__(self, x):
        fine = self.down1(x)
        coarse = self.down2(nnx.max_pool(fine, (2, 2), (2, 2)))
        x = self.bottom(nnx.max_pool(coarse, (2, 2), (2, 2)))
        x = self.join2(jnp.concatenate([coarse, self.up2(x)], axis=-1))
        x = self.join1(jnp.concatenate([fine, self.up1(x)], axis=-1))
        return self.head(x)


def build(weights):
    return nnx_weights.fill(UNet(nnx.Rngs(0)), weights, TRANSPOSED)


def loss(model, image, label):
    return optax.softmax_cross_entropy_with_integer_labels(model(image), label).mean()
