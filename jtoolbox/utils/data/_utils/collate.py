"""`torch.utils.data._utils.collate`: collation with functions for types of one's own."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from jtoolbox.tensor import from_host
from jtoolbox.utils.data.collate import collate as _collate
from jtoolbox.utils.data.collate import default_collate, default_collate_fn_map, default_convert

__all__ = [
    "collate",
    "default_collate",
    "default_collate_err_msg_format",
    "default_collate_fn_map",
    "default_convert",
    "np_str_obj_array_pattern",
]

# The types of NumPy arrays, by their letters, that do not become tensors.
np_str_obj_array_pattern = re.compile(r"[SaUO]")
default_collate_err_msg_format = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def collate(
    batch: Sequence[Any],
    *,
    collate_fn_map: dict[Any, Callable[..., Any]] | None = None,
) -> Any:
    """`default_collate` with functions for further types, by type or tuple of types.

    A function is called as `function(samples, collate_fn_map=map)` for samples of its type, and
    comes before the rules of `default_collate`. What `default_collate_fn_map` is given counts for
    every `default_collate` of this process.
    """
    return _collate(batch, from_host, {} if collate_fn_map is None else collate_fn_map)
