"""A three-layer perceptron, 784-300-100-10: small enough for the cost of a call to show."""

from benchmarks.workloads import images

BATCHES = (1, 64, 512)
OPTIMIZER = ("SGD", {"lr": 0.01, "momentum": 0.9})
SHAPES = {"0": (300, 784), "2": (100, 300), "4": (10, 100)}


def batches(size, count):
    return images.batches((784,), size, count)


def weights():
    return images.weights(SHAPES)
