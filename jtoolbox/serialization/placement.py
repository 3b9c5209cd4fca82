"""`map_location`: where the tensors of a file go.

NOTE [The device in the file]
PyTorch puts a tensor back on the device that the file names, and fails when it is absent. jtoolbox
puts tensors where new tensors are made, so that a checkpoint from any machine loads on any other;
`map_location` says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jtoolbox.serialization.tensors import device, find

__all__ = ["Placement", "StorageStub"]

_KINDS = (
    "map_location is None, a device, a device's name, a dict from names to devices, or a "
    "function of (storage, location) that returns the storage or a device; got {kind}"
)


class StorageStub:
    """What a `map_location` function gets for a storage: `.cpu()` and `.cuda(1)` say where to."""

    def __init__(self, place: device | None = None):
        self.device = place

    def cpu(self) -> StorageStub:
        """The storage in the host's memory."""
        return StorageStub(device("cpu"))

    def cuda(self, index: int | None = None) -> StorageStub:
        """The storage on a GPU."""
        return StorageStub(device("cuda", 0 if index is None else index))


class Placement:
    """Answers, for the location that the file names, on which device the tensor goes."""

    def __init__(self, map_location: Any):
        if isinstance(map_location, (str, device)):
            self._one = device(map_location)
            find(self._one)
        elif map_location is None or isinstance(map_location, Mapping) or callable(map_location):
            self._one = None
        else:
            raise TypeError(_KINDS.format(kind=type(map_location).__name__))
        self._map_location = map_location
        self._known: dict[str, device | None] = {}

    def __call__(self, location: str) -> device | None:
        """The device for a tensor that was at `location`; None for the default one."""
        if self._one is not None or self._map_location is None:
            return self._one
        if location not in self._known:
            self._known[location] = self._ask(location)
        return self._known[location]

    def _ask(self, location: str) -> device | None:
        if isinstance(self._map_location, Mapping):
            answer = self._map_location.get(location)
        else:
            try:
                answer = self._map_location(StorageStub(), location)
            except Exception as error:
                raise RuntimeError(f"map_location raised for location {location!r}") from error
        if isinstance(answer, StorageStub):
            return answer.device
        if answer is None or isinstance(answer, device):
            return answer
        if isinstance(answer, str):
            return device(answer)
        raise RuntimeError(_KINDS.format(kind=f"a function's answer {answer!r}"))
