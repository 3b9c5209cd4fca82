"""Modules that learn their input's size from the first call.

The first call gives the parameters their shapes and values, and turns the module into an ordinary
one of the class `cls_to_become`. State may be loaded before it.
"""

from __future__ import annotations

import itertools
from typing import Any

from jtoolbox.engine import mode
from jtoolbox.nn.module import Module
from jtoolbox.nn.parameter import is_lazy

__all__ = ["LazyModuleMixin"]

_IN_A_STEP = (
    "{name} gets its parameters in its first call, which must not be inside jtoolbox.jit, scan or "
    "a function that JAX transforms: call the model once with a batch before"
)


class LazyModuleMixin(Module):
    """What to put before a layer's class to let its first call decide the parameters' shapes.

    The class makes `UninitializedParameter`s in `__init__`, and gives them a shape in
    `initialize_parameters`, which the first call runs with its arguments before `forward`. If
    `cls_to_become` is a class, the module then becomes one of it. Raises RuntimeError when some
    parameter has no shape after that.

        class LazyScale(LazyModuleMixin, Scale):
            cls_to_become = Scale
            def __init__(self):
                super().__init__(0)
                self.weight = nn.UninitializedParameter()
            def initialize_parameters(self, x):
                self.weight.materialize(x.shape[-1:])
    """

    cls_to_become: type[Module] | None = None

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._first_call = self.register_forward_pre_hook(_infer_parameters, with_kwargs=True)

    def initialize_parameters(self, *args: Any, **kwargs: Any) -> None:
        """Gives the parameters shapes and values that fit these arguments of `forward`."""
        name = type(self).__name__
        raise NotImplementedError(f"initialize_parameters is not implemented for {name}")

    def has_uninitialized_params(self) -> bool:
        """Whether a parameter or buffer of its own has no shape yet."""
        own = itertools.chain(self._parameters.values(), self._buffers.values())
        return any(is_lazy(value) for value in own)

    def _load_value(self, name: str, key: str, current: Any, given: Any, assign: bool) -> str:
        """What is loaded gives a parameter its shape; nothing is loaded from one without."""
        if is_lazy(current):
            if is_lazy(given):
                return ""
            current.materialize(tuple(given.shape))
        return super()._load_value(name, key, current, given, assign)


def _infer_parameters(module: Any, args: Any, kwargs: Any) -> None:
    if mode.capture is not None or mode.functional is not None:
        raise RuntimeError(_IN_A_STEP.format(name=type(module).__name__))
    depth, mode.depth = mode.depth, 0  # initial values are no part of the call's program
    try:
        module.initialize_parameters(*args, **kwargs)
    finally:
        mode.depth = depth
    if module.has_uninitialized_params():
        name = type(module).__name__
        raise RuntimeError(f"module {name} has not been fully initialized")
    module._first_call.remove()
    del module._first_call
    if module.cls_to_become is not None:
        module.__class__ = module.cls_to_become
