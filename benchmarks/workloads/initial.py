"""Starting weights by a rule, from PyTorch's names and shapes."""

import numpy as np


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Uniform in +-1/sqrt(fan_in); norms scale by one, and their running statistics are unused.

    A `bias` is uniform in +-0.05: nonzero, so that a library that forgets one is found out.
    """
    rng = np.random.default_rng(1)
    out: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        kind = name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            out[name] = np.zeros(shape, np.int64)
        elif kind == "running_mean":
            out[name] = np.zeros(shape, np.float32)
        elif kind == "running_var" or (kind == "weight" and len(shape) == 1):
            out[name] = np.ones(shape, np.float32)
        else:
            bound = 0.05 if len(shape) == 1 else 1 / np.sqrt(np.prod(shape[1:]))
            out[name] = rng.uniform(-bound, bound, shape).astype(np.float32)
    return out


def layer(name: str, *shape: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
    """The parameters of a linear layer, a convolution or, for one size, a norm."""
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def batch_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    """The parameters and running statistics of a `BatchNorm2d`."""
    kinds = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{kind}": (channels,) for kind in kinds} | {f"{name}.num_batches_tracked": ()}
