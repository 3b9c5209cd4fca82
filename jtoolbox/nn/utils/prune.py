"""Pruning: parameters multiplied by a mask of zeros and ones before every call.

The parameter `name` becomes `name_orig`, the mask is the buffer `name_mask`, and a hook sets `name`
to their product. Which entries go is decided on the host, once.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

import numpy as np

from jtoolbox.nn.module import Module
from jtoolbox.nn.utils.convert_parameters import parameters_to_vector
from jtoolbox.ops.creation import ones_like
from jtoolbox.ops.norms import norm
from jtoolbox.ops.sampling import rand
from jtoolbox.tensor import Tensor, from_host

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]

M = TypeVar("M", bound=Module)

_AMOUNT = "amount={amount} should either be a float in the range [0, 1] or a non-negative integer"
_TOO_MANY = "amount={amount} should be smaller than the number of parameters to prune={size}"
_VECTOR = (
    "Structured pruning can only be applied to multidimensional tensors. Found tensor of shape "
    "{shape} with {ndim} dims"
)
_SCORES = (
    "importance_scores should have the same shape as parameter {name} of {module}, got {got} vs "
    "{want}"
)
_OTHER_NAME = (
    "Can only add pruning methods acting on the parameter named '{name}' to PruningContainer "
    "{container}. Found '{other}'"
)
_ONLY_UNSTRUCTURED = 'Only "unstructured" PRUNING_TYPE supported for the `pruning_method`. Found {}'


def _check_amount(amount: Any) -> None:
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    if float(amount) < 0 or (not whole and float(amount) > 1.0):
        raise ValueError(_AMOUNT.format(amount=amount))


def _count(amount: Any, size: int) -> int:
    """How many of `size` entries an amount means: itself, or a fraction of them."""
    if not isinstance(amount, numbers.Integral):
        return round(amount * size)
    if int(amount) > size:
        raise ValueError(_TOO_MANY.format(amount=amount, size=size))
    return int(amount)


def _smallest(scores: Tensor, count: int) -> np.ndarray:
    """Where the `count` smallest entries of a tensor, as one vector, are."""
    return np.argsort(np.asarray(scores.detach()).reshape(-1), kind="stable")[:count]


def _without(mask: Tensor, gone: np.ndarray, dim: int | None = None) -> Tensor:
    """The mask with zeros at entries of it as one vector, or at slices along `dim`."""
    host = np.array(mask.detach())
    if dim is None:
        host.reshape(-1)[gone] = 0
    else:
        np.moveaxis(host, dim, 0)[gone] = 0
    return from_host(host, mask.device)


class BasePruningMethod(ABC):
    """What all ways of pruning share; a subclass defines `compute_mask`.

    It also says its `PRUNING_TYPE`: "unstructured" (single entries), "structured" (slices) or
    "global", which decides how a second pruning sees the first.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    @abstractmethod
    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask, of the shape of the scores t, that also prunes what `default_mask` does."""

    def apply_mask(self, module: Module) -> Tensor:
        """The original times the mask."""
        original = getattr(module, self._tensor_name + "_orig")
        return getattr(module, self._tensor_name + "_mask").to(original.dtype) * original

    @classmethod
    def apply(
        cls,
        module: Module,
        name: str,
        *args: Any,
        importance_scores: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """Prunes `module.name` by a method made of the further arguments; returns the hook.

        What is pruned already stays so: a container then holds both methods. Raises AssertionError
        for scores of another shape.
        """
        hook, old = _with_earlier(module, name, cls(*args, **kwargs))
        value = getattr(module, name)
        scores = value if importance_scores is None else importance_scores
        if scores.shape != value.shape:
            raise AssertionError(
                _SCORES.format(name=name, module=module, got=scores.shape, want=value.shape)
            )
        if old is None:
            original = getattr(module, name)
            mask = hook.compute_mask(scores, ones_like(original.detach()))
            del module._parameters[name]
            module.register_parameter(name + "_orig", original)
            module.register_buffer(name + "_mask", mask)
        else:
            mask = getattr(module, name + "_mask")
            module._buffers[name + "_mask"] = hook.compute_mask(scores, mask.detach())
            del module._forward_pre_hooks[old]
        setattr(module, name, hook.apply_mask(module))
        module.register_forward_pre_hook(hook)
        return hook

    def prune(
        self, t: Tensor, default_mask: Tensor | None = None, importance_scores: Tensor | None = None
    ) -> Tensor:
        """The tensor pruned by this method, once, without a module."""
        scores = t if importance_scores is None else importance_scores
        if scores.shape != t.shape:
            raise AssertionError(
                "importance_scores should have the same shape as tensor t, got "
                f"{scores.shape} vs {t.shape}"
            )
        mask = ones_like(t.detach()) if default_mask is None else default_mask
        return t * self.compute_mask(scores, mask)

    def remove(self, module: Module) -> None:
        """Makes the pruned tensor a parameter again; the zeros stay."""
        name = self._tensor_name
        value = self.apply_mask(module).detach()
        delattr(module, name)
        original = module._parameters.pop(name + "_orig")
        del module._buffers[name + "_mask"]
        original.data = value
        setattr(module, name, original)


def _with_earlier(module: Module, name: str, method: Any) -> tuple[Any, int | None]:
    """The hook to register, and the key of the one on the same tensor that it takes in."""
    method._tensor_name = name
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            container = hook if isinstance(hook, PruningContainer) else PruningContainer(hook)
            container.add_pruning_method(method)
            return container, key
    return method, None


class PruningContainer(BasePruningMethod):
    """Several prunings of one tensor, one after the other; each spares what is gone already."""

    def __init__(self, *args: Any):
        self._pruning_methods: tuple[Any, ...] = ()
        if len(args) == 1 and not isinstance(args[0], Iterable):
            self._tensor_name = args[0]._tensor_name
        elif args:
            args = tuple(args[0]) if len(args) == 1 else args
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Adds one. TypeError unless it is a pruning method, ValueError for another tensor's."""
        if method is not None and not isinstance(method, BasePruningMethod):
            raise TypeError(f"{type(method)} is not a BasePruningMethod subclass")
        if method is not None and self._tensor_name != method._tensor_name:
            raise ValueError(
                _OTHER_NAME.format(
                    name=self._tensor_name, container=self, other=method._tensor_name
                )
            )
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        """The mask after the newest method, which sees only what the earlier ones left."""
        method = self._pruning_methods[-1]
        scores, old = np.asarray(t.detach()), np.asarray(default_mask.detach())
        if method.PRUNING_TYPE == "unstructured":
            left: Any = old == 1
        elif method.PRUNING_TYPE == "structured":
            dim = method.dim % t.ndim
            others = tuple(d for d in range(t.ndim) if d != dim)
            left = (slice(None),) * dim + (np.flatnonzero(old.sum(others)),)
        elif method.PRUNING_TYPE == "global":
            left = (slice(None),) * t.ndim
        else:
            raise ValueError(f"Unrecognized PRUNING_TYPE {method.PRUNING_TYPE}")
        mask = np.array(old)
        part = [from_host(np.ascontiguousarray(v[left]), t.device) for v in (scores, old)]
        mask[left] = np.asarray(method.compute_mask(*part).detach())
        return from_host(mask, default_mask.device)


class Identity(BasePruningMethod):
    """Prunes nothing, and makes the parameter look pruned."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        return default_mask


class _Amount(BasePruningMethod):
    """Methods with an amount: a number of entries or slices, or a fraction of them."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: float):
        _check_amount(amount)
        self.amount = amount

    def _scores(self, t: Tensor) -> Tensor:
        raise NotImplementedError

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        count = _count(self.amount, t.numel())
        return _without(default_mask, _smallest(self._scores(t), count)) if count else default_mask


class RandomUnstructured(_Amount):
    """Prunes entries drawn at random."""

    def _scores(self, t: Tensor) -> Tensor:
        return rand(*t.shape)


class L1Unstructured(_Amount):
    """Prunes the entries smallest in magnitude."""

    def _scores(self, t: Tensor) -> Tensor:
        return t.detach().abs()


class _Structured(_Amount):
    """Prunes whole slices along `dim`. ValueError for vectors, IndexError for a wrong `dim`."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: float, dim: int = -1):
        super().__init__(amount)
        self.dim = dim

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if t.ndim <= 1:
            raise ValueError(_VECTOR.format(shape=t.shape, ndim=t.ndim))
        if self.dim >= t.ndim or self.dim < -t.ndim:
            raise IndexError(f"Invalid index {self.dim} for tensor of size {t.shape}")
        count = _count(self.amount, t.shape[self.dim])
        if not count:
            return default_mask
        return _without(default_mask, _smallest(self._scores(t), count), self.dim)


class RandomStructured(_Structured):
    """Prunes slices drawn at random."""

    def _scores(self, t: Tensor) -> Tensor:
        return rand(t.shape[self.dim])


class LnStructured(_Structured):
    """Prunes the slices smallest in the norm of order `n` (any that `norm` takes)."""

    def __init__(self, amount: float, n: Any, dim: int = -1):
        super().__init__(amount, dim)
        self.n = n

    def _scores(self, t: Tensor) -> Tensor:
        others = [d for d in range(t.ndim) if d != self.dim % t.ndim]
        return norm(t.detach(), self.n, others)


class CustomFromMask(BasePruningMethod):
    """Prunes by a given mask."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Tensor):
        self.mask = mask

    def compute_mask(self, t: Tensor, default_mask: Tensor) -> Tensor:
        if default_mask.shape != self.mask.shape:
            raise AssertionError(
                f"default_mask shape {default_mask.shape} must match self.mask shape "
                f"{self.mask.shape}"
            )
        return default_mask * self.mask.to(default_mask.dtype)


def identity(module: M, name: str) -> M:
    """Prunes nothing: `name` becomes `name_orig` and a `name_mask` of ones."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: M, name: str, amount: float) -> M:
    """Prunes entries of `name` at random: `amount` of them, or that fraction if a float."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(
    module: M, name: str, amount: float, importance_scores: Tensor | None = None
) -> M:
    """Prunes the entries of `name` smallest in magnitude (of `importance_scores`, if given).

    `amount` is their number, or as a float in [0, 1] their fraction: ValueError outside, TypeError
    for what is no number.

        >>> layer = prune.l1_unstructured(nn.Linear(3, 2), "weight", amount=0.5)
        >>> int(layer.weight_mask.sum())
        3
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: M, name: str, amount: float, dim: int) -> M:
    """Prunes slices of `name` along `dim` at random."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(
    module: M,
    name: str,
    amount: float,
    n: Any,
    dim: int,
    importance_scores: Tensor | None = None,
) -> M:
    """Prunes the slices of `name` along `dim` that are smallest in the norm of order `n`."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: M, name: str, mask: Tensor) -> M:
    """Prunes `name` by the mask given."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Any, pruning_method: Any, importance_scores: Any = None, **kwargs: Any
) -> None:
    """Prunes the pairs (module, name) as if all were one vector: an `amount` of all entries.

    `pruning_method` is an unstructured class, `importance_scores` a dict from such pairs to scores.
    Raises TypeError for other things.
    """
    if not isinstance(parameters, Iterable):
        raise TypeError("global_unstructured(): parameters is not an Iterable")
    pairs = list(parameters)
    scores = {} if importance_scores is None else importance_scores
    if not isinstance(scores, dict):
        raise TypeError("global_unstructured(): importance_scores must be of type dict")
    values = [getattr(m, n) for m, n in pairs]
    weights = [scores.get(pair, v) for pair, v in zip(pairs, values, strict=True)]
    masks = [
        getattr(m, n + "_mask", ones_like(v.detach()))
        for (m, n), v in zip(pairs, values, strict=True)
    ]
    container = PruningContainer()
    container._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    container.add_pruning_method(method)
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(_ONLY_UNSTRUCTURED.format(method.PRUNING_TYPE))
    final = container.compute_mask(parameters_to_vector(weights), parameters_to_vector(masks))
    start = 0
    for (module, name), value in zip(pairs, values, strict=True):
        stop = start + value.numel()
        custom_from_mask(module, name, final[start:stop].view_as(value))
        start = stop


def remove(module: M, name: str) -> M:
    """Ends the pruning of `name`, a parameter again with its zeros. ValueError if unpruned."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, BasePruningMethod) and hook._tensor_name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(
        f"Parameter '{name}' of module {module} has to be pruned before pruning can be removed"
    )


def is_pruned(module: Module) -> bool:
    """Whether any tensor of the module or of its submodules is pruned."""
    return any(
        isinstance(hook, BasePruningMethod)
        for _, part in module.named_modules()
        for hook in part._forward_pre_hooks.values()
    )
