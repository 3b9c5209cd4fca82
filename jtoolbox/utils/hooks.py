"""`torch.utils.hooks`: what registering a hook returns."""

from jtoolbox.engine.handles import RemovableHandle

__all__ = ["RemovableHandle"]
