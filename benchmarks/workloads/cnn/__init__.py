"""The MNIST-sized network: two 3x3 convolutions, max-pool, two linear layers; images 1x28x28."""

from benchmarks.workloads import images

BATCHES = (64,)
OPTIMIZER = ("SGD", {"lr": 0.01, "momentum": 0.9})
SHAPES = {
    "conv1": (32, 1, 3, 3),
    "conv2": (64, 32, 3, 3),
    "fc1": (128, 64 * 12 * 12),
    "fc2": (10, 128),
}


def batches(size, count):
    return images.batches((1, 28, 28), size, count)


def weights():
    return images.weights(SHAPES)
