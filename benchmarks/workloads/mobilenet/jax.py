"""The depthwise-separable network by hand in JAX; running statistics are carried."""

import jax
import optax

from benchmarks.workloads import layouts
from benchmarks.workloads.jax_layers import batch_norm, conv, linear
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.layouts import statistics as carry  # noqa: F401
from benchmarks.workloads.mobilenet import BLOCKS


def params(weights):
    return layouts.kernels(layouts.parameters(weights))


def apply(params, statistics, x, training):
    """The logits, and the running statistics as they go on from here."""

    def norm(x, name):
        nonlocal statistics
        x, statistics = batch_norm(x, params, statistics, name, training)
        return jax.nn.relu(x)

    x = norm(conv(x, params["conv.weight"]), "bn")
    for i, (inputs, _, stride) in enumerate(BLOCKS):
        name = f"blocks.{i}"
        x = norm(conv(x, params[f"{name}.depthwise.weight"], stride, groups=inputs), f"{name}.bn1")
        x = norm(conv(x, params[f"{name}.pointwise.weight"], padding=0), f"{name}.bn2")
    return linear(x.mean((1, 2)), params, "fc"), statistics


def forward(params, statistics, image):
    return apply(params, statistics, image, training=False)[0]


def loss(params, statistics, image, label):
    logits, statistics = apply(params, statistics, image, training=True)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean(), statistics
