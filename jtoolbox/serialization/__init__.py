"""Saving and loading: PyTorch's files and safetensors, without running code from a file."""

from jtoolbox.serialization.checkpoint import (
    DEFAULT_PROTOCOL,
    FILE_LIKE,
    MAP_LOCATION,
    load,
    safetensors_metadata,
    save,
)
from jtoolbox.serialization.safe_globals import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    safe_globals,
)

__all__ = [
    "DEFAULT_PROTOCOL",
    "FILE_LIKE",
    "MAP_LOCATION",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "load",
    "safe_globals",
    "safetensors_metadata",
    "save",
]
