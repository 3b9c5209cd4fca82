"""`map_location`: where the tensors of a file go.

NOTE [The device in the file]
PyTorch puts a tensor back on the device that the file names, and fails when it is absent. jtoolbox
puts tensors where new tensors are made, so that a checkpoint from any machine loads on any other;
`map_location` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
            place = device(map_location)
            find(place)
            self._answer: Callable[[str], Any] = lambda location: place
        elif map_location is None:
            self._answer = lambda location: None
        elif isinstance(map_location, Mapping):
            self._answer = map_location.get
        elif callable(map_location):
            self._answer = lambda location: map_location(StorageStub(), location)
        else:
            raise TypeError(_KINDS.format(kind=type(map_location).__name__))
        self._known: dict[str, device | None] = {}

    def __call__(self, location: str) -> device | None:
        """The device for a tensor that was at `location`; None for the default one."""
        if location not in self._known:
            self._known[location] = self._ask(location)
        return self._known[location]

    def _ask(self, location: str) -> device | None:
        try:
            answer = self._answer(location)
        except Exception as error:
            raise RuntimeError(f"map_location raised for location {location!r}") from error
        if isinstance(answer, StorageStub):
            return answer.device
        if answer is None or isinstance(answer, device):
            return answer
        if isinstance(answer, str):
            return device(answer)
        raise RuntimeError(_KINDS.format(kind=f"a function's answer {answer!r}"))
