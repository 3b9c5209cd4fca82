"""Collation: a list of samples becomes one batch of the same structure.

The work is done on NumPy arrays, and `wrap` says what becomes of each finished one: in a worker it
stays as it is, in the main process it becomes a Tensor that holds it, without a copy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import jax
import numpy as np

from jtoolbox import dtypes, ops
from jtoolbox.tensor import Tensor, from_host
from jtoolbox.utils.data.arrays import Columns, aligned_copy, is_numeric, stack

__all__ = ["default_collate", "default_collate_fn_map", "default_convert"]

UNKNOWN = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found "
    "{found}. Return one of these from the dataset, or pass a collate_fn that knows this type."
)
UNEVEN = (
    "each element in list of batch should be of equal size, found lengths {lengths}. Make the "
    "samples alike in __getitem__, or pass a collate_fn."
)

Wrap = Callable[[np.ndarray], Any]


def default_collate(batch: Sequence[Any]) -> Any:
    """Joins samples into a batch, the samples' axis first.

    Arrays and tensors (*) are stacked into a tensor (N, *) and keep their dtype. Python floats
    become a float64 tensor (N,), integers int64, booleans bool. Strings and bytes stay as
    they are: in a list, or inside sequences in a tuple. Mappings, named tuples and sequences are
    joined entry by entry and keep their type, except that a tuple becomes a list. Raises TypeError
    for anything else, None included, and RuntimeError for samples of unequal shapes. Types of one's
    own get a function in `torch.utils.data._utils.collate.default_collate_fn_map`.

    >>> default_collate([{"x": np.zeros(3), "y": 1}, {"x": np.ones(3), "y": 2}])["x"].shape
    torch.Size([2, 3])
    """
    return collate(batch, from_host)


def default_convert(data: Any) -> Any:
    """Turns every array inside `data` into a tensor, leaving the rest and the structure alone.

    The loader's collation when `batch_size` is None.
    """
    return convert(data, from_host)


def keep(array: np.ndarray) -> np.ndarray:
    """The `wrap` of a worker: the array goes on as it is."""
    return array


def _usual(batch: Sequence[Any], *, collate_fn_map: Any = None) -> Any:
    return collate(batch, from_host, {})


# Functions for types: those that programs add, and the marks of what `collate` does by itself.
default_collate_fn_map: dict[Any, Callable[..., Any]] = dict.fromkeys(
    (Tensor, np.ndarray, (np.bool_, np.number, np.object_), float, int, str, bytes), _usual
)
_USUAL = dict(default_collate_fn_map)


def _own_function(kind: type, functions: dict[Any, Any]) -> Callable[..., Any] | None:
    """The function that a program has added for this type, or for one above it."""
    if functions == _USUAL:
        return None
    found = functions.get(kind)
    if found is None:
        found = next((f for types, f in functions.items() if issubclass(kind, types)), None)
    return None if found is _usual else found


def collate(
    batch: Sequence[Any], wrap: Wrap, functions: dict[Any, Any] = default_collate_fn_map
) -> Any:
    """`default_collate` with a choice of what becomes of the finished arrays."""
    if isinstance(batch, Columns):
        return [wrap(column) for column in batch.columns]
    sample = batch[0]
    own = _own_function(type(sample), functions)
    if own is not None:
        return own(batch, collate_fn_map=functions)
    if isinstance(sample, Tensor) and wrap is from_host and any(s.requires_grad for s in batch):
        return ops.stack(list(batch))
    if isinstance(sample, (Tensor, np.ndarray, np.generic, jax.Array)):
        return wrap(_stacked(batch))
    if isinstance(sample, (str, bytes)):
        return batch
    if isinstance(sample, (int, float)):
        return wrap(_numbers(batch))
    if isinstance(sample, Mapping):
        entries = {key: collate([s[key] for s in batch], wrap, functions) for key in sample}
        return _like_mapping(sample, entries)
    if isinstance(sample, Sequence):
        return _like_sequence(sample, [collate(c, wrap, functions) for c in _columns(batch)])
    raise TypeError(UNKNOWN.format(found=type(sample)))


def convert(data: Any, wrap: Wrap) -> Any:
    """`default_convert` with a choice of what becomes of the arrays, each copied first."""
    if isinstance(data, (np.ndarray, np.generic)):
        array = np.asarray(data)
        return wrap(aligned_copy(array)) if is_numeric(array.dtype) else data
    return map_entries(lambda entry: convert(entry, wrap), data)


def wrap_arrays(data: Any) -> Any:
    """Makes the arrays of a batch that a worker collated Tensors, without a copy."""
    if isinstance(data, np.ndarray):
        return from_host(data) if is_numeric(data.dtype) else data
    return map_entries(wrap_arrays, data)


def map_entries(f: Callable[[Any], Any], data: Any) -> Any:
    """Applies `f` to the entries of a mapping or sequence; anything else comes back as it is."""
    if isinstance(data, (Tensor, str, bytes)):
        return data
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: f(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        return _like_sequence(data, [f(value) for value in data])
    return data


def _stacked(batch: Sequence[Any]) -> np.ndarray:
    arrays = [np.asarray(sample) for sample in batch]
    if not is_numeric(arrays[0].dtype):
        found = arrays[0].dtype if isinstance(batch[0], np.ndarray) else type(batch[0])
        raise TypeError(UNKNOWN.format(found=found))
    return stack(arrays)


def _numbers(batch: Sequence[Any]) -> np.ndarray:
    """Python numbers as an array; the first decides, as in PyTorch: a float makes float64."""
    if isinstance(batch[0], float):
        return np.array(batch, np.float64)
    array = np.array(batch)
    if array.dtype.kind == "f":
        return array.astype(dtypes.default_float())
    if array.dtype.kind not in "bi":
        raise TypeError(UNKNOWN.format(found=f"{type(batch[0])} among {batch[:8]}"))
    return array


def _columns(batch: Sequence[Any]) -> list[tuple]:
    lengths = {len(sample) for sample in batch}
    if len(lengths) > 1:
        raise RuntimeError(UNEVEN.format(lengths=sorted(lengths)))
    return list(zip(*batch, strict=True))


def _like_mapping(sample: Mapping, entries: dict) -> Any:
    """The entries in a mapping of the sample's own type where it can be made, else in a dict."""
    if type(sample) is dict:
        return entries
    try:
        if isinstance(sample, MutableMapping):
            clone = copy.copy(sample)
            clone.update(entries)
            return clone
        return type(sample)(entries)  # type: ignore[call-arg]
    except (TypeError, NotImplementedError):
        return entries


def _like_sequence(sample: Sequence, entries: list) -> Any:
    """The entries in a sequence of the sample's own type where it can be made, else in a list."""
    if type(sample) in (list, tuple):
        return entries
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*entries)
    try:
        if isinstance(sample, MutableSequence) and not isinstance(sample, bytearray):
            clone = copy.copy(sample)
            for place, entry in enumerate(entries):
                clone[place] = entry
            return clone
        return type(sample)(entries)  # type: ignore[call-arg]
    except (TypeError, ValueError, NotImplementedError):
        return entries
