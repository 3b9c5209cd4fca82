"""The starting weights and the batch in the layout (N, H, W, C) that JAX's libraries prefer."""

import numpy as np


def weights(weights):
    """Kernels as HWIO, linear weights as (in, out), the flattened axis in the order H, W, C."""
    out = dict(weights)
    for name in ("conv1.weight", "conv2.weight"):
        out[name] = weights[name].transpose(2, 3, 1, 0)
    flat = weights["fc1.weight"].reshape(128, 64, 12, 12)
    out["fc1.weight"] = flat.transpose(2, 3, 1, 0).reshape(9216, 128)
    out["fc2.weight"] = weights["fc2.weight"].T
    return out


def batch(image, label):
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1)), label.astype("int32")
