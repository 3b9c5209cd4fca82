"""Variance and standard deviation over all dimensions or some of them."""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from jtoolbox import dtypes
from jtoolbox.engine import Array, numpy_names, op
from jtoolbox.ops.dims import canonical_dims
from jtoolbox.ops.elementwise import is_complex, is_integer
from jtoolbox.ops.halves import wide
from jtoolbox.ops.norms import real_type, safe_sqrt
from jtoolbox.ops.reduction import Dims

__all__ = [
    *("std", "std_mean", "var", "var_mean"),
]


def _moments(x: Array, dim: Dims, keepdim: bool, correction: float) -> tuple[Array, Array]:
    """Variance and mean. Half precision is computed in float32, as in PyTorch."""
    if is_integer(x):
        raise RuntimeError(
            "std and var only support floating point and complex dtypes, got "
            f"{dtypes.from_numpy(x.dtype)}. Use .float()."
        )
    dims = canonical_dims(dim, x.ndim)
    center = jnp.mean(wide(x), dims, keepdims=True)
    away = wide(x) - center
    squares = jnp.real(away * jnp.conj(away)) if is_complex(x) else away * away
    freedom = max(0.0, math.prod(x.shape[d] for d in dims) - correction)
    variance = jnp.sum(squares, dims, keepdims=keepdim) / freedom
    center = center if keepdim else jnp.squeeze(center, dims)
    return variance, center


@op
def _var(input: Array, dim: Dims, keepdim: bool, correction: float) -> Array:
    return _moments(input, dim, keepdim, correction)[0].astype(real_type(input))


@op(saves="both")
def _std(input: Array, dim: Dims, keepdim: bool, correction: float) -> Array:
    return safe_sqrt(_moments(input, dim, keepdim, correction)[0]).astype(real_type(input))


@op
def _var_mean(input: Array, dim: Dims, keepdim: bool, correction: float) -> tuple[Array, Array]:
    variance, center = _moments(input, dim, keepdim, correction)
    return variance.astype(real_type(input)), center.astype(input.dtype)


@op(saves="both")
def _std_mean(input: Array, dim: Dims, keepdim: bool, correction: float) -> tuple[Array, Array]:
    variance, center = _moments(input, dim, keepdim, correction)
    return safe_sqrt(variance).astype(real_type(input)), center.astype(input.dtype)


def _spelled(f: Any, x: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any) -> Any:
    """Both spellings of PyTorch: `correction=`, and `unbiased` even in the place of `dim`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if unbiased is not None and correction is not None:
        raise TypeError("give either unbiased or correction, not both")
    if correction is None:
        correction = 0 if unbiased is False else 1
    return f(x, dim, keepdim, float(correction))


@numpy_names
def var(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Array:
    """The variance over `dim`: squares of distances from the mean over (n - correction)."""
    return _spelled(_var, input, dim, unbiased, keepdim, correction)


@numpy_names
def std(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> Array:
    """The square root of `var`; its gradient is 0 where all elements are equal."""
    return _spelled(_std, input, dim, unbiased, keepdim, correction)


@numpy_names
def var_mean(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Array, Array]:
    """(var, mean)."""
    return _spelled(_var_mean, input, dim, unbiased, keepdim, correction)


@numpy_names
def std_mean(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Array, Array]:
    """(std, mean)."""
    return _spelled(_std_mean, input, dim, unbiased, keepdim, correction)
