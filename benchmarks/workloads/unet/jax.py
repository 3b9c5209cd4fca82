"""The U-Net by hand in JAX."""

import jax
import jax.numpy as jnp
import optax
from jax import lax

from benchmarks.workloads import layouts
from benchmarks.workloads.jax_layers import DIMENSIONS, conv
from benchmarks.workloads.layouts import channels_last as batch  # noqa: F401
from benchmarks.workloads.unet import TRANSPOSED


def params(weights):
    return layouts.kernels(weights, transposed=TRANSPOSED)


def pair(params, name, x):
    for layer in (f"{name}.conv1", f"{name}.conv2"):
        x = jax.nn.relu(conv(x, params[f"{layer}.weight"]) + params[f"{layer}.bias"])
    return x


def up(params, name, x):
    kernel, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    return lax.conv_transpose(x, kernel, (2, 2), "VALID", dimension_numbers=DIMENSIONS) + bias


def max_pool(x):
    return lax.reduce_window(x, -float("inf"), lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def forward(params, x):
    fine = pair(params, "down1", x)
    coarse = pair(params, "down2", max_pool(fine))
    x = pair(params, "bottom", max_pool(coarse))
    x = pair(params, "join2", jnp.concatenate([coarse, up(params, "up2", x)], axis=-1))
    x = pair(params, "join1", jnp.concatenate([fine, up(params, "up1", x)], axis=-1))
    return conv(x, params["head.weight"], padding=0) + params["head.bias"]


def loss(params, image, label):
    logits = forward(params, image)
    return optax.softmax_cross_entropy_with_integer_labels(logits, label).mean()
