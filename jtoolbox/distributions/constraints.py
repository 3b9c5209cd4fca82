"""Constraints: the sets of values that parameters and samples of distributions lie in.

`constraint.check(value)` says for each event whether it lies in the set. It takes Tensors, arrays
and NumPy arrays; the checks that distributions make of their arguments run by NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jtoolbox import linalg, ops
from jtoolbox.distributions.utils import known_value, limits, shown
from jtoolbox.tensor import Tensor, tensor

__all__ = [
    *("Constraint", "MixtureSameFamilyConstraint", "boolean", "cat", "corr_cholesky", "dependent"),
    *("dependent_property", "greater_than", "greater_than_eq", "half_open_interval", "independent"),
    *("integer_interval", "interval", "is_dependent", "less_than", "lower_cholesky"),
    *("lower_triangular", "multinomial", "nonnegative", "nonnegative_integer", "one_hot"),
    *("positive", "positive_definite", "positive_integer", "positive_semidefinite", "real"),
    *("real_vector", "simplex", "square", "stack", "symmetric", "unit_interval"),
]


class Constraint:
    """A set of values. `event_dim` is the number of dimensions of one event, `is_discrete` whether
    the events can be counted. Subclasses define `check(value)`: one bool for each event."""

    is_discrete: Any = False
    event_dim: Any = 0
    # Names of bounds that may be tensors, in the order of the constructor.
    _bounds: tuple[str, ...] = ()
    # Whether `check` also works on NumPy arrays, as all of this file do.
    _takes_numpy = False

    def check(self, value: Any) -> Any:
        """One bool for each event of `value`: whether it lies in the set."""
        raise NotImplementedError(f"{type(self).__name__} does not define check(value)")

    def _known(self) -> Constraint | None:
        """This constraint with NumPy bounds; None where a bound is not known on the host."""
        if not self._bounds:
            return self
        bounds = [known_value(getattr(self, name)) for name in self._bounds]
        return None if any(b is None for b in bounds) else type(self)(*bounds)

    def __repr__(self) -> str:
        values = ", ".join(f"{n}={shown(getattr(self, n))}" for n in self._bounds)
        return f"{type(self).__name__.lstrip('_')}({values})"


def holds(constraint: Constraint, value: Any) -> bool:
    """False if the value is known on the host, the bounds too, and an event is outside.

    Nothing is run for the sake of a check: what is pending, traced or on an accelerator passes.
    """
    host = known_value(value)
    if host is None:
        return True
    known = constraint._known()
    if known is None:
        return True
    result = known.check(host if known._takes_numpy else tensor(host))
    found = known_value(result) if isinstance(result, Tensor) else np.asarray(result)
    return found is None or bool(np.all(found))


# --- sets that depend on parameters ---------------------------------------------------------------


class _Dependent(Constraint):
    """Stands for a set that only an instance of a distribution knows."""

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented):
        self._is_discrete = is_discrete
        self._event_dim = event_dim
        super().__init__()

    @property
    def is_discrete(self) -> bool:
        """Whether events can be counted; NotImplementedError if only an instance knows."""
        if self._is_discrete is NotImplemented:
            raise NotImplementedError(".is_discrete cannot be determined statically")
        return self._is_discrete

    @property
    def event_dim(self) -> int:
        """The dimensions of an event; NotImplementedError if only an instance knows."""
        if self._event_dim is NotImplemented:
            raise NotImplementedError(".event_dim cannot be determined statically")
        return self._event_dim

    def __call__(
        self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented
    ) -> _Dependent:
        """The same with what is known: `dependent(is_discrete=True, event_dim=1)`."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Any) -> Any:
        """Raises ValueError: ask the constraint of an instance."""
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether a constraint is only known for an instance of its distribution."""
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """A property that is a dependent constraint on the class and a constraint on an instance."""

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ):
        super().__init__(fn)
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    def __call__(self, fn: Callable[..., Any]) -> _DependentProperty:  # type: ignore[override]
        """Decorates a method, after `dependent_property(is_discrete=..., event_dim=...)`."""
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)


# --- sets of numbers ------------------------------------------------------------------------------


class _Ours(Constraint):
    _takes_numpy = True


class _Boolean(_Ours):
    """0 and 1."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value == 0) | (value == 1)


class _Real(_Ours):
    """All numbers, infinities included; not NaN."""

    def check(self, value: Any) -> Any:
        return value == value


class _AboveBound(_Ours):
    _bounds = ("lower_bound",)

    def __init__(self, lower_bound: Any):
        self.lower_bound = lower_bound
        super().__init__()


class _BelowBound(_Ours):
    _bounds = ("upper_bound",)

    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound
        super().__init__()


class _BetweenBounds(_Ours):
    _bounds = ("lower_bound", "upper_bound")

    def __init__(self, lower_bound: Any, upper_bound: Any):
        self.lower_bound, self.upper_bound = lower_bound, upper_bound
        super().__init__()


class _GreaterThan(_AboveBound):
    """x > lower_bound."""

    def check(self, value: Any) -> Any:
        return value > self.lower_bound


class _GreaterThanEq(_AboveBound):
    """x >= lower_bound."""

    def check(self, value: Any) -> Any:
        return value >= self.lower_bound


class _LessThan(_BelowBound):
    """x < upper_bound."""

    def check(self, value: Any) -> Any:
        return value < self.upper_bound


class _Interval(_BetweenBounds):
    """lower_bound <= x <= upper_bound."""

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class _HalfOpenInterval(_BetweenBounds):
    """lower_bound <= x < upper_bound."""

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value < self.upper_bound)


class _IntegerInterval(_BetweenBounds):
    """Whole numbers from lower_bound to upper_bound, both included."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound) & (value <= self.upper_bound)


class _IntegerLessThan(_BelowBound):
    """Whole numbers up to upper_bound, included as in PyTorch."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value <= self.upper_bound)


class _IntegerGreaterThan(_AboveBound):
    """Whole numbers from lower_bound on, included as in PyTorch."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound)


# --- sets of vectors ------------------------------------------------------------------------------


class _Simplex(_Ours):
    """Vectors of nonnegative numbers that sum to 1."""

    event_dim = 1

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & (abs(value.sum(-1) - 1) < 1e-6)


class _Multinomial(_Ours):
    """Vectors of nonnegative numbers that sum to upper_bound at most."""

    is_discrete = True
    event_dim = 1

    def __init__(self, upper_bound: Any):
        self.upper_bound = upper_bound

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class _OneHot(_Ours):
    """Vectors with a single 1 among zeros."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Any) -> Any:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


# --- sets of matrices -----------------------------------------------------------------------------


def _tril(x: Any) -> Any:
    return np.tril(x) if isinstance(x, np.ndarray) else ops.tril(x)


def _diagonal(x: Any) -> Any:
    return np.diagonal(x, 0, -2, -1) if isinstance(x, np.ndarray) else ops.diagonal(x, 0, -2, -1)


def _eigenvalues(x: Any) -> Any:
    """Of symmetric matrices, in rising order."""
    return np.linalg.eigvalsh(x) if isinstance(x, np.ndarray) else linalg.eigvalsh(x)


def _everywhere(x: Any) -> Any:
    return x.all(-1).all(-1)


class _Matrix(_Ours):
    event_dim = 2


class _LowerTriangular(_Matrix):
    """Square matrices with zeros above the diagonal."""

    def check(self, value: Any) -> Any:
        return _everywhere(_tril(value) == value)


class _LowerCholesky(_Matrix):
    """Lower triangular matrices with positive diagonals."""

    def check(self, value: Any) -> Any:
        return _everywhere(_tril(value) == value) & (_diagonal(value) > 0).all(-1)


class _CorrCholesky(_Matrix):
    """Lower Cholesky factors of correlation matrices: their rows have length 1."""

    def check(self, value: Any) -> Any:
        tolerance = float(limits(value).eps) * value.shape[-1] * 10
        length = (value * value).sum(-1) ** 0.5
        return (abs(length - 1) <= tolerance).all(-1) & lower_cholesky.check(value)


class _Square(_Matrix):
    """Square matrices."""

    def check(self, value: Any) -> Any:
        square = value.shape[-1] == value.shape[-2]
        if isinstance(value, Tensor):
            return ops.full(value.shape[:-2], square)
        return np.full(value.shape[:-2], square)


class _Symmetric(_Square):
    """Square matrices equal to their transposes, to 1e-6."""

    def check(self, value: Any) -> Any:
        if value.shape[-1] != value.shape[-2]:
            return super().check(value)
        mirrored = value.mT
        return _everywhere(abs(value - mirrored) <= 1e-6 + 1e-5 * abs(mirrored))


class _PositiveSemidefinite(_Symmetric):
    """Symmetric matrices without negative eigenvalues."""

    def check(self, value: Any) -> Any:
        if value.shape[-1] != value.shape[-2]:
            return super().check(value)
        return super().check(value) & (_eigenvalues(value) >= 0).all(-1)


class _PositiveDefinite(_Symmetric):
    """Symmetric matrices of positive eigenvalues only."""

    def check(self, value: Any) -> Any:
        if value.shape[-1] != value.shape[-2]:
            return super().check(value)
        return super().check(value) & (_eigenvalues(value) > 0).all(-1)


# --- sets made of sets ----------------------------------------------------------------------------


class _Composite(Constraint):
    """A constraint made of others."""

    def _parts(self) -> Sequence[Constraint]:
        raise NotImplementedError

    def _with(self, parts: list[Any]) -> Constraint:
        raise NotImplementedError

    def _known(self) -> Constraint | None:
        parts = [c._known() for c in self._parts()]
        return None if any(p is None for p in parts) else self._with(parts)

    @property
    def _takes_numpy(self) -> bool:
        return all(c._takes_numpy for c in self._parts())

    @property
    def is_discrete(self) -> bool:
        """Whether events of any of them can be counted."""
        return any(c.is_discrete for c in self._parts())

    @property
    def event_dim(self) -> int:
        """The most dimensions that an event of any of them has."""
        return max(c.event_dim for c in self._parts())


class _IndependentConstraint(_Composite):
    """A constraint whose `reinterpreted_batch_ndims` last batch dimensions belong to the event."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int):
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        super().__init__()

    def _parts(self) -> Sequence[Constraint]:
        return [self.base_constraint]

    def _with(self, parts: list[Any]) -> Constraint:
        return _IndependentConstraint(parts[0], self.reinterpreted_batch_ndims)

    @property
    def event_dim(self) -> int:
        """The dimensions of the base's event and those added."""
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Any) -> Any:
        result = self.base_constraint.check(value)
        if result.ndim < self.reinterpreted_batch_ndims:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        for _ in range(self.reinterpreted_batch_ndims):
            result = result.all(-1)
        return result

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(_Composite):
    """The values that all components of a mixture allow, of which `base_constraint` is the set."""

    def __init__(self, base_constraint: Constraint):
        if not isinstance(base_constraint, Constraint):
            raise TypeError(f"base_constraint must be a Constraint, got {base_constraint!r}")
        self.base_constraint = base_constraint
        super().__init__()

    def _parts(self) -> Sequence[Constraint]:
        return [self.base_constraint]

    def _with(self, parts: list[Any]) -> Constraint:
        return MixtureSameFamilyConstraint(parts[0])

    def check(self, value: Any) -> Any:
        if value.ndim < self.event_dim:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.ndim}")
        event = (slice(None),) * self.event_dim
        return self.base_constraint.check(value[(..., None, *event)]).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class _Cat(_Composite):
    """Constraints of pieces along a dimension, of the given lengths."""

    def __init__(
        self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None
    ):
        self.cseq = list(cseq)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise ValueError(
                f"cat needs one length for each constraint, got {len(self.lengths)} lengths for "
                f"{len(self.cseq)} constraints"
            )
        self.dim = dim
        super().__init__()

    def _parts(self) -> Sequence[Constraint]:
        return self.cseq

    def _with(self, parts: list[Any]) -> Constraint:
        return _Cat(parts, self.dim, self.lengths)

    def check(self, value: Any) -> Any:
        dim = self.dim % value.ndim
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            piece = value[(*(slice(None),) * dim, slice(start, start + length))]
            checks.append(constraint.check(piece))
            start += length
        joined = all(isinstance(c, np.ndarray) for c in checks)
        return np.concatenate(checks, self.dim) if joined else ops.cat(checks, self.dim)

    def __repr__(self) -> str:
        return "Cat()"


class _Stack(_Composite):
    """Constraints of the slices along a dimension."""

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0):
        self.cseq = list(cseq)
        self.dim = dim
        super().__init__()

    def _parts(self) -> Sequence[Constraint]:
        return self.cseq

    def _with(self, parts: list[Any]) -> Constraint:
        return _Stack(parts, self.dim)

    @property
    def event_dim(self) -> int:
        """The most dimensions that an event of any of them has, and one if stacked inside it."""
        dim = max(c.event_dim for c in self.cseq)
        return dim + 1 if self.dim + dim < 0 else dim

    def check(self, value: Any) -> Any:
        dim = self.dim % value.ndim
        slices = [value[(*(slice(None),) * dim, i)] for i in range(value.shape[dim])]
        checks = [c.check(v) for c, v in zip(self.cseq, slices, strict=True)]
        joined = all(isinstance(c, np.ndarray) for c in checks)
        return np.stack(checks, self.dim) if joined else ops.stack(checks, self.dim)

    def __repr__(self) -> str:
        return "Stack()"


dependent = _Dependent()
dependent_property = _DependentProperty
independent = _IndependentConstraint
boolean = _Boolean()
one_hot = _OneHot()
nonnegative_integer = _IntegerGreaterThan(0)
positive_integer = _IntegerGreaterThan(1)
integer_interval = _IntegerInterval
real = _Real()
real_vector = independent(real, 1)
positive = _GreaterThan(0.0)
nonnegative = _GreaterThanEq(0.0)
greater_than = _GreaterThan
greater_than_eq = _GreaterThanEq
less_than = _LessThan
multinomial = _Multinomial
unit_interval = _Interval(0.0, 1.0)
interval = _Interval
half_open_interval = _HalfOpenInterval
simplex = _Simplex()
lower_triangular = _LowerTriangular()
lower_cholesky = _LowerCholesky()
corr_cholesky = _CorrCholesky()
square = _Square()
symmetric = _Symmetric()
positive_semidefinite = _PositiveSemidefinite()
positive_definite = _PositiveDefinite()
cat = _Cat
stack = _Stack
