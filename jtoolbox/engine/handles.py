"""What registering a hook returns."""

from __future__ import annotations

import itertools
import weakref
from typing import Any


class RemovableHandle:
    """Removes a registered hook: by `remove()`, or at the end of a `with` block."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any], *, extra: Any = None):
        self.id = next(RemovableHandle._ids)
        self.hooks = hooks if not hasattr(hooks, "__weakref__") else weakref.ref(hooks)
        self.extra = extra

    def remove(self) -> None:
        """Takes the hook out; a second call does nothing."""
        hooks = self.hooks() if isinstance(self.hooks, weakref.ref) else self.hooks
        if hooks is not None:
            hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: Any) -> None:
        self.remove()
