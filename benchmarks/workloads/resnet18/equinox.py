"""The residual network in Equinox, whose layers take one image; the state is carried."""

import equinox as eqx
import jax
import optax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.equinox_weights import statistics as carry  # noqa: F401
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.resnet18 import BLOCKS


def conv(inputs, outputs, size, stride, key):
    return eqx.nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, use_bias=False, key=key)


def norm(channels):
    return eqx.nn.BatchNorm(channels, "batch", momentum=0.9, mode="batch")


class Block(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    conv2: eqx.nn.Conv2d
    bn2: eqx.nn.BatchNorm
    shortcut: list

    def __init__(self, inputs, outputs, stride, key):
        keys = jax.random.split(key, 3)
        self.conv1 = conv(inputs, outputs, 3, stride, keys[0])
        self.bn1 = norm(outputs)
        self.conv2 = conv(outputs, outputs, 3, 1, keys[1])
        self.bn2 = norm(outputs)
        layers = [conv(inputs, outputs, 1, stride, keys[2]), norm(outputs)]
        self.shortcut = layers if stride == 2 else []

    def __call__(self, x, state):
        y, state = self.bn1(self.conv1(x), state)
        y, state = self.bn2(self.conv2(jax.nn.relu(y)), state)
        if self.shortcut:
            x, state = self.shortcut[1](self.shortcut[0](x), state)
        return jax.nn.relu(x + y), state


class ResNet(eqx.Module):
    conv1: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    layer1: list
    layer2: list
    layer3: list
    layer4: list
    fc: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, len(BLOCKS) + 2)
        self.conv1 = conv(3, 64, 3, 1, keys[-1])
        self.bn1 = norm(64)
        blocks = [Block(*b[1:], key=k) for b, k in zip(BLOCKS, keys[: len(BLOCKS)], strict=True)]
        self.layer1, self.layer2 = blocks[0:2], blocks[2:4]
        self.layer3, self.layer4 = blocks[4:6], blocks[6:8]
        self.fc = eqx.nn.Linear(512, 10, key=keys[-2])

    def __call__(self, x, state):
        x, state = self.bn1(self.conv1(x), state)
        x = jax.nn.relu(x)
        for block in self.layer1 + self.layer2 + self.layer3 + self.layer4:
            x, state = block(x, state)
        return self.fc(x.mean((1, 2))), state


def build(weights):
    return equinox_weights.fill(ResNet(jax.random.key(0)), weights)


def apply(model, state, image):
    return jax.vmap(model, axis_name="batch", in_axes=(0, None), out_axes=(0, None))(image, state)


def forward(model, state, image):
    return apply(model, state, image)[0]


def loss(model, state, image, label):
    logits, state = apply(model, state, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), state
