"""Pieces of networks by hand in JAX, shared by the workloads; images are (N, H, W, C)."""

import jax
import jax.numpy as jnp
from jax import lax

DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def conv(x, kernel, stride=1, padding=1, groups=1):
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        [(padding, padding)] * 2,
        dimension_numbers=DIMENSIONS,
        feature_group_count=groups,
    )


def batch_norm(x, params, statistics, name, training):
    """The normalized images, and the running statistics as they go on from here."""
    mean, var = statistics[f"{name}.running_mean"], statistics[f"{name}.running_var"]
    if training:
        count = x.size // x.shape[-1]
        running = (mean, var)
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        statistics = statistics | {
            f"{name}.running_mean": 0.9 * running[0] + 0.1 * mean,
            f"{name}.running_var": 0.9 * running[1] + 0.1 * var * (count / (count - 1)),
        }
    scale = params[f"{name}.weight"] * lax.rsqrt(var + 1e-5)
    return (x - mean) * scale + params[f"{name}.bias"], statistics


def layer_norm(x, params, name):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) * lax.rsqrt(var + 1e-5) * params[f"{name}.weight"] + params[f"{name}.bias"]


def linear(x, params, name):
    return x @ params[f"{name}.weight"] + params[f"{name}.bias"]


def dropout(x, key, p):
    return jnp.where(jax.random.bernoulli(key, 1 - p, x.shape), x / (1 - p), 0) if p else x
