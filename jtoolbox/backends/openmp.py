"""`torch.backends.openmp`: libraries of PyTorch's that XLA does not use."""

__all__ = ["is_available"]

enabled = False


def is_available() -> bool:
    """False."""
    return False
