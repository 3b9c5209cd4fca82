"""Causal masks that say in which corner their triangle lies, for `scaled_dot_product_attention`."""

from __future__ import annotations

import enum
from typing import Any

import jax.numpy as jnp
import numpy as np

from jtoolbox import dtypes
from jtoolbox.devices import device as device_of
from jtoolbox.nn.functional.checks import warn_user

__all__ = ["CausalBias", "CausalVariant", "causal_lower_right", "causal_upper_left"]

_VARIANT = "variant must be a CausalVariant, got {kind}"
_SIZES = "{name} only supports 2D tensors: give two numbers, queries and keys, got {size}"
_EMPTY = (
    "Lower right causal bias with seq_len_q > seq_len_kv leaves the first queries no key: they "
    "give 0 (PyTorch warns of NaNs)"
)
_LENGTH = "lengths of a CausalBias must be ints from 0 on, got {q!r} and {kv!r}"


class CausalVariant(enum.IntEnum):
    """Where the diagonal of a causal mask begins (upper left) or ends (lower right)."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


class CausalBias:
    """A causal mask of `seq_len_q` queries and `seq_len_kv` keys, as `attn_mask`.

    UPPER_LEFT: query i sees the keys 0 to i. LOWER_RIGHT: the last query sees all keys, and each
    one before it one key less; with fewer keys than queries the first queries see none, and give
    0: warns.
    Unlike PyTorch's it is no Tensor (there its values are uninitialized memory): it serves as
    `attn_mask` of `scaled_dot_product_attention` alone. Raises AssertionError for another variant,
    TypeError or RuntimeError for wrong lengths.
    """

    def __init__(self, variant: CausalVariant, seq_len_q: int, seq_len_kv: int) -> None:
        if not isinstance(variant, CausalVariant):
            raise AssertionError(_VARIANT.format(kind=type(variant).__name__))
        message = _LENGTH.format(q=seq_len_q, kv=seq_len_kv)
        for length in (seq_len_q, seq_len_kv):
            if not isinstance(length, (int, np.integer)):
                raise TypeError(message)
            if length < 0:
                raise RuntimeError(message)
        if variant == CausalVariant.LOWER_RIGHT and seq_len_q > seq_len_kv:
            warn_user(_EMPTY)
        self.variant = variant
        self.seq_len_q = seq_len_q
        self.seq_len_kv = seq_len_kv
        self.dtype = dtypes.float32
        self.requires_grad = False

    @property
    def device(self) -> Any:
        return device_of("cpu")

    def as_arguments(self) -> tuple[Any, bool]:
        """What it means: `attn_mask` and `is_causal`.

        As in PyTorch, a triangle from the upper left fits scores of any shape.
        """
        upper_left = self.variant == CausalVariant.UPPER_LEFT
        if upper_left or self.seq_len_q == self.seq_len_kv:
            return None, True
        return self._materialize(), False

    def _materialize(self) -> Any:
        """The mask (seq_len_q, seq_len_kv), True where a key takes part."""
        upper_left = self.variant == CausalVariant.UPPER_LEFT
        shift = 0 if upper_left else self.seq_len_kv - self.seq_len_q
        return jnp.tri(self.seq_len_q, self.seq_len_kv, shift, dtype=bool)

    def __repr__(self) -> str:
        values = np.asarray(self._materialize())
        return f"tensor({np.array2string(values, separator=', ', prefix='tensor(')})"


def _sizes(name: str, size: tuple[int, ...]) -> tuple[int, ...]:
    if len(size) != 2:
        raise AssertionError(_SIZES.format(name=name, size=size))
    return size


def causal_upper_left(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) in which query i sees the keys 0 to i."""
    return CausalBias(CausalVariant.UPPER_LEFT, *_sizes("causal_upper_left", size))


def causal_lower_right(*size: int) -> CausalBias:
    """The causal mask of (queries, keys) in which the last query sees all keys."""
    return CausalBias(CausalVariant.LOWER_RIGHT, *_sizes("causal_lower_right", size))
