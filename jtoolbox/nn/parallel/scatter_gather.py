"""Cutting arguments into parts for several devices, and joining results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jtoolbox.ops.conversion import to
from jtoolbox.ops.joining import cat, stack
from jtoolbox.ops.splitting import chunk
from jtoolbox.tensor import Tensor

__all__ = ["gather", "scatter", "scatter_kwargs"]


def _place(device: Any) -> Any:
    return f"cuda:{device}" if isinstance(device, int) else device


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """One part of `inputs` for each device: tensors are cut along `dim`, other values repeated.

    `target_gpus` are devices, or numbers of GPUs. Lists, tuples and dicts are opened; the result is
    a list with a structure like `inputs` for each device. A short batch gives fewer parts.
    """
    if isinstance(inputs, Tensor):
        parts = chunk(inputs, len(target_gpus), dim)
        return tuple(to(p, _place(d)) for p, d in zip(parts, target_gpus, strict=False))
    if isinstance(inputs, tuple) and hasattr(inputs, "_fields"):
        columns = [scatter(v, target_gpus, dim) for v in inputs]
        return [type(inputs)(*row) for row in zip(*columns, strict=False)]  # type: ignore[call-arg]
    if isinstance(inputs, (tuple, list)) and inputs:
        columns = [scatter(v, target_gpus, dim) for v in inputs]
        return [type(inputs)(row) for row in zip(*columns, strict=False)]
    if isinstance(inputs, dict) and inputs:
        columns = [scatter(v, target_gpus, dim) for v in inputs.values()]
        return [type(inputs)(zip(inputs, r, strict=True)) for r in zip(*columns, strict=False)]
    return [inputs for _ in target_gpus]


def scatter_kwargs(
    inputs: tuple[Any, ...], kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[Any, Any]:
    """Positional and keyword arguments for each device; the shorter of both is filled up."""
    parts = list(scatter(inputs, target_gpus, dim)) if inputs else []
    named = list(scatter(kwargs, target_gpus, dim)) if kwargs else []
    count = max(len(parts), len(named))
    parts += [() for _ in range(count - len(parts))]
    named += [{} for _ in range(count - len(named))]
    return tuple(parts), tuple(named)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """Results of several devices as one, on `target_device`: tensors are joined along `dim`.

    Tensors without dimensions become a vector. Lists, tuples and dicts are opened.
    """
    first = outputs[0]
    if isinstance(first, Tensor):
        moved = [to(v, _place(target_device)) for v in outputs]
        return cat(moved, dim) if first.dim() else stack(moved)
    if first is None:
        return None
    if isinstance(first, dict):
        if any(len(o) != len(first) for o in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((k, gather([o[k] for o in outputs], target_device, dim)) for k in first)
    columns = [gather(column, target_device, dim) for column in zip(*outputs, strict=True)]
    return type(first)(*columns) if hasattr(first, "_fields") else type(first)(columns)
