"""Parameters that are computed from others at every use.

NOTE: a class of its own. A parametrized module gets a class derived from its own, with a property
for each parametrized name, since properties live in classes. Its originals and functions are the
submodule `parametrizations`, so that `parameters()`, `state_dict()` and `functional_call` find
them as they find anything else.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jtoolbox.engine import no_grad
from jtoolbox.nn.container import ModuleDict, ModuleList
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import Parameter
from jtoolbox.tensor import Tensor

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]

_CHANGES = (
    "Registering a parametrization may not change the {what} of the tensor, unless `unsafe` flag "
    "is enabled.\nunparametrized {what}: {before}\nparametrized {what}: {after}"
)
_NOT_TENSOR = "A parametrization must return a tensor. Got {kind}."
_INVERSE_TYPE = (
    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got {kind}"
)
_INVERSE_DTYPE = (
    "When `right_inverse` outputs one tensor, it may not change the dtype.\n"
    "original.dtype: {before}\nright_inverse(original).dtype: {after}"
)
_INVERSE_ITEM = (
    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). Got element "
    "{index} of the sequence with type {kind}."
)
_ASSIGNED = "right_inverse assigned a tensor with {what} {after} to a tensor with {what} {before}"
_NO_INVERSE = "parametrization {name} does not implement right_inverse."
_UNKNOWN = (
    "Module '{module}' does not have a parameter, a buffer, or a parametrized element with name "
    "'{name}'"
)
_NOT_PARAMETRIZED = "Module {module} does not have a parametrization on {name}"
_SEVERAL = (
    "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in "
    "terms of a sequence of tensors."
)
_PICKLE = (
    "Serialization of parametrized modules is only supported through state_dict(). See:\n"
    "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
    "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
)


class _Cache:
    """The values computed since the outermost `cached()` began."""

    depth = 0
    values: dict[tuple[int, str], Any] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Within it every parametrized tensor is computed once, however often it is used.

    For a layer that reads its weight many times in one step, such as a recurrent cell. The values
    are forgotten at the end of the outermost block.

        with parametrize.cached():
            for x in sequence:
                hidden = cell(x, hidden)
    """
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values = {}


def _register(module: Module, name: str, value: Tensor) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _check_kept(before: Tensor, after: Any) -> None:
    """Raises unless a parametrization's result has the type and shape of the tensor before it."""
    if not isinstance(after, Tensor):
        raise ValueError(_NOT_TENSOR.format(kind=type(after).__name__))
    for what in ("dtype", "shape"):
        pair = {"before": getattr(before, what), "after": getattr(after, what)}
        if pair["before"] != pair["after"]:
            raise ValueError(_CHANGES.format(what=what, **pair))


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in order, and what they start from.

    That is the parameter or buffer `original`, or `original0`, `original1`, ... where the first
    parametrization takes several tensors. Calling it gives the tensor. `unsafe` leaves out the
    checks that type and shape stay.
    """

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False):
        if not modules:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape_and_dtype = original.detach()
        new = self._inverse(original)
        self.is_tensor = isinstance(new, Tensor)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            self._keep_one(original, new)
        else:
            self._keep_several(original, new)
        if not unsafe:
            _check_kept(shape_and_dtype, self())

    def _inverse(self, value: Any) -> Any:
        with no_grad():
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    try:
                        value = module.right_inverse(value)  # type: ignore[operator]
                    except NotImplementedError:
                        continue  # it has none for these settings: the value itself starts it
        if not isinstance(value, (Tensor, Sequence)):
            raise ValueError(_INVERSE_TYPE.format(kind=type(value).__name__))
        return value

    def _keep_one(self, original: Tensor, new: Tensor) -> None:
        if original.dtype != new.dtype:
            raise ValueError(_INVERSE_DTYPE.format(before=original.dtype, after=new.dtype))
        if new is not original:
            original.data = new.detach()
        _register(self, "original", original)

    def _keep_several(self, original: Tensor, new: Sequence[Any]) -> None:
        for i, value in enumerate(new):
            if not isinstance(value, Tensor):
                raise ValueError(_INVERSE_ITEM.format(index=i, kind=type(value).__name__))
            value = value.detach()
            if isinstance(original, Parameter):
                value = Parameter(value, original.requires_grad)
            _register(self, f"original{i}", value)

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    def right_inverse(self, value: Tensor) -> None:
        """Sets the originals so that the tensor becomes `value`: what assigning to it does.

        Raises RuntimeError for a parametrization without `right_inverse`, and ValueError where it
        gives another number, type or shape of originals.
        """
        new: Any = value
        with no_grad():
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(_NO_INVERSE.format(name=type(module).__name__))
                new = module.right_inverse(new)  # type: ignore[operator]
            if self.is_tensor and not isinstance(new, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(new)}")
            values = [new] if self.is_tensor else new
            if not isinstance(values, Sequence):
                raise ValueError(f"'right_inverse' must return a sequence. Got {type(values)}.")
            if len(values) != self.ntensors:
                raise ValueError(
                    "'right_inverse' must return a sequence of tensors of length "
                    f"{self.ntensors}. Got a sequence of length {len(values)}."
                )
            for original, item in zip(self._originals(), values, strict=True):
                self._set(original, item)

    def _set(self, original: Tensor, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise ValueError(_INVERSE_TYPE.format(kind=type(value).__name__))
        for what in ("dtype", "shape"):
            pair = {"before": getattr(original, what), "after": getattr(value, what)}
            if pair["before"] != pair["after"] and not self.unsafe:
                raise ValueError(_ASSIGNED.format(what=what, **pair))
        original.data = value.detach()

    def forward(self) -> Tensor:
        first, *rest = self
        result = first(*self._originals())
        for module in rest:
            result = module(result)
        return result


def _parametrized_class(original: type[Module]) -> type[Module]:
    """A new class under `original`, ready for properties."""

    def getstate(self: Any) -> Any:
        raise RuntimeError(_PICKLE)

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        # The copy's class is its own: removing a parametrization changes the class.
        twin = memo[id(self)] = object.__new__(_parametrized_class(original))
        state = copy.deepcopy(original.__getstate__(self), memo)
        for name in state["_modules"]["parametrizations"]:
            _add_property(type(twin), name)
        twin.__setstate__(state)
        return twin

    members = {"__getstate__": getstate, "__module__": __name__}
    if not hasattr(original, "__deepcopy__"):
        members["__deepcopy__"] = deepcopy
    return type(f"Parametrized{original.__name__}", (original,), members)


def _add_property(kind: type[Module], name: str) -> None:
    def get(self: Any) -> Tensor:
        if not _Cache.depth:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = self.parametrizations[name]()
        return _Cache.values[key]

    def assign(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(kind, name, property(get, assign))


def _parametrizations(module: Any) -> ModuleDict:
    return module.parametrizations


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Makes `module.tensor_name` the result of a parametrization, computed at every use.

    The parameter or buffer becomes `parametrizations.<name>.original`; a second parametrization is
    applied to the result of the first. With a method `right_inverse(value)` the parametrization
    says from which original, or tuple of originals, a value comes: it gives the first original
    and makes assignment to the tensor possible. Raises ValueError for an unknown name and, unless
    `unsafe`, for a parametrization that changes the tensor's type or shape.

        class Symmetric(nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).mT

        parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        found: Any = _parametrizations(module)[tensor_name]
        if not unsafe:
            _check_next(getattr(module, tensor_name), parametrization)
        found.append(parametrization)
        found.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        # Made first: if it raises, the module is as it was.
        found = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            module.__class__ = _parametrized_class(type(module))
            module.parametrizations = ModuleDict()
        _add_property(type(module), tensor_name)
        _parametrizations(module)[tensor_name] = found
    else:
        raise ValueError(_UNKNOWN.format(module=module, name=tensor_name))
    return module


def _check_next(current: Tensor, parametrization: Any) -> None:
    """Checks what a further parametrization, and its inverse, make of the tensor."""
    result = parametrization(current)
    _check_kept(current, result)
    if hasattr(parametrization, "right_inverse"):
        with no_grad():
            back = parametrization.right_inverse(result)
        if not isinstance(back, Tensor):
            raise ValueError(
                f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}"
            )
        for what in ("dtype", "shape"):
            pair = getattr(current, what), getattr(back, what)
            if pair[0] != pair[1]:
                raise ValueError(
                    f"The tensor returned by parametrization.right_inverse must have the same "
                    f"{what} as `module.tensor_name`, unless the `unsafe` flag is enabled.\n"
                    f"module.tensor_name: {pair[0]}\nreturned: {pair[1]}"
                )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module has a parametrization, or one on the tensor of that name."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Makes the tensor a plain parameter or buffer again, and the module its own class.

    It keeps its present value; with `leave_parametrized=False` it goes back to the original.
    Raises ValueError without a parametrization, and where several originals cannot be one tensor.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(_NOT_PARAMETRIZED.format(module=module, name=tensor_name))
    found: Any = _parametrizations(module)[tensor_name]
    if not (leave_parametrized or found.is_tensor):
        raise ValueError(_SEVERAL)
    if found.is_tensor:
        kept = found.original
        if leave_parametrized:
            kept.data = getattr(module, tensor_name).detach()
    else:
        value = getattr(module, tensor_name)
        kept = Parameter(value.detach()) if value.requires_grad else value.detach()
    delattr(type(module), tensor_name)
    del _parametrizations(module)[tensor_name]
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    _register(module, tensor_name, kept)
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that the module had before it was parametrized."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Gives a module the parametrizations of another, and copies of the originals.

    Of all parametrized tensors, or of one. The parametrizations themselves are shared. Returns
    `to_module`; raises KeyError for a tensor that is not parametrized.
    """
    if not is_parametrized(from_module):
        return to_module
    table = _parametrizations(from_module)
    for name in list(table) if tensor_name is None else [tensor_name]:
        source: Any = table[name]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach().clone()))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization, unsafe=source.unsafe)
        target: Any = _parametrizations(to_module)[name]
        for old, new in zip(source._originals(), target._originals(), strict=True):
            new.data = old.detach().clone()
    return to_module
