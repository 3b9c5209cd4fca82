"""The depthwise-separable network in Flax NNX."""

import optax
from flax import nnx

from benchmarks.workloads import nnx_weights
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.mobilenet import BLOCKS, STEM


def norm(channels, rngs):
    return nnx.BatchNorm(channels, momentum=0.9, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, inputs, outputs, stride, rngs):
        self.depthwise = nnx.Conv(
            inputs,
            inputs,
            (3, 3),
            (stride, stride),
            padding=1,
            feature_group_count=inputs,
            use_bias=False,
            rngs=rngs,
        )
        self.bn1 = norm(inputs, rngs)
        self.pointwise = nnx.Conv(inputs, outputs, (1, 1), use_bias=False, rngs=rngs)
        self.bn2 = norm(outputs, rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn1(self.depthwise(x)))
        return nnx.relu(self.bn2(self.pointwise(x)))


class MobileNet(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, STEM, (3, 3), use_bias=False, rngs=rngs)
        self.bn = norm(STEM, rngs)
        self.blocks = nnx.List([Block(*sizes, rngs) for sizes in BLOCKS])
        self.fc = nnx.Linear(BLOCKS[-1][1], 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn(self.conv(x)))
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((1, 2)))


def build(weights):
    return nnx_weights.fill(MobileNet(nnx.Rngs(0)), weights)


def loss(model, image, label):
    return optax.softmax_cross_entropy_with_integer_labels(model(image), label).mean()
