"""`torch.storage`: what a tensor's elements share, to be looked at."""

from jtoolbox.ops.storage import TypedStorage, UntypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]
