"""`state_dict` of optimizers in PyTorch's layout, and its way back into one."""

from __future__ import annotations

import copy
import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox.engine import Handle
from jtoolbox.engine.graph import leaf_node
from jtoolbox.engine.record import wrap
from jtoolbox.tensor import from_host

__all__ = ["pack", "unpack"]

_GROUP_COUNT = (
    "loaded state dict has a different number of parameter groups: {theirs}, this optimizer has "
    "{ours}"
)
_GROUP_SIZE = (
    "loaded state dict contains a parameter group that doesn't match the size of optimizer's "
    "group: group {i} has {theirs} parameters there and {ours} here"
)
_NO_PART = "{name!r}: an optimizer's state_dict has 'state' and 'param_groups', this one {found}"


def pack(groups: list[dict[str, Any]], state: Mapping[Any, Any]) -> dict[str, Any]:
    """State and settings with parameters by number, counted through all groups."""
    numbers: dict[int, int] = {}
    packed = []
    for group in groups:
        for p in group["params"]:
            numbers.setdefault(id(p), len(numbers))
        rest = {k: v for k, v in group.items() if k != "params"}
        packed.append({**rest, "params": [numbers[id(p)] for p in group["params"]]})
    by_number = {
        numbers[id(p)] if isinstance(p, Handle) else p: entries
        for p, entries in state.items()
        if entries
    }
    return {"state": by_number, "param_groups": packed}


def unpack(groups: list[dict[str, Any]], state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """The state and groups for parameters in `groups` that a `state_dict` describes.

    A setting that it lacks, as files of older versions do, stays as it is in `groups`.
    """
    for name in ("state", "param_groups"):
        if name not in state_dict:
            raise KeyError(_NO_PART.format(name=name, found=list(state_dict)))
    saved = state_dict["param_groups"]
    _check_sizes(groups, saved)
    numbers = itertools.chain.from_iterable(g["params"] for g in saved)
    params = itertools.chain.from_iterable(g["params"] for g in groups)
    by_number = dict(zip(numbers, params, strict=True))
    state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
    for number, entries in state_dict["state"].items():
        p = by_number.get(number)
        state[number if p is None else p] = entries if p is None else _loaded(p, entries)
    new_groups = [
        {**ours, **copy.deepcopy({**theirs, "params": None}), "params": ours["params"]}
        for ours, theirs in zip(groups, saved, strict=True)
    ]
    return {"state": state, "param_groups": new_groups}


def _check_sizes(groups: list[dict[str, Any]], saved: list[dict[str, Any]]) -> None:
    if len(saved) != len(groups):
        raise ValueError(_GROUP_COUNT.format(theirs=len(saved), ours=len(groups)))
    for i, (ours, theirs) in enumerate(zip(groups, saved, strict=True)):
        sizes = {"ours": len(ours["params"]), "theirs": len(theirs["params"])}
        if sizes["ours"] != sizes["theirs"]:
            raise ValueError(_GROUP_SIZE.format(i=i, **sizes))


def _loaded(p: Any, value: Any, name: str = "") -> Any:
    """A copy of a state entry; tensors on the parameter's device and in its float type.

    "step" stays a float32 on the host.
    """
    if isinstance(value, Mapping):
        return {k: _loaded(p, v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_loaded(p, v) for v in value])
    if name == "step":
        return from_host(_host(value).astype(np.float32))
    if not hasattr(value, "detach") and not hasattr(value, "__array__"):
        return copy.deepcopy(value)
    array, aval = _host(value), p._node.aval
    if jnp.issubdtype(array.dtype, jnp.floating) and jnp.issubdtype(aval.dtype, jnp.floating):
        array = array.astype(aval.dtype)
    return wrap(leaf_node(array, aval.device))


def _host(value: Any) -> np.ndarray:
    """A copy of the values of a Tensor, an array, a number or a tensor of PyTorch."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        return np.asarray(value).copy()
    except TypeError:  # PyTorch's bfloat16 has no NumPy form
        return np.asarray(value.float()).copy()
