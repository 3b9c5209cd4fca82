"""What Tensors were called in early PyTorch."""

from jtoolbox.autograd.function import Variable

__all__ = ["Variable"]
