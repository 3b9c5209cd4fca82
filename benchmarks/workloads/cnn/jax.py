"""The convolutional network by hand in JAX, images in (N, H, W, C)."""

import jax
import optax
from jax import lax

from benchmarks.workloads.cnn import channels_last
from benchmarks.workloads.cnn.channels_last import batch  # noqa: F401


def params(weights):
    return channels_last.weights(weights)


def conv(x, kernel, bias):
    dimensions = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(x, kernel, (1, 1), "VALID", dimension_numbers=dimensions) + bias


def max_pool(x):
    return lax.reduce_window(x, -float("inf"), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def forward(params, x):
    x = jax.nn.relu(conv(x, params["conv1.weight"], params["conv1.bias"]))
    x = jax.nn.relu(conv(x, params["conv2.weight"], params["conv2.bias"]))
    x = max_pool(x).reshape(len(x), -1)
    x = jax.nn.relu(x @ params["fc1.weight"] + params["fc1.bias"])
    return x @ params["fc2.weight"] + params["fc2.bias"]


def loss(params, image, label):
    logits = forward(params, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
