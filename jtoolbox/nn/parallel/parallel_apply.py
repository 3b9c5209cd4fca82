"""Calling one module for each device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.nn.module import Module

__all__ = ["parallel_apply"]


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any]] | None = None,
    devices: Sequence[Any] | None = None,
) -> list[Any]:
    """The result of each module on its inputs. Devices work side by side by themselves."""
    if len(modules) != len(inputs):
        raise AssertionError(
            f"The number of modules {len(modules)} is not equal to the number of inputs "
            f"{len(inputs)}"
        )
    named = [{} for _ in modules] if kwargs_tup is None else kwargs_tup
    if len(named) != len(modules) or (devices is not None and len(devices) != len(modules)):
        raise AssertionError("kwargs_tup and devices need one entry for each module")
    results = []
    for module, given, keywords in zip(modules, inputs, named, strict=True):
        arguments = given if isinstance(given, (list, tuple)) else (given,)
        results.append(module(*arguments, **keywords))
    return results
