"""The residual network by hand in JAX; running statistics are carried from step to step."""

import jax
import optax

from benchmarks.workloads import layouts
from benchmarks.workloads.jax_layers import batch_norm, conv, linear
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.layouts import statistics as carry  # noqa: F401
from benchmarks.workloads.resnet18 import BLOCKS


def params(weights):
    return layouts.kernels(layouts.parameters(weights))


def apply(params, statistics, x, training):
    """The logits, and the running statistics as they go on from here."""

    def norm(x, name):
        nonlocal statistics
        x, statistics = batch_norm(x, params, statistics, name, training)
        return x

    x = jax.nn.relu(norm(conv(x, params["conv1.weight"]), "bn1"))
    for name, _, _, stride in BLOCKS:
        y = conv(x, params[f"{name}.conv1.weight"], stride)
        y = jax.nn.relu(norm(y, f"{name}.bn1"))
        y = norm(conv(y, params[f"{name}.conv2.weight"]), f"{name}.bn2")
        if stride == 2:
            x = conv(x, params[f"{name}.shortcut.0.weight"], stride, padding=0)
            x = norm(x, f"{name}.shortcut.1")
        x = jax.nn.relu(x + y)
    return linear(x.mean((1, 2)), params, "fc"), statistics


def forward(params, statistics, image):
    return apply(params, statistics, image, training=False)[0]


def loss(params, statistics, image, label):
    logits, statistics = apply(params, statistics, image, training=True)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), statistics
