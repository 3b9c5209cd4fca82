"""Random images with random labels, and starting weights of PyTorch's scale."""

import numpy as np

CLASSES = 10


def batches(shape: tuple[int, ...], size: int, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Different batches: images float32 (size, *shape) and labels int64 (size,)."""
    rng = np.random.default_rng(0)
    return [
        (
            rng.standard_normal((size, *shape), dtype=np.float32),
            rng.integers(0, CLASSES, size),
        )
        for _ in range(count)
    ]


def weights(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Uniform in +-1/sqrt(fan_in) for each layer's `weight`, followed by its `bias`."""
    rng = np.random.default_rng(1)
    out: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        bound = 1 / np.sqrt(np.prod(shape[1:]))
        out[f"{name}.weight"] = rng.uniform(-bound, bound, shape).astype(np.float32)
        out[f"{name}.bias"] = rng.uniform(-bound, bound, shape[0]).astype(np.float32)
    return out
