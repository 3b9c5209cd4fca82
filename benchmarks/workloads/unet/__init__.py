"""A small U-Net with transposed convolutions: images 3x64x64, a class for every pixel."""

import numpy as np

from benchmarks.workloads import initial

BATCHES = (8,)
OPTIMIZER = ("SGD", {"lr": 0.01, "momentum": 0.9})
CLASSES = 3
CONVOLUTIONS = {  # pairs of 3x3 convolutions: channels in, channels out
    "down1": (3, 16),
    "down2": (16, 32),
    "bottom": (32, 64),
    "join2": (64, 32),
    "join1": (32, 16),
}
TRANSPOSED = {"up2": (64, 32), "up1": (32, 16)}  # 2x2, stride 2


def batches(size, count):
    """Images float32 (size, 3, 64, 64) and labels int64 (size, 64, 64)."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.standard_normal((size, 3, 64, 64), dtype=np.float32),
            rng.integers(0, CLASSES, (size, 64, 64)),
        )
        for _ in range(count)
    ]


def weights():
    shapes = {}
    for name, (inputs, outputs) in CONVOLUTIONS.items():
        shapes |= initial.layer(f"{name}.conv1", outputs, inputs, 3, 3)
        shapes |= initial.layer(f"{name}.conv2", outputs, outputs, 3, 3)
    for name, (inputs, outputs) in TRANSPOSED.items():
        shapes |= {f"{name}.weight": (inputs, outputs, 2, 2), f"{name}.bias": (outputs,)}
    return initial.weights(shapes | initial.layer("head", CLASSES, 16, 1, 1))
