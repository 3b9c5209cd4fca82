"""`torch.utils.dlpack`: tensors handed to other libraries and taken from them."""

from jtoolbox.namespace import to_dlpack
from jtoolbox.tensor import from_dlpack

__all__ = ["from_dlpack", "to_dlpack"]
