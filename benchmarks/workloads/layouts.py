"""Weights and images in the layouts that JAX's libraries prefer, from PyTorch's, in NumPy."""

import numpy as np

STATISTICS = ("running_mean", "running_var")


def kernels(weights, transposed=(), tables=()):
    """Convolutions as HWIO, linear weights as (in, out); transposed convolutions flipped, as HWIO.

    `transposed` and `tables` name the layers that are transposed convolutions or embeddings.
    """
    out = {}
    for name, w in weights.items():
        layer = name.rpartition(".")[0]
        if layer in transposed and w.ndim == 4:
            w = w.transpose(2, 3, 0, 1)[::-1, ::-1]
        elif w.ndim == 4:
            w = w.transpose(2, 3, 1, 0)
        elif w.ndim == 2 and layer not in tables:
            w = w.T
        out[name] = np.ascontiguousarray(w)
    return out


def parameters(weights):
    """Without the running statistics and counts of batch norms."""
    ends = (*STATISTICS, "num_batches_tracked")
    return {name: w for name, w in weights.items() if not name.endswith(ends)}


def statistics(weights):
    """The running statistics of batch norms alone."""
    return {name: w for name, w in weights.items() if name.endswith(STATISTICS)}


def channels_last(image, label):
    """A batch of images as (N, H, W, C), labels as JAX's integers."""
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1)), label.astype("int32")


def int32(*batch):
    """A batch whose integers are JAX's."""
    return tuple(x.astype("int32") if x.dtype == np.int64 else x for x in batch)
