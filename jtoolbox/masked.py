"""Reductions and normalizations that leave out elements: PyTorch's `torch.masked` on tensors.

Every function takes `mask`, booleans that broadcast to `input` without more dimensions than it
has: where it is False, an element counts as the operation's identity (0 for a sum, -inf for a
maximum), so its value, NaN included, changes neither result nor gradient. Where a whole row is
left out, sums and norms are 0, products 1, extremes infinite (or the integer type's limit), means
and variances NaN. Without a mask all elements count. `dim` is one dimension, several, or None for
all; `dtype` is the type that the input is converted to first. A mask with too many dimensions
raises IndexError, one that does not broadcast RuntimeError. `MaskedTensor` is not here.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from jtoolbox import dtypes, ops
from jtoolbox.nn.functional import log_softmax as _log_softmax
from jtoolbox.nn.functional import softmax as _softmax
from jtoolbox.ops.conversion import cast
from jtoolbox.ops.dims import canonical_dims
from jtoolbox.ops.host import host_value
from jtoolbox.ops.norms import vector_norm
from jtoolbox.ops.reduction import Dims

__all__ = [
    *("amax", "amin", "argmax", "argmin", "cumprod", "cumsum", "log_softmax", "logaddexp"),
    *("logsumexp", "mean", "median", "norm", "normalize", "prod", "softmax", "softmin", "std"),
    *("sum", "var"),
]

BOOL, INTEGER, FLOAT, COMPLEX = range(4)


# --- what is left out -----------------------------------------------------------------------------


def _type(x: Any) -> np.dtype:
    return np.dtype(dtypes.as_numpy(x.dtype))


def _kind(x: Any) -> int:
    return dtypes.kind(_type(x))


def _converted(input: Any, dtype: Any) -> Any:
    return input if dtype is None else cast(input, dtype)


def _spread(mask: Any, input: Any) -> Any:
    """The mask as booleans in the shape of the input."""
    if mask.ndim > input.ndim:
        raise IndexError(
            "_input_mask expected broadcastable mask (got mask dimensionality higher than of the "
            f"input): the mask has shape {list(mask.shape)}, the input {list(input.shape)}"
        )
    return ops.broadcast_to(cast(mask, dtypes.bool), tuple(input.shape))


def _filled(input: Any, mask: Any, identity: Any) -> Any:
    """The input with the identity in the places that the mask leaves out."""
    return input if mask is None else ops.where(_spread(mask, input), input, identity)


def _lowest(name: str, input: Any, sign: int = -1) -> float | int:
    """What no element is beyond: -inf or the least integer, or for sign 1 the opposite end."""
    kind = _kind(input)
    if kind == BOOL:
        raise NotImplementedError(f"identity of {name} on torch.bool input: use .int()")
    if kind == COMPLEX and name != "logsumexp":
        raise TypeError(f"{name}() needs an order, which complex numbers have not: use abs()")
    if kind != INTEGER:
        return sign * math.inf
    limits = np.iinfo(_type(input))
    return int(limits.min if sign < 0 else limits.max)


def _extreme_filled(name: str, input: Any, mask: Any, sign: int = -1) -> Any:
    return input if mask is None else _filled(input, mask, _lowest(name, input, sign))


def _all_if_none(dim: Dims, input: Any) -> Any:
    return canonical_dims(dim, input.ndim)


# --- sums and products ----------------------------------------------------------------------------


def sum(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The sum over `dim` of what the mask keeps; integers and bools sum to int64."""
    return ops.sum(_filled(_converted(input, dtype), mask, 0), dim, keepdim, dtype=dtype)


def prod(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The product over `dim` of what the mask keeps; integers and bools multiply to int64."""
    x = _filled(_converted(input, dtype), mask, 1)
    return ops.prod(x, _all_if_none(dim, input), keepdim, dtype=dtype)


def _not_bool(name: str, x: Any) -> None:
    if _kind(x) == BOOL:
        raise NotImplementedError(f"\"{name}_out_cpu\" not implemented for 'Bool': use .int()")


def cumsum(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The sum of the kept elements up to each place along `dim`. NotImplementedError for bools."""
    x = _converted(input, dtype)
    _not_bool("cumsum", x)
    return ops.cumsum(_filled(x, mask, 0), dim, dtype=x.dtype)


def cumprod(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The product of the kept elements up to each place along `dim`. NotImplementedError for
    bools."""
    x = _converted(input, dtype)
    _not_bool("cumprod", x)
    return ops.cumprod(_filled(x, mask, 1), dim, dtype=x.dtype)


# --- extremes -------------------------------------------------------------------------------------


def amax(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The largest kept element over `dim`; equal ones share the gradient."""
    x = _extreme_filled("amax", _converted(input, dtype), mask)
    return ops.amax(x, _all_if_none(dim, x), keepdim)


def amin(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The smallest kept element over `dim`; equal ones share the gradient."""
    x = _extreme_filled("amin", _converted(input, dtype), mask, 1)
    return ops.amin(x, _all_if_none(dim, x), keepdim)


def argmax(
    input: Any,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The place of the largest kept element along `dim`, or in the flat input, as a number of the
    input's type (or of `dtype`), as PyTorch gives it."""
    x = _extreme_filled("argmax", _converted(input, dtype), mask)
    return cast(ops.argmax(x, dim, keepdim), x.dtype)


def argmin(
    input: Any,
    dim: int | None = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The place of the smallest kept element, as `argmax` gives that of the largest."""
    x = _extreme_filled("argmin", _converted(input, dtype), mask, 1)
    return cast(ops.argmin(x, dim, keepdim), x.dtype)


# --- averages -------------------------------------------------------------------------------------


def _count(x: Any, dims: Sequence[int], keepdim: bool, mask: Any) -> Any:
    """How many elements over the dimensions are kept, as a number or a tensor."""
    if mask is None:
        return math.prod(x.shape[d] for d in dims)
    return ops.sum(_spread(mask, x), dims, keepdim)


def mean(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The mean over `dim` of what the mask keeps, NaN of nothing. ValueError for integers."""
    x = _converted(input, dtype)
    if _kind(x) < FLOAT:
        raise ValueError(
            "mean(): Could not infer output dtype. Input dtype must be either a floating point or "
            f"complex dtype. Got: {x.dtype}. Use .float() or dtype=."
        )
    dims = _all_if_none(dim, x)
    if mask is None:
        return ops.mean(x, dims, keepdim)
    return ops.sum(_filled(x, mask, 0), dims, keepdim) / _count(x, dims, keepdim, mask)


def median(
    input: Any, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The lower middle of the kept elements along `dim`, without their places; NaN of none.

    Elements that are NaN are left out too. For integers a row of none raises ValueError; finding
    it waits for the values of the mask.
    """
    x = _converted(input, dtype)
    if _kind(x) == FLOAT:
        return ops.nanmedian(_filled(x, mask, math.nan), dim, keepdim).values
    if _kind(x) == COMPLEX:
        raise NotImplementedError("median() needs an order, which complex numbers have not")
    if mask is not None and not host_value(ops.any(_spread(mask, x), dim), "masked.median").all():
        raise ValueError(
            "masked median expects no fully masked out rows if dtype is not floating point"
        )
    wide = _filled(cast(x, dtypes.float32), mask, math.nan)
    return cast(ops.nanmedian(wide, dim, keepdim).values, x.dtype)


def _variance(
    input: Any, dim: Dims, unbiased: Any, correction: Any, keepdim: bool, dtype: Any, mask: Any
) -> tuple[Any, Any]:
    """The variance, with half precision computed in float32, and the type of the result."""
    if unbiased is not None and correction is not None:
        raise AssertionError("Only one of unbiased and correction may be given")
    if correction is None:
        correction = 0 if unbiased is False else 1
    x = _converted(input, dtype)
    if _kind(x) == BOOL:
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported: use .float()"
        )
    out = x.dtype if _kind(x) > INTEGER else dtypes.float32
    x = cast(x, dtypes.float32) if _kind(x) < FLOAT or _type(x).itemsize == 2 else x
    dims = _all_if_none(dim, x)
    x = _filled(x, mask, 0)
    center = ops.sum(x, dims, True) / _count(x, dims, True, mask)
    away = _filled(x - center, mask, 0)
    squares = away * ops.conj(away) if _kind(x) == COMPLEX else away * away
    count = _count(x, dims, keepdim, mask)
    free = builtins.max(count - correction, 0) if mask is None else ops.clamp(count - correction, 0)
    return ops.div(ops.sum(squares, dims, keepdim), free), out


def var(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The variance over `dim` of what the mask keeps, NaN of nothing.

    The sum of squared distances from the mean over (count - correction), where `correction` is 1,
    or 0 with unbiased=False. Integers give float32. AssertionError when both are given. What is
    left out has gradient 0, where PyTorch's is NaN next to a NaN.
    """
    value, out = _variance(input, dim, unbiased, correction, keepdim, dtype, mask)
    return cast(value, out)


def std(
    input: Any,
    dim: Dims = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The square root of `var`."""
    value, out = _variance(input, dim, unbiased, correction, keepdim, dtype, mask)
    return cast(ops.sqrt(value), out)


# --- norms and exponentials -----------------------------------------------------------------------


def norm(
    input: Any,
    ord: float = 2.0,
    dim: Dims = None,
    *,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The norm of order `ord` over `dim` of what the mask keeps, seen as one vector.

    (sum |x|^ord)^(1/ord), the largest or smallest |x| for inf and -inf. As in PyTorch, what is left
    out counts as 0, which makes other negative orders 0.
    """
    x = _filled(_converted(input, dtype), mask, math.inf if ord == -math.inf else 0)
    return vector_norm(x, float(ord), _all_if_none(dim, x), keepdim)


def normalize(
    input: Any,
    ord: float,
    dim: int,
    *,
    eps: float = 1e-12,
    dtype: Any = None,
    mask: Any = None,
) -> Any:
    """The kept elements over their norm of order `ord` along `dim` (or over `eps` if that is
    larger), and 0 elsewhere."""
    x = _converted(input, dtype)
    size = norm(x, ord, dim, keepdim=True, mask=mask)
    return _filled(x, mask, 0) / ops.clamp(size, eps)


def logsumexp(
    input: Any, dim: Dims = None, *, keepdim: bool = False, dtype: Any = None, mask: Any = None
) -> Any:
    """The logarithm of the sum of exp of the kept elements over `dim`, in the input's type."""
    x = _converted(input, dtype)
    filled = _extreme_filled("logsumexp", x, mask)
    return cast(ops.logsumexp(filled, _all_if_none(dim, x), keepdim), x.dtype)


def logaddexp(
    input: Any, other: Any, *, dtype: Any = None, input_mask: Any = None, other_mask: Any = None
) -> Any:
    """log(exp(input) + exp(other)) of what both masks keep; what they leave out adds nothing."""
    x = _extreme_filled("logaddexp", _converted(input, dtype), input_mask)
    y = _extreme_filled("logaddexp", _converted(other, dtype), other_mask)
    return ops.logaddexp(x, y)


def softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """exp(x) over its sum along `dim`, among what the mask keeps; 0 elsewhere, NaN of nothing."""
    return _softmax(_extreme_filled("amax", _converted(input, dtype), mask), dim)


def log_softmax(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The logarithm of `softmax`: -inf where the mask leaves out."""
    return _log_softmax(_extreme_filled("amax", _converted(input, dtype), mask), dim)


def softmin(input: Any, dim: int, *, dtype: Any = None, mask: Any = None) -> Any:
    """The softmax of -x along `dim`, among what the mask keeps; 0 elsewhere, NaN of nothing."""
    return _softmax(-_extreme_filled("amin", _converted(input, dtype), mask, 1), dim)
