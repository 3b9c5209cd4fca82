"""The residual network in Flax NNX."""

import optax
from flax import nnx

from benchmarks.workloads import nnx_weights
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.resnet18 import BLOCKS


def conv(inputs, outputs, size, stride, rngs):
    padding, kernel = size // 2, (size, size)
    return nnx.Conv(
        inputs, outputs, kernel, (stride, stride), padding=padding, use_bias=False, rngs=rngs
    )


def norm(channels, rngs):
    return nnx.BatchNorm(channels, momentum=0.9, rngs=rngs)


class Block(nnx.Module):
    def __init__(self, inputs, outputs, stride, rngs):
        self.conv1 = conv(inputs, outputs, 3, stride, rngs)
        self.bn1 = norm(outputs, rngs)
        self.conv2 = conv(outputs, outputs, 3, 1, rngs)
        self.bn2 = norm(outputs, rngs)
        layers = [conv(inputs, outputs, 1, stride, rngs), norm(outputs, rngs)]
        self.shortcut = nnx.List(layers if stride == 2 else [])

    def __call__(self, x):
        y = nnx.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        for layer in self.shortcut:
            x = layer(x)
        return nnx.relu(x + y)


class ResNet(nnx.Module):
    def __init__(self, rngs):
        self.conv1 = conv(3, 64, 3, 1, rngs)
        self.bn1 = norm(64, rngs)
        blocks = [Block(*sizes, rngs) for _, *sizes in BLOCKS]
        self.layer1 = nnx.List(blocks[0:2])
        self.layer2 = nnx.List(blocks[2:4])
        self.layer3 = nnx.List(blocks[4:6])
        self.layer4 = nnx.List(blocks[6:8])
        self.fc = nnx.Linear(512, 10, rngs=rngs)

    def __call__(self, x):
        x = nnx.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in stage:
                x = block(x)
        return self.fc(x.mean((1, 2)))


def build(weights):
    return nnx_weights.fill(ResNet(nnx.Rngs(0)), weights)


def loss(model, image, label):
    return optax.softmax_cross_entropy_with_integer_labels(model(image), label).mean()
