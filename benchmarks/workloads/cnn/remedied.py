"""The network by hand in PyTorch's layouts outside, (N, C, H, W) and OIHW, with a choice inside."""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from benchmarks.competitors.remedied import CHOSEN

NHWC = "nhwc" in CHOSEN
HEIGHT = 1 if NHWC else 2


def params(weights):
    return weights


def batch(image, label):
    return image, label.astype("int32")


def conv(x, kernel, bias):
    layout = "NHWC" if NHWC else "NCHW"
    y = lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=(layout, "OIHW", layout)
    )
    return y + (bias if NHWC else bias[:, None, None])


def max_pool(x):
    """Windows of 2 by 2 over height and width, which do not overlap."""
    axes = (HEIGHT, HEIGHT + 1)
    if "reshape_pool" in CHOSEN:
        halves = [(n // 2, 2) if axis in axes else (n,) for axis, n in enumerate(x.shape)]
        return x.reshape(sum(halves, ())).max((HEIGHT + 1, HEIGHT + 3))
    window = tuple(2 if axis in axes else 1 for axis in range(4))
    return lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID")


def forward(params, x):
    x = x.transpose(0, 2, 3, 1) if NHWC else x
    x = jax.nn.relu(conv(x, params["conv1.weight"], params["conv1.bias"]))
    x = jax.nn.relu(conv(x, params["conv2.weight"], params["conv2.bias"]))
    x = max_pool(x)
    x = x.transpose(0, 3, 1, 2) if NHWC else x
    x = x.reshape(len(x), -1)
    x = jax.nn.relu(x @ params["fc1.weight"].T + params["fc1.bias"])
    return x @ params["fc2.weight"].T + params["fc2.bias"]


def loss(params, image, label):
    logits = forward(params, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
