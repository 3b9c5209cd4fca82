"""Invertible functions of tensors, with their log determinants; what distributions are made of.

`transform(x)` maps its `domain` to its `codomain`, `transform.inv` back, and
`transform.log_abs_det_jacobian(x, y)` is log |dy / dx| for each event.
"""

from __future__ import annotations

import functools
import math
import operator
import weakref
from collections.abc import Sequence
from numbers import Number
from typing import TYPE_CHECKING, Any

import numpy as np

from jtoolbox import linalg, ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.utils import (
    _sum_rightmost,
    broadcast_all,
    constant,
    known_value,
    lazy_property,
    limits,
    own_size,
    tril_matrix_to_vec,
    vec_to_tril_matrix,
)
from jtoolbox.nn import functional as F

__all__ = [
    *("AbsTransform", "AffineTransform", "CatTransform", "ComposeTransform"),
    *("CorrCholeskyTransform", "CumulativeDistributionTransform", "ExpTransform"),
    *("IndependentTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform"),
    *("PowerTransform", "ReshapeTransform", "SigmoidTransform", "SoftplusTransform"),
    *("TanhTransform", "SoftmaxTransform", "StackTransform", "StickBreakingTransform"),
    *("Transform", "identity_transform"),
]

_FEW = "Too few dimensions on input: expected at least {}, got shape {}"


class Transform:
    """An invertible function with a known log determinant.

    With `cache_size=1` the last pair (x, y) is kept: `inv(y)` of that very y gives back x. It is
    needed where the inverse is costly or unstable. Subclasses define `domain`, `codomain`,
    `_call(x)`, `_inverse(y)` and `log_abs_det_jacobian(x, y)`, and `bijective = True` where it is
    so. A function that is not bijective has an `inv` that picks one of the origins.
    """

    bijective: Any = False
    domain: Any
    codomain: Any

    def __init__(self, cache_size: int = 0):
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._inv: Any = None
        self._cached_x_y: tuple[Any, Any] = (None, None)
        super().__init__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}

    @property
    def event_dim(self) -> int:
        """The dimensions of an event, where domain and codomain agree; else ValueError."""
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def inv(self) -> Transform:
        """The inverse: `t.inv.inv is t`."""
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = _InverseTransform(self)
            self._inv = weakref.ref(inverse)
        return inverse

    if TYPE_CHECKING:  # a constant of most classes
        sign: Any
    else:

        @property
        def sign(self) -> Any:
            """1 or -1, or a tensor of them: whether it is increasing or decreasing."""
            raise NotImplementedError(f"{type(self).__name__} is not monotonic: it has no sign")

    def with_cache(self, cache_size: int = 1) -> Any:
        """The same function with another cache size."""
        if self._cache_size == cache_size:
            return self
        if type(self).__init__ is Transform.__init__:
            return type(self)(cache_size=cache_size)
        raise NotImplementedError(f"{type(self)}.with_cache is not implemented")

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def __call__(self, x: Any) -> Any:
        if self._cache_size == 0:
            return self._call(x)
        known_x, known_y = self._cached_x_y
        if x is known_x:
            return known_y
        y = self._call(x)
        self._cached_x_y = x, y
        return y

    def _inv_call(self, y: Any) -> Any:
        if self._cache_size == 0:
            return self._inverse(y)
        known_x, known_y = self._cached_x_y
        if y is known_y:
            return known_x
        x = self._inverse(y)
        self._cached_x_y = x, y
        return x

    def _call(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define _call(x)")

    def _inverse(self, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define _inverse(y)")

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """log |dy / dx| for each event, from both x and y = transform(x)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no log_abs_det_jacobian: it is not bijective"
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def forward_shape(self, shape: Sequence[int]) -> Any:
        """The shape of transform(x) for x of this shape."""
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        """The shape of transform.inv(y) for y of this shape."""
        return shape


class _Plain(Transform):
    """A transform without settings: all of a class are equal."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    __hash__ = object.__hash__


class _InverseTransform(Transform):
    """The inverse of a transform, which it holds."""

    def __init__(self, transform: Transform):
        super().__init__(cache_size=transform._cache_size)
        self._inv: Any = transform

    @property
    def domain(self) -> Any:
        return self._inv.codomain

    @property
    def codomain(self) -> Any:
        return self._inv.domain

    @property
    def bijective(self) -> bool:
        return self._inv.bijective

    @property
    def sign(self) -> Any:
        return self._inv.sign

    @property
    def inv(self) -> Transform:
        return self._inv

    def __getstate__(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def with_cache(self, cache_size: int = 1) -> Any:
        return self.inv.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inv!r})"

    def __call__(self, x: Any) -> Any:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return self._inv.forward_shape(shape)


# --- transforms of transforms ---------------------------------------------------------------------


def _widened(constraint: Any, event_dim: int) -> Any:
    """The constraint with an event of so many dimensions at least."""
    extra = event_dim - constraint.event_dim
    return constraints.independent(constraint, extra) if extra > 0 else constraint


class ComposeTransform(Transform):
    """The transforms of a list, one after the other."""

    def __init__(self, parts: list[Transform], cache_size: int = 0):
        if cache_size:
            parts = [part.with_cache(cache_size) for part in parts]
        super().__init__(cache_size=cache_size)
        self.parts = parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ComposeTransform) and self.parts == other.parts

    __hash__ = object.__hash__

    @property
    def domain(self) -> Any:
        if not self.parts:
            return constraints.real
        event_dim = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            event_dim += part.domain.event_dim - part.codomain.event_dim
            event_dim = max(event_dim, part.domain.event_dim)
        return _widened(self.parts[0].domain, event_dim)

    @property
    def codomain(self) -> Any:
        if not self.parts:
            return constraints.real
        event_dim = self.parts[0].domain.event_dim
        for part in self.parts:
            event_dim += part.codomain.event_dim - part.domain.event_dim
            event_dim = max(event_dim, part.codomain.event_dim)
        return _widened(self.parts[-1].codomain, event_dim)

    @property
    def bijective(self) -> bool:
        return all(part.bijective for part in self.parts)

    @property
    def sign(self) -> Any:
        return functools.reduce(operator.mul, [part.sign for part in self.parts], 1)

    @property
    def inv(self) -> Transform:
        inverse = None if self._inv is None else self._inv()
        if inverse is None:
            inverse = ComposeTransform([part.inv for part in reversed(self.parts)])
            self._inv = weakref.ref(inverse)
            inverse._inv = weakref.ref(self)
        return inverse

    def with_cache(self, cache_size: int = 1) -> Any:
        return self if self._cache_size == cache_size else ComposeTransform(self.parts, cache_size)

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return ops.zeros_like(x)
        points = [x]
        for part in self.parts[:-1]:
            points.append(part(points[-1]))
        points.append(y)
        event_dim, total = self.domain.event_dim, 0
        for part, x, y in zip(self.parts, points[:-1], points[1:], strict=True):
            term = part.log_abs_det_jacobian(x, y)
            total = total + _sum_rightmost(term, event_dim - part.domain.event_dim)
            event_dim += part.codomain.event_dim - part.domain.event_dim
        return total

    def forward_shape(self, shape: Sequence[int]) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return shape

    def __repr__(self) -> str:
        return "ComposeTransform(\n    " + ",\n    ".join(map(repr, self.parts)) + "\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose `reinterpreted_batch_ndims` last batch dimensions belong to the event: the
    log determinant is summed over them."""

    def __init__(
        self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0
    ):
        super().__init__(cache_size=cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        ndims = self.reinterpreted_batch_ndims
        return IndependentTransform(self.base_transform, ndims, cache_size)

    @property
    def domain(self) -> Any:
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self) -> Any:
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    @property
    def bijective(self) -> bool:
        return self.base_transform.bijective

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Any) -> Any:
        if x.ndim < self.domain.event_dim:
            raise ValueError(_FEW.format(self.domain.event_dim, tuple(x.shape)))
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        if y.ndim < self.codomain.event_dim:
            raise ValueError(_FEW.format(self.codomain.event_dim, tuple(y.shape)))
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        result = self.base_transform.log_abs_det_jacobian(x, y)
        return _sum_rightmost(result, self.reinterpreted_batch_ndims)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return self.base_transform.inverse_shape(shape)


class ReshapeTransform(Transform):
    """The same elements in another shape: the last dimensions `in_shape` become `out_shape`.

    ValueError unless both have as many elements.
    """

    bijective = True

    def __init__(self, in_shape: Sequence[int], out_shape: Sequence[int], cache_size: int = 0):
        self.in_shape, self.out_shape = own_size(in_shape), own_size(out_shape)
        if self.in_shape.numel() != self.out_shape.numel():
            raise ValueError("in_shape, out_shape have different numbers of elements")
        super().__init__(cache_size=cache_size)

    @property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, len(self.in_shape))

    @property
    def codomain(self) -> Any:
        return constraints.independent(constraints.real, len(self.out_shape))

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return ReshapeTransform(self.in_shape, self.out_shape, cache_size)

    def _call(self, x: Any) -> Any:
        batch = tuple(x.shape)[: x.ndim - len(self.in_shape)]
        return ops.reshape(x, (*batch, *self.out_shape))

    def _inverse(self, y: Any) -> Any:
        batch = tuple(y.shape)[: y.ndim - len(self.out_shape)]
        return ops.reshape(y, (*batch, *self.in_shape))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return ops.zeros_like(_sum_rightmost(x, len(self.in_shape)))

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return _reshaped(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return _reshaped(shape, self.out_shape, self.in_shape)


def _reshaped(shape: Sequence[int], old: Any, new: Any) -> Any:
    if len(shape) < len(old):
        raise ValueError(_FEW.format(len(old), tuple(shape)))
    cut = len(shape) - len(old)
    if tuple(shape[cut:]) != old:
        raise ValueError(f"Shape mismatch: expected {tuple(shape[cut:])} but got {old}")
    return own_size(shape[:cut]) + new


# --- of numbers -----------------------------------------------------------------------------------


class ExpTransform(_Plain):
    """y = exp(x)."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Any) -> Any:
        return ops.exp(x)

    def _inverse(self, y: Any) -> Any:
        return ops.log(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return x


def _same(a: Any, b: Any) -> bool:
    """Whether two numbers or tensors are equal everywhere."""
    if a is b:
        return True
    x, y = (known_value(v) if not hasattr(v, "detach") else v.detach().numpy() for v in (a, b))
    return x is not None and y is not None and x.shape == y.shape and bool(np.all(x == y))


class PowerTransform(Transform):
    """y = x^exponent, for positive numbers."""

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        (self.exponent,) = broadcast_all(exponent)

    def with_cache(self, cache_size: int = 1) -> Any:
        return self if self._cache_size == cache_size else PowerTransform(self.exponent, cache_size)

    @lazy_property
    def sign(self) -> Any:
        return ops.sign(self.exponent)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and _same(self.exponent, other.exponent)

    __hash__ = object.__hash__

    def _call(self, x: Any) -> Any:
        return ops.pow(x, self.exponent)

    def _inverse(self, y: Any) -> Any:
        return ops.pow(y, 1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return ops.log(abs(self.exponent * y / x))

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return ops.broadcast_shapes(shape, tuple(self.exponent.shape))

    inverse_shape = forward_shape


def _clipped_sigmoid(x: Any) -> Any:
    kind = limits(x)
    return ops.clamp(ops.sigmoid(x), min=float(kind.tiny), max=1 - float(kind.eps))


class SigmoidTransform(_Plain):
    """y = 1 / (1 + exp(-x)), kept away from 0 and 1."""

    domain = constraints.real
    codomain = constraints.unit_interval
    bijective = True
    sign = 1

    def _call(self, x: Any) -> Any:
        return _clipped_sigmoid(x)

    def _inverse(self, y: Any) -> Any:
        kind = limits(y)
        y = ops.clamp(y, min=float(kind.tiny), max=1 - float(kind.eps))
        return ops.log(y) - ops.log1p(-y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -F.softplus(-x) - F.softplus(x)


class SoftplusTransform(_Plain):
    """y = log(1 + exp(x)); y = x for x > 20."""

    domain = constraints.real
    codomain = constraints.positive
    bijective = True
    sign = 1

    def _call(self, x: Any) -> Any:
        return F.softplus(x)

    def _inverse(self, y: Any) -> Any:
        return ops.log(-ops.expm1(-y)) + y

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -F.softplus(-x)


class TanhTransform(_Plain):
    """y = tanh(x): as a composition of sigmoid and affine transforms, but stable.

    Use `cache_size=1` where y may reach -1 or 1, whose inverses are infinite.
    """

    domain = constraints.real
    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = 1

    def _call(self, x: Any) -> Any:
        return ops.tanh(x)

    def _inverse(self, y: Any) -> Any:
        return ops.atanh(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return 2 * (math.log(2) - x - F.softplus(-2 * x))


class AbsTransform(_Plain):
    """y = |x|, of which `inv` gives the nonnegative origin."""

    domain = constraints.real
    codomain = constraints.positive

    def _call(self, x: Any) -> Any:
        return abs(x)

    def _inverse(self, y: Any) -> Any:
        return y


class AffineTransform(Transform):
    """y = loc + scale x, for numbers or, with `event_dim`, vectors (1) or matrices (2) of them."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.loc, self.scale = loc, scale
        self._event_dim = event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @property
    def domain(self) -> Any:
        return _widened(constraints.real, self._event_dim)

    codomain = domain

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return AffineTransform(self.loc, self.scale, self._event_dim, cache_size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AffineTransform)
            and _same(self.loc, other.loc)
            and _same(self.scale, other.scale)
        )

    __hash__ = object.__hash__

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Number):
            return int(np.sign(float(self.scale)))  # type: ignore[arg-type]
        return ops.sign(self.scale)

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if isinstance(self.scale, Number):
            result = ops.full_like(x, math.log(abs(self.scale)))  # type: ignore[arg-type]
        else:
            result = ops.expand(ops.log(abs(self.scale)), tuple(x.shape))
        return _sum_rightmost(result, self._event_dim)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        shapes = [tuple(getattr(v, "shape", ())) for v in (self.loc, self.scale)]
        return ops.broadcast_shapes(shape, *shapes)

    inverse_shape = forward_shape


class CumulativeDistributionTransform(Transform):
    """y = cdf(x) of a distribution, and back by its icdf."""

    bijective = True
    codomain = constraints.unit_interval
    sign = 1

    def __init__(self, distribution: Any, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    def _call(self, x: Any) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: Any) -> Any:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self.distribution.log_prob(x)

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return CumulativeDistributionTransform(self.distribution, cache_size)


# --- of vectors and matrices ----------------------------------------------------------------------


def _vector(shape: Sequence[int]) -> Sequence[int]:
    if len(shape) < 1:
        raise ValueError(_FEW.format(1, tuple(shape)))
    return shape


class SoftmaxTransform(_Plain):
    """y = softmax(x), of which `inv` gives log(y). Not bijective; meant for optimization."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Any) -> Any:
        return F.softmax(x, -1)

    def _inverse(self, y: Any) -> Any:
        return ops.log(y)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return _vector(shape)

    inverse_shape = forward_shape


def _log_rest(x: Any) -> Any:
    """log of how many pieces of the stick are still to be broken off after each."""
    return constant(np.log(np.arange(x.shape[-1], 0, -1)), x)


class StickBreakingTransform(_Plain):
    """Vectors (*, K - 1) to the simplex (*, K): each breaks a part off what is left of 1."""

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Any) -> Any:
        z = _clipped_sigmoid(x - _log_rest(x))
        left = ops.cumprod(1 - z, -1)
        return F.pad(z, (0, 1), value=1) * F.pad(left, (1, 0), value=1)

    def _inverse(self, y: Any) -> Any:
        part = y[..., :-1]
        left = ops.clamp(1 - ops.cumsum(part, -1), min=float(limits(y).tiny))
        return ops.log(part) - ops.log(left) + _log_rest(part)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - _log_rest(x)
        return ops.sum(-x + F.logsigmoid(x) + ops.log(y[..., :-1]), -1)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        return (*_vector(shape)[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        return (*_vector(shape)[:-1], shape[-1] - 1)


class CorrCholeskyTransform(Transform):
    """Vectors (*, D (D - 1) / 2) to Cholesky factors (*, D, D) of correlation matrices.

    tanh makes partial correlations, which break sticks of length 1 row by row.
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Any) -> Any:
        eps = float(limits(x).eps)
        r = vec_to_tril_matrix(ops.clamp(ops.tanh(x), min=-1 + eps, max=1 - eps), diag=-1)
        left = ops.cumprod(ops.sqrt(1 - r**2), -1)
        identity = constant(np.eye(r.shape[-1]), r)
        return (r + identity) * F.pad(left[..., :-1], (1, 0), value=1)

    def _inverse(self, y: Any) -> Any:
        left = F.pad((1 - ops.cumsum(y * y, -1))[..., :-1], (1, 0), value=1)
        below = tril_matrix_to_vec(y, -1)
        return ops.atanh(below / ops.sqrt(tril_matrix_to_vec(left, -1)))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        left = tril_matrix_to_vec(1 - ops.cumsum(y * y, -1), -2) if y.shape[-1] > 2 else None
        sticks = 0 if left is None else 0.5 * ops.sum(ops.log(left), -1)
        return sticks - 2 * ops.sum(x + F.softplus(-2 * x) - math.log(2), -1)

    def forward_shape(self, shape: Sequence[int]) -> Any:
        n = _vector(shape)[-1]
        size = round((0.25 + 2 * n) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != n:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return (*shape[:-1], size, size)

    def inverse_shape(self, shape: Sequence[int]) -> Any:
        if len(shape) < 2:
            raise ValueError(_FEW.format(2, tuple(shape)))
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return (*shape[:-2], shape[-1] * (shape[-1] - 1) // 2)


def _on_diagonal(function: Any, x: Any) -> Any:
    """The lower triangle with a function applied to the diagonal."""
    return ops.tril(x, -1) + ops.diag_embed(function(ops.diagonal(x, 0, -2, -1)))


class LowerCholeskyTransform(_Plain):
    """Matrices to lower triangular ones with a positive diagonal, exp of the given one."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return _on_diagonal(ops.exp, x)

    def _inverse(self, y: Any) -> Any:
        return _on_diagonal(ops.log, y)


class PositiveDefiniteTransform(_Plain):
    """Matrices to positive definite ones L L^T, L from LowerCholeskyTransform."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Any) -> Any:
        factor = _on_diagonal(ops.exp, x)
        return factor @ ops.transpose(factor, -2, -1)

    def _inverse(self, y: Any) -> Any:
        return _on_diagonal(ops.log, linalg.cholesky(y))


# --- of pieces ------------------------------------------------------------------------------------


class CatTransform(Transform):
    """Transforms of the pieces along `dim`, which have the given `lengths` (1 each by default)."""

    transforms: list[Transform]

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ):
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq]
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise ValueError(
                f"CatTransform needs one length for each transform, got {len(self.lengths)} for "
                f"{len(self.transforms)}"
            )
        self.dim = dim

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        """The length of all pieces together."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _pieces(self, x: Any) -> Any:
        size = x.shape[self.dim]
        if size != self.length:
            raise ValueError(
                f"CatTransform expected length {self.length} along dim {self.dim}, got shape "
                f"{tuple(x.shape)}"
            )
        return ops.split(x, self.lengths, self.dim)

    def _call(self, x: Any) -> Any:
        pieces = self._pieces(x)
        return ops.cat([t(p) for t, p in zip(self.transforms, pieces, strict=True)], self.dim)

    def _inverse(self, y: Any) -> Any:
        pieces = self._pieces(y)
        return ops.cat([t.inv(p) for t, p in zip(self.transforms, pieces, strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        dets, event_dim = [], self.event_dim
        for t, a, b in zip(self.transforms, self._pieces(x), self._pieces(y), strict=True):
            det = t.log_abs_det_jacobian(a, b)
            dets.append(_sum_rightmost(det, event_dim - t.event_dim))
        dim = self.dim - x.ndim if self.dim >= 0 else self.dim
        dim += event_dim
        return ops.cat(dets, dim) if dim < 0 else functools.reduce(operator.add, dets)

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(Transform):
    """Transforms of the slices along `dim`."""

    transforms: list[Transform]

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0):
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq]
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Any:
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _slices(self, x: Any) -> Any:
        if x.shape[self.dim] != len(self.transforms):
            raise ValueError(
                f"StackTransform expected {len(self.transforms)} slices along dim {self.dim}, got "
                f"shape {tuple(x.shape)}"
            )
        return ops.unbind(x, self.dim)

    def _call(self, x: Any) -> Any:
        slices = self._slices(x)
        return ops.stack([t(s) for t, s in zip(self.transforms, slices, strict=True)], self.dim)

    def _inverse(self, y: Any) -> Any:
        slices = self._slices(y)
        return ops.stack([t.inv(s) for t, s in zip(self.transforms, slices, strict=True)], self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        triples = zip(self.transforms, self._slices(x), self._slices(y), strict=True)
        return ops.stack([t.log_abs_det_jacobian(a, b) for t, a, b in triples], self.dim)

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)
