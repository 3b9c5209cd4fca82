"""Cross entropy of a linear map: the last layer of a classifier and its loss in one call."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, op
from jtoolbox.nn.functional.checks import type_name
from jtoolbox.nn.functional.cross_entropy import cross_entropy

__all__ = ["LinearCrossEntropyOptions", "linear_cross_entropy"]

_POLICIES = ("accurate", "balanced", "compact", "auto")
_METHOD = re.compile(r"auto|aspect_ratio(:[1-9]\d*)?")
_ACC_TYPES = (None, dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64)
_BATCH = (
    "K-dimensional loss defined by linear_weight shape {weight} requires batched input, (N, "
    "{features}), got unbatched input with shape {input}"
)
_FEATURES = (
    "expected equal input and linear_weight last dimensions (in_features), got {a} and {b}, "
    "respectively"
)
_IGNORED = (
    "ignore_index cannot be specified when target contains probabilities: leave it None, or give "
    "class indices"
)


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """PyTorch's settings of its computation in chunks: checked, and without effect here.

    XLA compiles linear map and loss as one program, whose memory they do not change; results do not
    depend on them beyond rounding, and all derivatives work, repeated ones too. Raises ValueError
    for a value that PyTorch refuses.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: Literal["accurate", "balanced", "compact", "auto"] = "auto"
    acc_dtype: dtypes.dtype | None = None

    def __post_init__(self) -> None:
        chunk, method = self.batch_chunk_size, self.chunking_method
        if chunk is not None and (not isinstance(chunk, int) or chunk <= 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {chunk}")
        if method is not None and not _METHOD.fullmatch(method):
            raise ValueError(f"invalid chunking_method: {method!r}")
        if self.acc_policy not in _POLICIES:
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}, choose from {_POLICIES}")
        if self.acc_dtype not in _ACC_TYPES:
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, "
                f"torch.float64}}, got {self.acc_dtype}. Pass acc_dtype=None to let the op pick "
                "automatically."
            )


def _check(x: Array, weight: Array, bias: Any) -> None:
    if x.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {x.ndim}")
    if weight.ndim < 2:
        raise RuntimeError(
            f"expected linear_weight with dimensionality at least 2, got {weight.ndim}"
        )
    shape, features = tuple(weight.shape), weight.shape[-1]
    if weight.ndim > 2 and x.ndim == 1:
        raise RuntimeError(_BATCH.format(weight=shape, features=features, input=tuple(x.shape)))
    if x.shape[-1] != features:
        raise RuntimeError(_FEATURES.format(a=x.shape[-1], b=features))
    if bias is not None and tuple(bias.shape) != shape[:-1]:
        raise RuntimeError(f"expected linear_bias shape {shape[:-1]}, got {tuple(bias.shape)}")
    if x.dtype != weight.dtype:
        raise RuntimeError(
            "expected m1 and m2 to have the same dtype, but got: "
            f"{type_name(x)} != {type_name(weight)}; convert one of them with .to()"
        )


@op(name="linear")
def _scores(input: Array, linear_weight: Array, linear_bias: Array | None) -> Array:
    """(N, F) and (C, d1, ..., F) to scores (N, C, d1, ...)."""
    _check(input, linear_weight, linear_bias)
    contracted = ((input.ndim - 1,), (linear_weight.ndim - 1,))
    scores = jax.lax.dot_general(input, linear_weight, (contracted, ((), ())))
    return scores if linear_bias is None else jnp.add(scores, linear_bias)


def linear_cross_entropy(
    input: Array,
    linear_weight: Array,
    target: Array,
    *,
    linear_bias: Array | None = None,
    weight: Array | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Array:
    """cross_entropy(linear(input, linear_weight, linear_bias), target).

    Shapes: input (N, F) or (F), linear_weight (C, F) or (C, d1, ..., F), linear_bias without F;
    target (N, d1, ...) of class indices or (N, C, d1, ...) of probabilities. `ignore_index` None
    means -100 for indices; it raises RuntimeError beside probabilities. `options` are checked and
    change nothing: XLA compiles the whole, and derivatives of every order work. Other settings and
    errors as for `cross_entropy`.
    """
    if options is not None:
        _check_options(options, input)
    if "float" in str(target.dtype) and ignore_index is not None:
        raise RuntimeError(_IGNORED)
    scores = _scores(input, linear_weight, linear_bias)
    return cross_entropy(
        scores,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def _check_options(options: Any, input: Any) -> None:
    if not isinstance(options, LinearCrossEntropyOptions):
        raise AttributeError(
            f"options must be LinearCrossEntropyOptions or None, got {type(options).__name__}"
        )
    kind = str(input.dtype).rpartition(".")[2]
    given = None if options.acc_dtype is None else options.acc_dtype.name
    if given not in (None, kind) and not (given == "float32" and kind in ("float16", "bfloat16")):
        raise RuntimeError(
            "linear_cross_entropy supports float32 acc_dtype with float16/bfloat16 inputs, but got "
            f"torch.{given} acc_dtype and torch.{kind} inputs."
        )
