"""`torch.backends.cpu`: what the processor can do, which XLA finds out by itself."""

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """ "DEFAULT": XLA compiles for the processor that is there."""
    return "DEFAULT"
