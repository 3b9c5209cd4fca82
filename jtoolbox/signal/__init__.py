"""Signal processing: `windows`."""

from jtoolbox.signal import windows

__all__ = ["windows"]
