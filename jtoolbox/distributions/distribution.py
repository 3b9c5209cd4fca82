"""The base of all distributions: shapes, checks of arguments, expansion, defaults."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jtoolbox import ops
from jtoolbox.distributions import constraints
from jtoolbox.distributions.utils import in_brief, is_array, lazy_property, own_size, shown, stopped
from jtoolbox.engine import no_grad
from jtoolbox.nn.functional.checks import warn_user
from jtoolbox.tensor import Size

__all__ = ["Distribution"]

_NOT_THERE = "{} has no {}(): it has no closed form, or PyTorch does not provide it either."


class Distribution:
    """A probability distribution over tensors of shape `batch_shape + event_shape`.

    Parameters are Tensors or numbers, and results are recorded like any operation, so gradients
    flow through `log_prob` and `rsample`. Given JAX arrays (or tracers) instead, a distribution
    computes arrays, under `jax.jit`, `jax.grad` and `jax.vmap`.

    NOTE: arguments are checked (ValueError) as in PyTorch where their values are known: constants,
    data, sampled actions. A pending Tensor, a value traced by `jtoolbox.jit` or JAX and one on an
    accelerator are not looked at, since that would run the program early; their shapes are.
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args: bool = __debug__

    def __init__(
        self,
        batch_shape: Sequence[int] = (),
        event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ):
        self._batch_shape = own_size(batch_shape)
        self._event_shape = own_size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._check_arguments()
        super().__init__()

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Switches the checks of arguments on or off for distributions made from now on."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args takes True or False, got {value!r}")
        Distribution._validate_args = value

    # --- checks

    def _check_arguments(self) -> None:
        try:
            arg_constraints = self.arg_constraints
        except NotImplementedError:
            warnings.warn(
                f"{type(self)} does not define `arg_constraints`. Please set `arg_constraints = "
                "{}` or initialize the distribution with `validate_args=False` to turn off "
                "validation.",
                stacklevel=4,
            )
            return
        for name, constraint in arg_constraints.items():
            lazy = isinstance(inspect.getattr_static(type(self), name, None), lazy_property)
            if constraints.is_dependent(constraint) or (name not in self.__dict__ and lazy):
                continue
            value = getattr(self, name)
            if not constraints.holds(constraint, value):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape "
                    f"{tuple(value.shape)}) of distribution {self!r} to satisfy the constraint "
                    f"{constraint!r}, but found invalid values:\n{shown(value)}"
                )

    def _validate_sample(self, value: Any) -> None:
        """Raises ValueError unless `value` fits the shapes and, where known, the support."""
        if not is_array(value):
            raise ValueError("The value argument to log_prob must be a Tensor")
        shape, expected = own_size(tuple(value.shape)), self._batch_shape + self._event_shape
        if shape[len(shape) - len(self._event_shape) :] != self._event_shape:
            raise ValueError(
                "The right-most size of value must match event_shape: "
                f"{shape} vs {self._event_shape}."
            )
        pairs = zip(reversed(shape), reversed(expected), strict=False)
        if any(1 not in (i, j) and i != j for i, j in pairs):
            raise ValueError(
                f"Value is not broadcastable with batch_shape+event_shape: {shape} vs {expected}."
            )
        try:
            support = self.support
        except NotImplementedError:
            warn_user(
                f"{type(self)} does not define `support` to enable sample validation. Please "
                "initialize the distribution with `validate_args=False` to turn off validation."
            )
            return
        if not constraints.holds(support, value):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(shape)}) to be "
                f"within the support ({support!r}) of the distribution {self!r}, but found invalid "
                f"values:\n{shown(value)}"
            )

    # --- shapes

    @property
    def batch_shape(self) -> Size:
        """The shape of independent distributions held in one."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one sample of one of them."""
        return self._event_shape

    def _extended_shape(self, sample_shape: Sequence[int] = ()) -> Size:
        """The shape of so many samples."""
        return Size(sample_shape) + self._batch_shape + self._event_shape

    def _trailing(self) -> dict[str, int]:
        """The parameters that expand with the batch, and the dimensions of an event of each."""
        return {name: c.event_dim for name, c in self.arg_constraints.items()}

    def expand(self, batch_shape: Sequence[int], _instance: Any = None) -> Any:
        """The same distribution with its parameters broadcast to another `batch_shape`.

        A subclass with its own constructor must define `expand` (NotImplementedError), and may
        pass the new object as `_instance`.
        """
        new = self._get_checked_instance(_owner(type(self)), _instance)
        shape = own_size(batch_shape)
        values = dict(self.__dict__)
        for name, dims in self._trailing().items():
            if name in values:
                value = values[name]
                event = tuple(value.shape)[value.ndim - dims :]
                values[name] = ops.expand(value, (*shape, *event))
        values["_batch_shape"] = shape
        new.__dict__.update(values)
        return new

    def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any:
        if _instance is None and type(self).__init__ is not cls.__init__:
            raise NotImplementedError(
                f"Subclass {type(self).__name__} of {cls.__name__} that defines a custom __init__ "
                "method must also define a custom .expand() method."
            )
        return copy.copy(self) if _instance is None else _instance

    # --- what subclasses define

    if TYPE_CHECKING:  # subclasses have them as attributes or as properties
        arg_constraints: Any
        support: Any
    else:

        @property
        def arg_constraints(self) -> dict[str, constraints.Constraint]:
            """The constraint of each parameter."""
            raise NotImplementedError(f"{type(self).__name__} does not define arg_constraints")

        @property
        def support(self) -> Any:
            """The constraint of the samples."""
            raise NotImplementedError(f"{type(self).__name__} does not define support")

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "mean"))

    @property
    def mode(self) -> Any:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        """The expected squared distance from the mean."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "variance"))

    @property
    def stddev(self) -> Any:
        """The square root of the variance."""
        return ops.sqrt(self.variance)

    def sample(self, sample_shape: Sequence[int] = ()) -> Any:
        """Samples of shape `sample_shape + batch_shape + event_shape`, without gradients."""
        with no_grad():
            return stopped(self.rsample(sample_shape))

    def rsample(self, sample_shape: Sequence[int] = ()) -> Any:
        """Samples that are differentiable functions of the parameters (reparameterized)."""
        raise NotImplementedError(
            f"{type(self).__name__} has no rsample(): its samples are not differentiable in its "
            "parameters. Use sample()."
        )

    def sample_n(self, n: int) -> Any:
        """`sample((n,))`; deprecated in PyTorch."""
        warn_user("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning)
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the probability, or of its density, of each event of `value`."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "log_prob"))

    def cdf(self, value: Any) -> Any:
        """The probability of a value up to this one."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "cdf"))

    def icdf(self, value: Any) -> Any:
        """The value up to which the probability is this one."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "icdf"))

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values of a discrete distribution along a new first dimension.

        The others are `batch_shape`, or ones with `expand=False`; then `event_shape`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no enumerate_support(): its support is not a finite set"
        )

    def entropy(self) -> Any:
        """The expected value of -log_prob, in nats."""
        raise NotImplementedError(_NOT_THERE.format(type(self).__name__, "entropy"))

    def perplexity(self) -> Any:
        """exp(entropy)."""
        return ops.exp(self.entropy())

    def _along_batch(self, values: Any, expand: bool) -> Any:
        """A vector of values as `enumerate_support` gives them."""
        values = ops.reshape(values, (-1, *(1,) * len(self._batch_shape)))
        return ops.expand(values, (-1, *self._batch_shape)) if expand else values

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__]
        parts = [f"{name}: {in_brief(self.__dict__[name])}" for name in names]
        return f"{type(self).__name__}({', '.join(parts)})"


def _owner(cls: type) -> type:
    """The class whose parameters `expand` knows: the nearest one of this package."""
    return next(c for c in cls.__mro__ if c.__module__.startswith("jtoolbox.distributions."))
