"""ResNet-18 for images 3x32x32: a 3x3 stem without pooling, four stages of two blocks."""

from benchmarks.workloads import images, initial

BATCHES = (32,)
OPTIMIZER = ("SGD", {"lr": 0.001, "momentum": 0.9})
BLOCKS = [  # name, channels in, channels out, stride of the first convolution
    ("layer1.0", 64, 64, 1),
    ("layer1.1", 64, 64, 1),
    ("layer2.0", 64, 128, 2),
    ("layer2.1", 128, 128, 1),
    ("layer3.0", 128, 256, 2),
    ("layer3.1", 256, 256, 1),
    ("layer4.0", 256, 512, 2),
    ("layer4.1", 512, 512, 1),
]


def batches(size, count):
    return images.batches((3, 32, 32), size, count)


def weights():
    shapes = initial.layer("conv1", 64, 3, 3, 3, bias=False) | initial.batch_norm("bn1", 64)
    for name, inputs, outputs, stride in BLOCKS:
        shapes |= initial.layer(f"{name}.conv1", outputs, inputs, 3, 3, bias=False)
        shapes |= initial.batch_norm(f"{name}.bn1", outputs)
        shapes |= initial.layer(f"{name}.conv2", outputs, outputs, 3, 3, bias=False)
        shapes |= initial.batch_norm(f"{name}.bn2", outputs)
        if stride == 2:
            shapes |= initial.layer(f"{name}.shortcut.0", outputs, inputs, 1, 1, bias=False)
            shapes |= initial.batch_norm(f"{name}.shortcut.1", outputs)
    return initial.weights(shapes | initial.layer("fc", images.CLASSES, 512))
