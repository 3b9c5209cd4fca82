"""Depthwise-separable convolutions with batch norms, as in MobileNet, for images 3x32x32."""

from benchmarks.workloads import images, initial

BATCHES = (32,)
OPTIMIZER = ("SGD", {"lr": 0.01, "momentum": 0.9})
STEM = 32
BLOCKS = [  # channels in, channels out, stride of the depthwise convolution
    (32, 64, 1),
    (64, 128, 2),
    (128, 128, 1),
    (128, 256, 2),
    (256, 256, 1),
]


def batches(size, count):
    return images.batches((3, 32, 32), size, count)


def weights():
    shapes = initial.layer("conv", STEM, 3, 3, 3, bias=False) | initial.batch_norm("bn", STEM)
    for i, (inputs, outputs, _) in enumerate(BLOCKS):
        shapes |= initial.layer(f"blocks.{i}.depthwise", inputs, 1, 3, 3, bias=False)
        shapes |= initial.batch_norm(f"blocks.{i}.bn1", inputs)
        shapes |= initial.layer(f"blocks.{i}.pointwise", outputs, inputs, 1, 1, bias=False)
        shapes |= initial.batch_norm(f"blocks.{i}.bn2", outputs)
    return initial.weights(shapes | initial.layer("fc", images.CLASSES, BLOCKS[-1][1]))
