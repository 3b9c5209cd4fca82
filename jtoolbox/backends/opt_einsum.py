"""`torch.backends.opt_einsum`: JAX orders the products of `einsum` with it in any case."""

__all__ = ["enabled", "is_available", "strategy"]

enabled = True
strategy = "auto"


def is_available() -> bool:
    """True."""
    return True
