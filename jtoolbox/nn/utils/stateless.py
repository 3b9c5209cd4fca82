"""The old place of `jtoolbox.func.functional_call`."""

from jtoolbox.func import functional_call

__all__ = ["functional_call"]
