"""The depthwise-separable network in Equinox, whose layers take one image; the state is carried."""

import equinox as eqx
import jax

from benchmarks.workloads import equinox_weights
from benchmarks.workloads.equinox_weights import statistics as carry  # noqa: F401
from benchmarks.workloads.layouts import int32 as batch  # noqa: F401
from benchmarks.workloads.mobilenet import BLOCKS, STEM
from benchmarks.workloads.resnet18.equinox import conv, forward, loss, norm  # noqa: F401


class Block(eqx.Module):
    depthwise: eqx.nn.Conv2d
    bn1: eqx.nn.BatchNorm
    pointwise: eqx.nn.Conv2d
    bn2: eqx.nn.BatchNorm

    def __init__(self, inputs, outputs, stride, key):
        keys = jax.random.split(key)
        self.depthwise = eqx.nn.Conv2d(
            inputs, inputs, 3, stride, padding=1, groups=inputs, use_bias=False, key=keys[0]
        )
        self.bn1 = norm(inputs)
        self.pointwise = conv(inputs, outputs, 1, 1, keys[1])
        self.bn2 = norm(outputs)

    def __call__(self, x, state):
        x, state = self.bn1(self.depthwise(x), state)
        x, state = self.bn2(self.pointwise(jax.nn.relu(x)), state)
        return jax.nn.relu(x), state


class MobileNet(eqx.Module):
    conv: eqx.nn.Conv2d
    bn: eqx.nn.BatchNorm
    blocks: list
    fc: eqx.nn.Linear

    def __init__(self, key):
        keys = jax.random.split(key, len(BLOCKS) + 2)
        self.conv = conv(3, STEM, 3, 1, keys[-1])
        self.bn = norm(STEM)
        self.blocks = [
            Block(*sizes, k) for sizes, k in zip(BLOCKS, keys[: len(BLOCKS)], strict=True)
        ]
        self.fc = eqx.nn.Linear(BLOCKS[-1][1], 10, key=keys[-2])

    def __call__(self, x, state):
        x, state = self.bn(self.conv(x), state)
        x = jax.nn.relu(x)
        for block in self.blocks:
            x, state = block(x, state)
        return self.fc(x.mean((1, 2))), state


def build(weights):
    return equinox_weights.fill(MobileNet(jax.random.key(0)), weights)
