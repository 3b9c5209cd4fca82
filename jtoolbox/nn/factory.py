"""Where and as what a layer's parameters are made."""

from __future__ import annotations

from typing import Any

__all__ = ["factory_kwargs"]

_NAMES = {"device", "dtype", "memory_format"}


def factory_kwargs(kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """The `device`, `dtype` and `memory_format` of a layer's keyword arguments.

    Those within `kwargs["factory_kwargs"]` count too. Raises TypeError for other names and for one
    that is given twice.
    """
    if kwargs is None:
        return {}
    unknown = kwargs.keys() - _NAMES - {"factory_kwargs"}
    if unknown:
        raise TypeError(f"unexpected kwargs {unknown}")
    found = dict(kwargs.get("factory_kwargs", {}))
    for name in sorted(_NAMES & kwargs.keys()):
        if name in found:
            raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
        found[name] = kwargs[name]
    return found
